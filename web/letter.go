package web

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/htmlmail"
	"github.com/parley-hub/parley/internal/ids"
)

// messageBody gives out an e-mail as a document of its own, under its own policy. The screen puts it into a frame that
// has neither scripts nor our origin; opened by itself it is just as closed. X-Blocked-Images says how many pictures
// from elsewhere it leaves out.
func (s *Server) messageBody(w http.ResponseWriter, r *http.Request) error {
	id, err := ids.Parse(r.PathValue("id"))
	if err != nil {
		return errs.Field("path.id", "is not an id")
	}
	message, err := uuid.Parse(r.PathValue("message"))
	if err != nil {
		return errs.Field("path.message", "is not an id")
	}
	q := r.URL.Query()
	for field, allowed := range map[string][]string{"images": {"", "0", "1"}, "theme": {"", "light", "dark"}, "lang": {"", "en", "ru", "am"}} {
		if !slices.Contains(allowed, q.Get(field)) {
			return errs.Field("query."+field, "must be one of %s", strings.Join(allowed[1:], ", "))
		}
	}
	letter, err := s.deps.Desk.Letter(r.Context(), CallerFrom(r.Context()), id, message)
	if err != nil {
		return err
	}
	remote, until := q.Get("images") == "1", time.Now().Add(pictureFor)
	sources := s.pictureSources(r)
	page, err := htmlmail.Document(letter.HTML, htmlmail.Options{
		Dark: q.Get("theme") == "dark", Lang: q.Get("lang"), Sources: sources,
		Image: func(source string) string {
			if name, ok := strings.CutPrefix(source, "cid:"); ok {
				if plain, err := url.PathUnescape(name); err == nil {
					name = plain
				}
				if file, ok := letter.Inline[name]; ok {
					return s.pictureAddress(picture{File: file, Until: until})
				}
				return ""
			}
			if !remote {
				return ""
			}
			return s.pictureAddress(picture{Remote: source, Until: until})
		},
	})
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", htmlmail.Policy(sources...))
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Blocked-Images", strconv.Itoa(page.Blocked))
	_, err = io.WriteString(w, page.HTML)
	return err
}

// pictureSources are the addresses under which the browser may know this hub. A frame without our origin has no 'self'
// that every browser agrees on.
func (s *Server) pictureSources(r *http.Request) []string {
	out := []string{s.base.Scheme + "://" + s.base.Host}
	if u, err := url.Parse(s.base.Scheme + "://" + r.Host); err == nil && u.Host == r.Host && u.Host != s.base.Host && !strings.ContainsAny(u.Host, ";, '\"") {
		out = append(out, u.Scheme+"://"+u.Host)
	}
	return out
}
