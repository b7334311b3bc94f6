package email

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jhillyerd/enmime/v2"
	"github.com/jhillyerd/enmime/v2/mediatype"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/htmlmail"
)

// The bounds within which a mail's parts are taken apart; one beyond them is shown as it came.
const (
	maxMultiparts = 100
	maxParts      = 3000
)

// countParts counts the lines that begin a part's description, and those of them that hold further parts.
func countParts(raw []byte) (parts, multiparts int) {
	const name = "content-type:"
	for line := range bytes.Lines(raw) {
		if len(line) < len(name) || line[0] != 'C' && line[0] != 'c' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		parts++
		if t := bytes.TrimSpace(line[len(name):]); len(t) >= 10 && bytes.EqualFold(t[:10], []byte("multipart/")) {
			multiparts++
		}
	}
	return parts, multiparts
}

// newParser takes mail apart leniently: what breaks a rule is left out, what stands around it is kept.
func newParser(raw []byte) *enmime.Parser {
	assumed := "" // for text that does not say, or claims to have no letter outside ASCII
	if utf8.Valid(raw) {
		assumed = "utf-8"
	}
	return enmime.NewParser(enmime.SkipMalformedParts(true), enmime.DisableTextConversion(true), enmime.MaxStoredPartErrors(10),
		enmime.MultipartWOBoundaryAsSinglePart(true),
		enmime.SetCustomParseMediaType(func(ctype string) (string, map[string]string, []string, error) {
			typ, params, invalid, err := mediatype.Parse(ctype)
			if c := strings.ToLower(params["charset"]); assumed != "" && strings.HasPrefix(typ, "text/") && (c == "" || c == "us-ascii" || c == "ascii") {
				if params == nil {
					params = map[string]string{}
				}
				params["charset"] = assumed
			}
			return typ, params, invalid, err
		}),
		enmime.SetReadPartErrorPolicy(func(*enmime.Part, error) bool { return true }))
}

func parseMIME(raw []byte) (*enmime.Envelope, error) {
	if bytes.HasPrefix(raw, []byte("From ")) {
		if _, rest, ok := bytes.Cut(raw, []byte("\n")); ok {
			raw = rest
		}
	}
	return newParser(raw).ReadEnvelope(bytes.NewReader(raw))
}

// read takes the parts: text, HTML and files.
func (c *conversion) read(raw, body []byte) {
	if parts, multiparts := countParts(raw); parts > maxParts || multiparts > maxMultiparts {
		c.plain(body, "This mail has too many parts to take apart: it is shown as it came.")
		return
	}
	if !c.h.has("content-type") && !c.h.has("content-transfer-encoding") { // from before MIME
		c.text = tidy(toUTF8(string(body)))
		if len(c.h) > 0 || len(body) > 0 {
			return
		}
	}
	env, err := parseMIME(raw)
	if err != nil {
		if len(bytes.TrimSpace(body)) == 0 {
			body = raw
		}
		c.plain(body, "This mail is broken: it is shown as it came.")
		return
	}
	c.text = strings.TrimSpace(tidy(unflow(env)))
	html := tidy(env.HTML)
	if c.text == "" && html != "" {
		c.text = textOf(html)
	}
	c.walk(env.Root)
	if html != "" {
		c.html = strings.TrimSpace(htmlmail.Sanitise(html))
		if c.html == "" && len(html) > htmlmail.MaxHTML {
			c.warn("The formatted text is very large: only the plain text is shown. The original has it whole.")
		}
	}
	if c.short {
		c.media = nil
	}
	for i := range c.media {
		if id := c.media[i].ContentID; id != "" && !strings.Contains(html, "cid:"+id) {
			c.media[i].ContentID = "" // nothing shows it in place
		}
	}
	if c.text == "" && c.html == "" && len(c.media) == 0 && len(bytes.TrimSpace(body)) > 0 && c.report == nil {
		c.plain(body, "This mail has no text that can be shown: it is shown as it came.")
	}
}

func (c *conversion) plain(body []byte, why string) {
	c.text = tidy(toUTF8(string(body[:min(len(body), 64<<10)])))
	c.warn(why)
}

func tidy(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// walk looks at every part of the tree.
func (c *conversion) walk(p *enmime.Part) {
	for ; p != nil; p = p.NextSibling {
		c.part(p)
		c.walk(p.FirstChild)
	}
}

func (c *conversion) part(p *enmime.Part) {
	typ := strings.ToLower(p.ContentType)
	attached := p.Disposition == "attachment" || p.FileName != ""
	switch {
	case strings.HasPrefix(typ, "multipart/"):
		if typ == "multipart/report" && strings.EqualFold(p.ContentTypeParams["report-type"], "delivery-status") && c.report == nil {
			c.report = &report{}
		}
		return
	case typ == "message/delivery-status" || typ == "message/global-delivery-status":
		if c.report == nil {
			c.report = &report{}
		}
		c.report.read(p.Content)
		return
	case c.report != nil && (typ == "message/rfc822" || typ == "text/rfc822-headers" || typ == "message/global" || typ == "message/global-headers"):
		h, _ := splitHeader(p.Content)
		c.report.original = h.messageID()
		return
	case (typ == "text/plain" || typ == "text/html" || typ == "") && !attached:
		return
	case typ == "text/calendar":
		if s := invitation(p.Content); s != "" && !strings.Contains(c.text, s) {
			c.text = strings.TrimSpace(c.text + "\n\n" + s)
		}
	case typ == "application/ms-tnef" || strings.EqualFold(p.FileName, "winmail.dat"):
		if c.tnef(p) {
			return
		}
	}
	c.file(p, 0, p.FileName, typ, int64(len(p.Content)))
}

func (c *conversion) file(p *enmime.Part, inTNEF int, name, typ string, size int64) {
	if len(c.media) > 10*maxFiles {
		return
	}
	name = readable(name)
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	switch {
	case name == "" && typ == "message/rfc822":
		h, _ := splitHeader(p.Content)
		if name = cut(h.text("subject"), 100) + ".eml"; name == ".eml" {
			name = "message.eml"
		}
	case name == "" && typ == "text/calendar":
		name = "invitation.ics"
	case name == "":
		name = "attachment-" + strconv.Itoa(len(c.media)+1)
	}
	ref := mediaRef{
		Folder: c.m.Folder, Validity: c.m.Validity, UID: c.m.UID, Part: p.PartID, TNEF: inTNEF,
		Encoding: strings.ToLower(p.Header.Get("Content-Transfer-Encoding")),
	}
	b, err := json.Marshal(ref)
	if err != nil {
		return
	}
	m := channels.Media{Kind: mediaKind(typ), Ref: b, Name: name, Type: typ, Size: size}
	if inTNEF == 0 {
		m.ContentID = strings.Trim(oneLine(toUTF8(p.ContentID)), "<> ")
	}
	c.media = append(c.media, m)
}

func mediaKind(typ string) string {
	head, _, _ := strings.Cut(typ, "/")
	switch head {
	case "image":
		if typ == "image/svg+xml" {
			return "document"
		}
		return "photo"
	case "audio", "video":
		return head
	}
	return "document"
}

// mediaRef leads to a part of a mail.
type mediaRef struct {
	Folder   string `json:"f"`
	Validity uint32 `json:"v"`
	UID      uint32 `json:"u"`
	Part     string `json:"p"`
	Encoding string `json:"e"`
	TNEF     int    `json:"t,omitempty"` // from 1: the file inside a winmail.dat
}

func parseRef(ref json.RawMessage) (mediaRef, error) {
	var r mediaRef
	if err := json.Unmarshal(ref, &r); err != nil || r.Part == "" {
		return r, errRef
	}
	return r, nil
}

// imapPart is the part's number in IMAP; nil when it has none.
func (r mediaRef) imapPart() []int {
	var out []int
	for s := range strings.SplitSeq(r.Part, ".") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil
		}
		out = append(out, n)
	}
	if len(out) == 1 && out[0] == 0 { // the mail is nothing but this part
		return []int{1}
	}
	return out
}

// MediaFromRaw takes a file out of the mail's own bytes.
func (a *Adapter) MediaFromRaw(raw []byte, ref json.RawMessage, w io.Writer) (channels.MediaInfo, error) {
	r, err := parseRef(ref)
	if err != nil {
		return channels.MediaInfo{}, err
	}
	if len(raw) > maxGroup {
		large <- struct{}{}
		defer func() { <-large }()
	}
	env, err := parseMIME(raw)
	if err != nil {
		return channels.MediaInfo{}, channels.ErrMediaGone
	}
	p := findPart(env.Root, r.Part)
	if p == nil {
		return channels.MediaInfo{}, channels.ErrMediaGone
	}
	content := p.Content
	if r.TNEF > 0 {
		t, ok := readTNEF(content)
		if !ok || r.TNEF > len(t.files) {
			return channels.MediaInfo{}, channels.ErrMediaGone
		}
		content = t.files[r.TNEF-1].data
	}
	n, err := w.Write(content)
	return channels.MediaInfo{Size: int64(n)}, err
}

func findPart(p *enmime.Part, id string) *enmime.Part {
	for ; p != nil; p = p.NextSibling {
		if p.PartID == id {
			return p
		}
		if q := findPart(p.FirstChild, id); q != nil {
			return q
		}
	}
	return nil
}

// decodeTransfer undoes a part's transfer encoding.
func decodeTransfer(r io.Reader, encoding string) io.Reader {
	switch strings.TrimSpace(encoding) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, &base64Only{r: r})
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	}
	return r
}

// base64Only drops what does not belong to the encoding: line ends, and the rubbish that some programs leave there.
type base64Only struct{ r io.Reader }

func (b *base64Only) Read(p []byte) (int, error) {
	for {
		n, err := b.r.Read(p)
		out := p[:0]
		for _, x := range p[:n] {
			if x >= 'A' && x <= 'Z' || x >= 'a' && x <= 'z' || x >= '0' && x <= '9' || x == '+' || x == '/' || x == '=' {
				out = append(out, x)
			}
		}
		if len(out) > 0 || err != nil {
			return len(out), err
		}
	}
}
