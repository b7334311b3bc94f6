package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// uiFiles is the built front end in memory: name -> its forms.
type uiFiles struct {
	files map[string]*uiFile
	index *uiFile // nil = not built
}

type uiFile struct {
	kind      string
	etag      string
	immutable bool
	plain     []byte
	br, gz    []byte // as the build made them; nil = not there
}

// notBuilt is shown when the binary was built without the front end.
const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Parley</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}</style>
<h1>UI not built</h1><p>This binary was built without its front end. Run <code>make build</code> and start it again.
The API is there: <a href="/api/openapi.json">/api/openapi.json</a>.</p></html>
`

func readUI(f fs.FS) (*uiFiles, error) {
	out := &uiFiles{files: make(map[string]*uiFile)}
	err := fs.WalkDir(f, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path.Base(name), ".") {
			return err
		}
		b, err := fs.ReadFile(f, name)
		if err != nil {
			return err
		}
		plain, form := name, ""
		for _, ext := range []string{".br", ".gz"} {
			if p, ok := strings.CutSuffix(name, ext); ok {
				plain, form = p, ext
			}
		}
		if form != "" {
			if _, err := fs.Stat(f, plain); errors.Is(err, fs.ErrNotExist) {
				plain, form = name, ""
			}
		}
		file := out.files[plain]
		if file == nil {
			file = &uiFile{kind: contentType(plain), immutable: strings.HasPrefix(plain, "assets/")}
			out.files[plain] = file
		}
		switch form {
		case ".br":
			file.br = b
		case ".gz":
			file.gz = b
		default:
			h := sha256.Sum256(b)
			file.plain, file.etag = b, hex.EncodeToString(h[:12])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read front end: %w", err)
	}
	out.index = out.files["index.html"]
	return out, nil
}

func contentType(name string) string {
	switch path.Ext(name) { // the machine's own table differs from place to place
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff2":
		return "font/woff2"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// serveUI gives out the front end: its files, and index.html for every page that the application routes itself.
func (s *Server) serveUI(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.notFound(w, r)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	file := s.ui.files[name]
	if file == nil || name == "index.html" {
		if name != "" && name != "index.html" && !wantsPage(r) {
			s.notFound(w, r)
			return
		}
		if s.ui.index == nil {
			h := w.Header()
			h.Set("Content-Type", "text/html; charset=utf-8")
			h.Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(notBuilt)) // the client may be gone
			return
		}
		file = s.ui.index
	}
	file.serve(w, r)
}

func (f *uiFile) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	b, etag := f.plain, f.etag
	switch accept := r.Header.Get("Accept-Encoding"); {
	case f.br != nil && accepts(accept, "br"):
		b, etag = f.br, f.etag+"-br"
		h.Set("Content-Encoding", "br")
	case f.gz != nil && accepts(accept, "gzip"):
		b, etag = f.gz, f.etag+"-gz"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+etag+`"`)
	if match := r.Header.Get("If-None-Match"); match != "" && strings.Contains(match, `"`+etag+`"`) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(b)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(b) // the client may be gone
	}
}

// accepts reads an Accept-Encoding header; q=0 is a refusal.
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q = strings.ReplaceAll(strings.TrimSpace(q), " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}

// wantsPage tells a browser that opens an address from a program that asks for a file. A name with an extension is a
// file, so that a missing script is a 404 and not a page of HTML.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html") && path.Ext(r.URL.Path) == ""
}
