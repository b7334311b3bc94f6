package webform

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
)

//go:embed form.js
var script []byte

// serveScript gives out the script of all forms; it knows its form by its own address. It is the same for everybody and
// says nothing of anybody, so that any page may load it.
func serveScript(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(script)
	etag := `"` + hex.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(script) // the visitor may be gone
}
