package web

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/parley-hub/parley/internal/errs"
)

// oneForm serves the key "good" and notes who asked.
type oneForm struct{ from []string }

func (f *oneForm) Form(key string) (http.Handler, error) {
	if key != "good" {
		return nil, errs.New(errs.NotFound, "There is no such form.")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.from = append(f.from, r.RemoteAddr)
		w.WriteHeader(http.StatusAccepted)
	}), nil
}

func TestFormsAreReachedFromOtherSites(t *testing.T) {
	t.Parallel()
	f := &oneForm{}
	e := newEdge(t, func(c *Config, d *Deps) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		d.Forms = f
	})
	elsewhere := as{remote: "10.1.2.3:999"}.with("Origin", "https://shop.example").with("Sec-Fetch-Site", "cross-site").with("X-Forwarded-For", "6.6.6.6, 203.0.113.7")
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
		if w := e.call(elsewhere, method, "/forms/good", ""); w.Code != http.StatusAccepted {
			t.Errorf("%s: got %d %s", method, w.Code, w.Body)
		}
	}
	if w := e.call(elsewhere, http.MethodGet, "/forms/good/form.js", nil); w.Code != http.StatusAccepted {
		t.Errorf("script: got %d", w.Code)
	}
	for _, from := range f.from {
		if from != "203.0.113.7:0" {
			t.Errorf("the form saw %q, want the visitor behind the proxy", from)
		}
	}
	direct := as{remote: "192.0.2.1:999"}.with("X-Forwarded-For", "6.6.6.6")
	if e.call(direct, http.MethodPost, "/forms/good", ""); f.from[len(f.from)-1] != "192.0.2.1:0" {
		t.Errorf("the form believed %q", f.from[len(f.from)-1])
	}
	for path, want := range map[string]int{"/forms/bad": 404, "/forms/": 404, "/forms/good/other": 404} {
		if w := e.call(elsewhere, http.MethodGet, path, nil); w.Code != want {
			t.Errorf("%s: got %d, want %d", path, w.Code, want)
		}
	}
	if w := e.call(direct, http.MethodPut, "/forms/good", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: got %d", w.Code)
	}
	// nothing else is open to other sites because of that
	for _, path := range []string{"/api/session", "/api/setup", "/hooks/telegram/1", "/forms/good/other"} {
		if w := e.call(elsewhere, http.MethodPost, path, "{}"); w.Code != http.StatusForbidden {
			t.Errorf("POST %s from another site: got %d, want 403", path, w.Code)
		}
	}
}
