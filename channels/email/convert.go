package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/htmlmail"
)

// meta is where a mail was found.
type meta struct {
	Key      string
	Folder   string
	Validity uint32
	UID      uint32
	At       time.Time // when it came into the mailbox; zero = not told
	Now      time.Time
	Size     int64 // on the server; more than the bytes at hand when only the beginning was fetched
}

// The bounds of what is shown of a mail; the whole is kept.
const (
	maxShownText = 1 << 20
	maxListed    = 50 // addresses of one list
	maxFiles     = 50
)

// Convert makes events of a mail: the message, or the fate of one of ours that it reports. It is pure.
func (a *Adapter) Convert(raw []byte, m meta) []channels.Inbound {
	h, body := splitHeader(raw)
	from := h.addresses("from")
	if len(from) > 0 && a.isOwn(from[0].Address) && a.isOurs(h.messageID()) {
		return nil // what we sent ourselves: a copy in Sent, or to us in Cc
	}
	c := &conversion{a: a, h: h, m: m, short: m.Size > a.largest}
	c.read(raw, body)
	if e, ok := c.bounce(raw); ok {
		return []channels.Inbound{e}
	}
	return []channels.Inbound{c.message(raw, body)}
}

// conversion is one mail on its way.
type conversion struct {
	a     *Adapter
	h     header
	m     meta
	short bool // only the beginning of the mail is here

	text, html string
	media      []channels.Media
	report     *report
	warnings   []string
}

func (c *conversion) warn(s string) {
	if len(c.warnings) < 10 {
		c.warnings = append(c.warnings, s)
	}
}

// base is what every event of the mail carries.
func (c *conversion) base(raw []byte) channels.Inbound {
	at := c.m.At
	if at.IsZero() {
		at = c.h.date()
	}
	if at.IsZero() || at.After(c.m.Now.Add(24*time.Hour)) {
		at = c.m.Now
	}
	return channels.Inbound{Kind: channels.Message, EventKey: c.m.Key, Direction: channels.In, At: at.UTC(), Content: Name, Raw: raw}
}

func (c *conversion) message(raw, body []byte) channels.Inbound {
	e := c.base(raw)
	e.ProviderID, e.References = c.h.messageID(), c.h.references()
	e.Subject = c.h.text("subject")
	e.Fingerprint = c.fingerprint(raw, body)
	e.Thread = e.Fingerprint[:40]
	d := c.mailData()
	e.Automatic = d.Auto != ""
	c.people(&e, &d)
	for _, r := range e.Recipients {
		if id := c.a.conversationOf(r.Address); id != "" && e.Conversation == "" {
			e.Conversation = id
		}
	}
	for _, name := range []string{"delivered-to", "x-original-to", "envelope-to"} {
		for _, b := range c.h.addresses(name) {
			if id := c.a.conversationOf(b.Address); id != "" && e.Conversation == "" {
				e.Conversation = id
			}
		}
	}
	if len(e.References) > 0 {
		e.ReplyTo = e.References[0]
	}
	e.HTML = c.html
	e.Text = strings.TrimSpace(c.text)
	if len(e.Text) > maxShownText {
		e.Text = strings.ToValidUTF8(e.Text[:maxShownText], "")
		c.warn("The text is very long: only its beginning is shown. The original has it whole.")
	}
	d.HasHTML, d.Simple = e.HTML != "", e.HTML != "" && htmlmail.Simple(e.HTML)
	d.QuoteAt, d.SignatureAt = findQuote(e.Text)
	e.Media = c.media
	if len(e.Media) > maxFiles {
		c.warn(fmt.Sprintf("%d more attachments are in the original.", len(e.Media)-maxFiles))
		e.Media = e.Media[:maxFiles]
	}
	if c.short {
		c.warn(fmt.Sprintf("This mail is larger than %d MB (%d MB): only its beginning was fetched, without attachments.", c.a.largest>>20, c.m.Size>>20))
	}
	d.Warnings = c.warnings
	e.Data = encodeData(d)
	return e
}

// people says who wrote and to whom.
func (c *conversion) people(e *channels.Inbound, d *channels.MailData) {
	add := func(role string, list []channels.Mailbox) {
		for _, b := range list {
			e.Recipients = append(e.Recipients, channels.Recipient{Role: role, Name: b.Name, Address: b.Address})
		}
	}
	from, reply := c.h.addresses("from"), c.h.addresses("reply-to")
	if len(from) == 0 {
		for _, name := range []string{"sender", "reply-to", "return-path"} {
			if from = c.h.addresses(name); len(from) > 0 {
				break
			}
		}
	}
	to, cc := c.h.addresses("to"), c.h.addresses("cc")
	d.From = first(from)
	d.To, d.Cc, d.ReplyTo = to, cc, reply
	add("from", from)
	add("to", to)
	add("cc", cc)
	add("reply_to", reply)
	person, answer := d.From, d.From
	if len(reply) > 0 && !c.a.isOwn(reply[0].Address) {
		answer = reply[0]
		if c.a.isOwn(person.Address) { // a form on the company's own site writes in its own name for the customer
			person = reply[0]
		}
	}
	if c.a.isOwn(d.From.Address) {
		if sentFolder(c.m.Folder) {
			if others := c.others(append(to, cc...)); len(others) > 0 {
				e.Direction, person, answer = channels.Out, others[0], others[0]
			}
		} else if d.Auth == nil || d.Auth.DMARC != "pass" && d.Auth.DKIM != "pass" {
			d.Spoofable = true
			c.warn("The sender is given as our own address.")
		}
	}
	e.Chat = answer.Address
	if person.Address == "" {
		e.Sender = channels.Person{Name: "Unknown sender"}
		e.Chat = "unknown"
		return
	}
	e.Sender = channels.Person{Name: person.Name, Identities: []channels.Identity{{Kind: "email", Value: person.Address}}}
	if data, err := json.Marshal(map[string]string{"name": answer.Name}); err == nil {
		e.ChatData = data
	}
}

func (c *conversion) others(list []channels.Mailbox) []channels.Mailbox {
	var out []channels.Mailbox
	for _, b := range list {
		if !c.a.isOwn(b.Address) {
			out = append(out, b)
		}
	}
	return out
}

func first(list []channels.Mailbox) channels.Mailbox {
	if len(list) == 0 {
		return channels.Mailbox{}
	}
	return list[0]
}

// sentFolder reports whether a folder holds what our side has sent.
func sentFolder(name string) bool {
	name = strings.ToLower(name)
	for _, w := range []string{"sent", "gesendet", "отправлен", "envoy", "enviad"} {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}

func (c *conversion) mailData() channels.MailData {
	d := channels.MailData{MessageID: cut(c.h.messageID(), 500), Auto: c.auto(), Auth: c.auth(), QuoteAt: -1, SignatureAt: -1, Copies: []string{}}
	d.Spoofable = d.Auth != nil && d.Auth.DMARC != "pass" && d.Auth.DKIM != "pass"
	return d
}

// auto tells why nobody sits at the other end: such mail makes no lead and is never answered automatically.
func (c *conversion) auto() string {
	submitted := strings.ToLower(c.h.get("auto-submitted"))
	precedence := strings.ToLower(c.h.get("precedence"))
	local, _, _ := strings.Cut(strings.ToLower(first(c.h.addresses("from")).Address), "@")
	switch {
	case c.report != nil, local == "mailer-daemon", local == "postmaster" && submitted != "" && submitted != "no":
		return "bounce"
	case strings.HasPrefix(submitted, "auto-replied"), precedence == "auto_reply", c.h.has("x-autoreply"), c.h.has("x-autorespond"),
		strings.EqualFold(c.h.get("x-auto-response-suppress"), "all") && c.h.has("in-reply-to"):
		return "reply"
	case c.h.has("list-id"), c.h.has("list-unsubscribe"), c.h.has("list-post"), precedence == "list":
		return "list"
	case submitted != "" && submitted != "no", precedence == "bulk", precedence == "junk", c.h.get("return-path") == "<>":
		return "bulk"
	}
	return ""
}

// fingerprint is equal for the copies of one mail. Without a Message-ID only the same bytes are the same mail.
func (c *conversion) fingerprint(raw, body []byte) string {
	h := sha256.New()
	if c.a.set.SeparateCopies {
		h.Write([]byte(strconv.FormatInt(c.a.account.ID, 10) + "\x00"))
	}
	if id := c.h.messageID(); id != "" {
		for _, s := range []string{id, strings.ToLower(first(c.h.addresses("from")).Address), oneLine(c.h.get("date"))} {
			h.Write([]byte(s + "\x00"))
		}
		raw = body
	}
	h.Write(bytes.TrimRight(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), "\n"))
	return hex.EncodeToString(h.Sum(nil))
}

// fallback is a mail of which nothing but bytes is understood.
func (a *Adapter) fallback(raw []byte, m meta) channels.Inbound {
	c := &conversion{a: a, m: m}
	c.h, _ = splitHeader(raw[:min(len(raw), maxHead)])
	c.text = strings.ToValidUTF8(toUTF8(string(raw[:min(len(raw), 64<<10)])), "\uFFFD")
	c.warn("This mail could not be read: it is shown as it came.")
	return c.message(raw, raw)
}

// maxDataBytes is what the hub takes as data of one message, with room for what it adds.
const maxDataBytes = 15 << 10

// encodeData cuts the lists of addresses until they fit.
func encodeData(d channels.MailData) json.RawMessage {
	for n := maxListed; ; n /= 2 {
		c := d
		for _, l := range []*[]channels.Mailbox{&c.To, &c.Cc, &c.Bcc, &c.ReplyTo} {
			if len(*l) > n {
				c.More += len(*l) - n
				*l = (*l)[:n]
			}
			if *l == nil {
				*l = []channels.Mailbox{}
			}
		}
		if c.Warnings == nil {
			c.Warnings = []string{}
		}
		b, err := json.Marshal(map[string]channels.MailData{"email": c})
		if err != nil {
			return nil
		}
		if len(b) <= maxDataBytes || n == 0 {
			return b
		}
	}
}

func runes(s string) int { return utf8.RuneCountInString(s) }
