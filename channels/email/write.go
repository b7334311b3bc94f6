package email

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/parley-hub/parley/channels"
)

// outFile is an attachment, or a picture that the HTML shows in place.
type outFile struct {
	channels.File
	inline bool
}

// write streams the mail: no file is held in memory. Without files it is what the library made of it; else that becomes
// the first part of a mixed one, together with the pictures that its HTML shows.
func (c *composed) write(ctx context.Context, w io.Writer) error {
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	if len(c.files) == 0 {
		_, err := w.Write(b.Bytes())
		return err
	}
	head, body, _ := bytes.Cut(b.Bytes(), []byte("\r\n\r\n"))
	common, content := splitContent(string(head))
	inner := c.boundary + "-r"
	related := false
	for _, f := range c.files {
		related = related || f.inline
	}
	p := &partWriter{w: w}
	p.print("%sMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", common, c.boundary, c.boundary)
	if related {
		p.print("Content-Type: multipart/related; boundary=\"%s\"\r\n\r\n--%s\r\n", inner, inner)
	}
	p.print("%s\r\n", content)
	p.bytes(body)
	if related {
		for _, f := range c.files {
			if f.inline {
				p.print("\r\n--%s\r\n", inner)
				c.file(ctx, p, f)
			}
		}
		p.print("\r\n--%s--\r\n", inner)
	}
	for _, f := range c.files {
		if !f.inline {
			p.print("\r\n--%s\r\n", c.boundary)
			c.file(ctx, p, f)
		}
	}
	p.print("\r\n--%s--\r\n", c.boundary)
	return p.err
}

// splitContent parts a header into what belongs to the mail and what belongs to its content.
func splitContent(head string) (common, content string) {
	to := &common
	for line := range strings.SplitSeq(head, "\r\n") {
		if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "\t") {
			name, _, _ := strings.Cut(strings.ToLower(line), ":")
			switch {
			case name == "mime-version":
				to = new(string)
			case strings.HasPrefix(name, "content-"):
				to = &content
			default:
				to = &common
			}
		}
		*to += line + "\r\n"
	}
	return common, content
}

// file writes one part; an error of the file itself is kept apart from one of the connection.
func (c *composed) file(ctx context.Context, p *partWriter, f outFile) {
	if p.err != nil {
		return
	}
	typ := f.Type
	if t, params, err := mime.ParseMediaType(typ); err != nil || strings.HasPrefix(t, "multipart/") {
		typ = "application/octet-stream"
	} else {
		params["name"] = f.Name
		if typ = mime.FormatMediaType(t, params); typ == "" {
			typ = t
		}
	}
	how := "attachment"
	if f.inline {
		how = "inline"
	}
	p.print("Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: %s\r\n", typ, mime.FormatMediaType(how, map[string]string{"filename": f.Name}))
	if f.ContentID != "" {
		p.print("Content-ID: <%s>\r\n", f.ContentID)
	}
	p.print("\r\n")
	r, err := f.Open(ctx)
	if err != nil {
		c.broken, p.err = err, err
		return
	}
	defer r.Close()
	src := &failing{Reader: r}
	enc := base64.NewEncoder(base64.StdEncoding, &lineWriter{w: p.w})
	_, err = io.Copy(enc, src)
	if err == nil {
		err = enc.Close()
	}
	c.broken, p.err = src.err, err
}

// partWriter keeps the first error.
type partWriter struct {
	w   io.Writer
	err error
}

func (p *partWriter) print(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *partWriter) bytes(b []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(b)
	}
}

// lineWriter breaks base64 into lines of 76 characters.
type lineWriter struct {
	w  io.Writer
	at int
}

func (l *lineWriter) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		if l.at == 76 {
			if _, err := io.WriteString(l.w, "\r\n"); err != nil {
				return n, err
			}
			l.at = 0
		}
		k := min(76-l.at, len(b))
		if _, err := l.w.Write(b[:k]); err != nil {
			return n, err
		}
		l.at += k
		n += k
		b = b[k:]
	}
	return n, nil
}
