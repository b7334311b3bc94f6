package tgfake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// apiError is a refusal in Telegram's form.
type apiError struct {
	code        int
	description string
	retryAfter  int
	migrateTo   int64
}

func (e *apiError) Error() string { return e.description }

func bad(description string) *apiError {
	return &apiError{code: 400, description: "Bad Request: " + description}
}

func writeError(w http.ResponseWriter, e *apiError) {
	o := object{"ok": false, "error_code": e.code, "description": e.description}
	p := object{}
	if e.retryAfter > 0 {
		p["retry_after"] = e.retryAfter
	}
	if e.migrateTo != 0 {
		p["migrate_to_chat_id"] = e.migrateTo
	}
	if len(p) > 0 {
		o["parameters"] = p
	}
	writeJSON(w, e.code, o)
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that went away
}

// params are the parameters of a call, whatever way they came. Values are texts; objects and lists are JSON in a text.
type params struct {
	values map[string]string
	files  map[string]*file
}

const (
	maxParam  = 10 << 20
	maxUpload = 50 << 20
	keepData  = 4 << 20 // of an uploaded file; of a larger one only size and hash are kept
)

func (s *Server) readParams(r *http.Request) (*params, error) {
	p := &params{values: map[string]string{}, files: map[string]*file{}}
	p.addValues(r.URL.Query())
	kind, attrs, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		return p, p.readJSON(r.Body)
	case "application/x-www-form-urlencoded":
		body, err := io.ReadAll(io.LimitReader(r.Body, maxParam))
		if err != nil {
			return nil, err
		}
		v, err := url.ParseQuery(string(body))
		p.addValues(v)
		return p, err
	case "multipart/form-data":
		return p, s.readMultipart(p, multipart.NewReader(r.Body, attrs["boundary"]))
	}
	return p, nil
}

func (p *params) addValues(v url.Values) {
	for name := range v {
		p.values[name] = v.Get(name)
	}
}

func (p *params) readJSON(r io.Reader) error {
	body, err := io.ReadAll(io.LimitReader(r, maxParam))
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &fields); err != nil {
		return err
	}
	for name, raw := range fields {
		var text string
		switch {
		case string(raw) == "null":
		case json.Unmarshal(raw, &text) == nil:
			p.values[name] = text
		default:
			p.values[name] = string(raw)
		}
	}
	return nil
}

func (s *Server) readMultipart(p *params, r *multipart.Reader) error {
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if part.FileName() == "" {
			v, err := io.ReadAll(io.LimitReader(part, maxParam))
			if err != nil {
				return err
			}
			p.values[part.FormName()] = string(v)
			continue
		}
		f, err := readUpload(part)
		if err != nil {
			return err
		}
		f.name, f.mime = part.FileName(), part.Header.Get("Content-Type")
		p.files[part.FormName()] = f
	}
}

func readUpload(r io.Reader) (*file, error) {
	h := sha256.New()
	f := &file{}
	var keep bytes.Buffer
	head := io.LimitReader(io.TeeReader(r, h), keepData)
	n, err := io.Copy(&keep, head)
	if err != nil {
		return nil, err
	}
	rest, err := io.Copy(h, r)
	if err != nil {
		return nil, err
	}
	f.size, f.sha256 = n+rest, hex.EncodeToString(h.Sum(nil))
	if rest == 0 {
		f.data = keep.Bytes()
	}
	return f, nil
}

func (p *params) str(name string) string { return p.values[name] }

func (p *params) int(name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(p.values[name]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func (p *params) json(name string, dst any) bool {
	v, ok := p.values[name]
	return ok && json.Unmarshal([]byte(v), dst) == nil
}
