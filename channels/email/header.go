package email

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/parley-hub/parley/channels"
)

type jsonRaw = json.RawMessage

// The bounds of a header that is looked at.
const (
	maxFields = 2000
	maxField  = 64 << 10
	maxAddrs  = 1000
	maxRefs   = 50
)

// header is a mail's header, read leniently: a line that is none is passed over.
type header []headerField

type headerField struct{ name, value string }

// splitHeader parts header and body. A leading line of an mbox file is dropped; a header without an end is all header.
func splitHeader(raw []byte) (h header, body []byte) {
	if bytes.HasPrefix(raw, []byte("From ")) {
		if _, rest, ok := bytes.Cut(raw, []byte("\n")); ok {
			raw = rest
		}
	}
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		raw = rest
		if len(line) == 0 {
			return h, raw
		}
		if (line[0] == ' ' || line[0] == '\t') && len(h) > 0 {
			if last := &h[len(h)-1]; len(last.value) < maxField {
				last.value += " " + strings.TrimSpace(string(line))
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") || len(h) >= maxFields {
			continue
		}
		h = append(h, headerField{strings.ToLower(string(name)), strings.TrimSpace(string(value[:min(len(value), maxField)]))})
	}
	return h, nil
}

// get is the first field of that name, as it stands there.
func (h header) get(name string) string {
	for _, f := range h {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

func (h header) has(name string) bool {
	for _, f := range h {
		if f.name == name {
			return true
		}
	}
	return false
}

// text is a field's readable form.
func (h header) text(name string) string { return readable(h.get(name)) }

var words = &mime.WordDecoder{CharsetReader: charsetReader} //nolint:gochecknoglobals // stateless

func charsetReader(charset string, in io.Reader) (io.Reader, error) {
	e, err := htmlindex.Get(charset)
	if err != nil {
		e = charmap.Windows1252 // some text is better than none
	}
	return e.NewDecoder().Reader(in), nil
}

// readable decodes encoded words, and bytes that belong to no word, into valid UTF-8 on one line.
func readable(s string) string {
	if d, err := words.DecodeHeader(s); err == nil {
		s = d
	}
	return oneLine(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, toUTF8(s)))
}

// toUTF8 takes what is not UTF-8 for Windows-1252, which has a character for nearly every byte.
func toUTF8(s string) string {
	if !utf8.ValidString(s) {
		if d, err := charmap.Windows1252.NewDecoder().String(s); err == nil {
			s = d
		}
	}
	return strings.ReplaceAll(s, "\x00", "")
}

var addressPattern = regexp.MustCompile(`[^\s<>,;:"()\[\]]+@[^\s<>,;:"()\[\]]+`)

// addresses reads every address of the fields of that name; of a list that breaks the rules it takes what looks like one.
func (h header) addresses(name string) []channels.Mailbox {
	var out []channels.Mailbox
	for _, f := range h {
		if f.name == name && f.value != "" && len(out) < maxAddrs {
			out = append(out, parseAddresses(f.value)...)
		}
	}
	return out[:min(len(out), maxAddrs)]
}

func parseAddresses(value string) []channels.Mailbox {
	var out []channels.Mailbox
	p := mail.AddressParser{WordDecoder: words}
	if list, err := p.ParseList(value); err == nil {
		for _, a := range list {
			out = append(out, mailbox(a.Name, a.Address))
		}
		return out
	}
	rest := value
	for _, at := range addressPattern.FindAllStringIndex(value, maxAddrs) {
		before := rest[:max(0, at[0]-(len(value)-len(rest)))]
		rest = value[at[1]:]
		name := strings.Trim(readable(before), ` "'<>,;:()`)
		out = append(out, mailbox(name, value[at[0]:at[1]]))
	}
	return out
}

func mailbox(name, address string) channels.Mailbox {
	return channels.Mailbox{Name: cut(readable(name), 100), Address: cut(oneLine(toUTF8(strings.Trim(address, `<>.'`))), 320)}
}

// cut shortens to n characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:min(len(r), n)])
}

// ids reads Message-IDs, without their brackets.
func ids(value string) []string {
	var out []string
	for {
		_, rest, ok := strings.Cut(value, "<")
		if !ok {
			break
		}
		id, after, ok := strings.Cut(rest, ">")
		if !ok {
			break
		}
		if id = strings.Join(strings.Fields(toUTF8(id)), ""); id != "" {
			out = append(out, id)
		}
		value = after
	}
	if len(out) == 0 { // some write it bare
		for _, w := range strings.Fields(toUTF8(value)) {
			if strings.Contains(w, "@") {
				out = append(out, strings.Trim(w, "<>,;"))
			}
		}
	}
	return out
}

// messageID is the mail's own id; "" when it has none.
func (h header) messageID() string {
	if list := ids(h.get("message-id")); len(list) > 0 {
		return list[0]
	}
	if v := strings.TrimSpace(toUTF8(h.get("message-id"))); plain(v) {
		return strings.Join(strings.Fields(strings.Trim(v, "<>")), "")
	}
	return ""
}

// references are the ids of earlier mails, nearest first.
func (h header) references() []string {
	var out []string
	seen := map[string]bool{h.messageID(): true, "": true}
	add := func(id string) {
		if !seen[id] && len(out) < maxRefs {
			seen[id] = true
			out = append(out, id)
		}
	}
	refs := ids(h.get("references"))
	for i := len(refs) - 1; i >= 0; i-- {
		add(refs[i])
	}
	for _, id := range ids(h.get("in-reply-to")) {
		add(id)
	}
	return out
}

// date reads the Date field in the forms that occur; zero when there is none that makes sense.
func (h header) date() time.Time {
	v := oneLine(h.get("date"))
	if t, err := mail.ParseDate(v); err == nil {
		return t.UTC()
	}
	v, _, _ = strings.Cut(v, "(")
	v = strings.TrimSpace(v)
	for _, layout := range []string{
		time.RFC3339, time.RFC850, time.ANSIC, time.UnixDate, "Mon, 2 Jan 2006 15:04:05", "2 Jan 2006 15:04:05 MST",
		"Mon, 2 Jan 06 15:04:05 -0700", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", "Mon, 2 Jan 2006 15.04.05 -0700",
	} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
