package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"

	"github.com/parley-hub/parley/channels"
)

// upload is a file in a multipart request; field is the name that the parameters refer to.
type upload struct {
	field string
	file  channels.File
}

// uploadRate is the slowest line that we wait for, in bytes per second.
const uploadRate = 32 << 10

// callFiles runs a method with files. They are streamed, never held in memory.
func (c *client) callFiles(ctx context.Context, method string, p params, files []upload, out any) error {
	timeout := callTimeout
	for _, f := range files {
		timeout += time.Duration(max(f.file.Size, 0)/uploadRate) * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	pr, pw := io.Pipe()
	form := multipart.NewWriter(pw)
	written := make(chan error, 1)
	go func() {
		err := writeForm(ctx, form, p, files)
		_ = pw.CloseWithError(err) // nil = EOF; it never fails
		written <- err
	}()
	err := c.do(ctx, method, form.FormDataContentType(), pr, out)
	_ = pr.CloseWithError(io.ErrClosedPipe) // an answer before the end of the request: stop reading the files
	cancel()
	werr := <-written
	var ce *callError
	if errors.As(err, &ce) && werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		// The form was never finished, so Telegram has dropped it.
		return &callError{Method: method, Unsent: true, Local: true, Err: werr}
	}
	return err
}

func writeForm(ctx context.Context, form *multipart.Writer, p params, files []upload) error {
	for name, v := range p {
		s, ok := v.(string)
		if !ok {
			b, err := json.Marshal(v)
			if err != nil {
				return fmt.Errorf("encode %s: %w", name, err)
			}
			s = string(b)
		}
		if err := form.WriteField(name, s); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := writeFile(ctx, form, f); err != nil {
			return err
		}
	}
	return form.Close()
}

func writeFile(ctx context.Context, form *multipart.Writer, f upload) error {
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", mime.FormatMediaType("form-data", map[string]string{"name": f.field, "filename": fileName(f.file)}))
	if t := f.file.Type; t != "" && !strings.ContainsAny(t, "\r\n") {
		h.Set("Content-Type", t)
	}
	part, err := form.CreatePart(h)
	if err != nil {
		return err
	}
	r, err := f.file.Open(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", fileName(f.file), err)
	}
	defer r.Close()
	_, err = io.Copy(part, r)
	return err
}

// fileName is a name without a path and without what a header cannot carry.
func fileName(f channels.File) string {
	name := clean(f.Name, 200)
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7f {
			return '_'
		}
		return r
	}, name)
	if name == "" || name == "." || name == ".." {
		return "file"
	}
	return name
}
