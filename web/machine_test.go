package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func TestUIFiles(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	br, gz := as{}.with("Accept-Encoding", "gzip, br;q=1.0"), as{}.with("Accept-Encoding", "gzip, br;q=0")
	page := as{}.with("Accept", "text/html,*/*")
	for _, c := range []struct {
		who          as
		path         string
		status       int
		body, coding string
		kind, cache  string
	}{
		{as{}, "/", 200, "<!doctype html><title>Parley</title>", "", "text/html; charset=utf-8", "no-cache"},
		{as{}, "/index.html", 200, "<!doctype html><title>Parley</title>", "", "text/html; charset=utf-8", "no-cache"},
		{page, "/inbox/42", 200, "<!doctype html><title>Parley</title>", "", "text/html; charset=utf-8", "no-cache"},
		{page.with("Accept-Encoding", "br"), "/inbox/42", 200, "BR-INDEX", "br", "text/html; charset=utf-8", "no-cache"},
		{br, "/assets/app-1a2b.js", 200, "BR", "br", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{gz, "/assets/app-1a2b.js", 200, "GZ", "gzip", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{as{}, "/assets/app-1a2b.js", 200, "console.log(1)", "", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{as{}, "/favicon.svg", 200, "<svg/>", "", "image/svg+xml", "no-cache"},
		{page, "/assets/app-0000.js", 404, "", "", "application/problem+json", "no-store"},
		{as{}, "/inbox/42", 404, "", "", "application/problem+json", "no-store"},
		{page, "/.gitkeep", 404, "", "", "application/problem+json", "no-store"},
		{page, "/api/nothing", 404, "", "", "application/problem+json", "no-store"},
	} {
		w := e.call(c.who, "GET", c.path, nil)
		h := w.Header()
		if w.Code != c.status || (c.status == 200 && w.Body.String() != c.body) || h.Get("Content-Encoding") != c.coding ||
			h.Get("Content-Type") != c.kind || h.Get("Cache-Control") != c.cache {
			t.Errorf("GET %s: got %d %q %v", c.path, w.Code, w.Body, h)
		}
	}
	tag := e.call(br, "GET", "/assets/app-1a2b.js", nil).Header().Get("ETag")
	if w := e.call(br.with("If-None-Match", tag), "GET", "/assets/app-1a2b.js", nil); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := e.call(as{}.with("If-None-Match", tag), "GET", "/assets/app-1a2b.js", nil); w.Code != 200 {
		t.Errorf("the tag of another coding: got %d", w.Code)
	}
	if w := e.call(as{}, "HEAD", "/", nil); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d %s", w.Code, w.Body)
	}
}

// Addresses that are cleaned are redirected within the house only.
func TestNoOpenRedirect(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, target := range []string{"//evil.example", "//evil.example/..", "/\\\\evil.example", "/%2f%2fevil.example", "/api/..//evil.example", "/api", "/./evil"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: target}
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if to := w.Header().Get("Location"); to != "" {
			if u, err := url.Parse(to); err != nil || u.Host != "" || strings.HasPrefix(to, "//") || strings.Contains(to, "\\") {
				t.Errorf("%s goes to %q", target, to)
			}
		}
		if w.Header().Get("Content-Security-Policy") != csp {
			t.Errorf("%s: no headers on a redirect", target)
		}
	}
}

func TestUINotBuilt(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(_ *Config, d *Deps) { d.UI = fstest.MapFS{".gitkeep": &fstest.MapFile{}} })
	w := e.call(as{}.with("Accept", "text/html"), "GET", "/", nil)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "make build") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	lag := 3 * time.Second
	e := newEdge(t, func(c *Config, d *Deps) {
		c.BaseURL = "http://192.0.2.1:8080"
		d.SpineLag = func() time.Duration { return lag }
	})
	got := e.want(200, as{}, "GET", "/readyz", nil)
	if got["ready"] != true || got["spine_lag_s"] != 3.0 || got["schema_version"].(float64) < 4 || len(got["warnings"].([]any)) != 2 {
		t.Errorf("got %v", got)
	}
	if w := fmt.Sprint(got["warnings"]); !strings.Contains(w, "PARLEY_BASE_URL") || !strings.Contains(w, "spine") {
		t.Errorf("got %s", w)
	}
	e.pool.Close()
	got = e.want(503, as{}, "GET", "/readyz", nil)
	if got["ready"] != false || got["database"] != false {
		t.Errorf("got %v", got)
	}
	e.want(200, as{}, "GET", "/healthz", nil)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	member, _ := e.hire("anna", staff.Member, staff.ScopeAll)
	local := as{remote: "127.0.0.1:5"}
	if w := e.call(local, "GET", "/metrics", nil); w.Code != 200 || !strings.Contains(w.Body.String(), `route="/api/session"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	e.want(401, local.with("X-Forwarded-For", "198.51.100.1"), "GET", "/metrics", nil) // through a local proxy
	e.want(401, as{}, "GET", "/metrics", nil)
	e.want(403, member, "GET", "/metrics", nil)
	e.want(200, boss, "GET", "/metrics", nil)
	tok := e.want(201, boss, "POST", "/api/tokens", map[string]any{"name": "prometheus", "scopes": []string{"read", "settings.manage"}})
	e.want(200, as{token: tok["secret"].(string)}, "GET", "/metrics", nil)
}

type hooksFunc func(kind string, id int64) (http.Handler, error)

func (f hooksFunc) Hook(kind string, id int64) (http.Handler, error) { return f(kind, id) }

func TestHooks(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(_ *Config, d *Deps) {
		d.Hooks = hooksFunc(func(kind string, id int64) (http.Handler, error) {
			if kind != "telegram" || id != 7 {
				return nil, errs.New(errs.NotFound, "There is no such channel.")
			}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Secret") != "s" {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				b, err := io.ReadAll(r.Body)
				var tooLarge *http.MaxBytesError
				if errors.As(err, &tooLarge) {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return
				}
				_, _ = fmt.Fprint(w, r.Method, len(b))
			}), nil
		})
	})
	good := as{}.with("X-Secret", "s")
	for _, c := range []struct {
		who          as
		method, path string
		n            int
		status       int
		body         string
	}{
		{good, "POST", "/hooks/telegram/7", 3, 200, "POST3"},
		{good, "GET", "/hooks/telegram/7", 0, 200, "GET0"},
		{good, "POST", "/hooks/telegram/7", 2 << 20, 200, "POST2097152"},
		{good, "POST", "/hooks/telegram/7", hookLimit + 2, 413, ""},
		{as{}, "POST", "/hooks/telegram/7", 3, 401, ""},
		{good, "POST", "/hooks/telegram/8", 3, 404, ""},
		{good, "POST", "/hooks/smoke/7", 3, 404, ""},
		{good, "POST", "/hooks/telegram/x", 3, 404, ""},
		{good, "POST", "/hooks/telegram/-7", 3, 404, ""},
		{good, "POST", "/hooks/telegram/7/more", 3, 404, ""},
	} {
		w := e.call(c.who, c.method, c.path, strings.Repeat("x", c.n))
		if w.Code != c.status || (c.body != "" && w.Body.String() != c.body) {
			t.Errorf("%s %s (%d bytes): got %d %s", c.method, c.path, c.n, w.Code, w.Body)
		}
	}
}

func TestLiveKnowsTheCaller(t *testing.T) {
	t.Parallel()
	var agent, session int64
	var access staff.Access
	e := newEdge(t, func(_ *Config, d *Deps) {
		d.Live = liveFunc(func(w http.ResponseWriter, r *http.Request, a, s int64) {
			agent, session, access = a, s, staff.AccessFrom(r.Context())
			if _, limited := r.Context().Deadline(); limited {
				t.Error("a socket has a deadline")
			}
			w.WriteHeader(http.StatusOK)
		})
	})
	who, id := e.hire("anna", staff.Supervisor, staff.ScopeTeam)
	e.want(401, as{}, "GET", "/api/live", nil)
	e.want(200, who, "GET", "/api/live", nil)
	if fmt.Sprint(agent) != id || session == 0 || access.AgentID != ids.ID(agent) {
		t.Errorf("got %d %d %+v", agent, session, access)
	}
	e.want(200, who.with("Origin", "http://127.0.0.1:8080"), "GET", "/api/live", nil)
	tok := e.want(201, who, "POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"read"}})
	e.want(200, as{token: tok["secret"].(string)}, "GET", "/api/live", nil)
	if fmt.Sprint(agent) != id || session != 0 || access.TokenID == 0 {
		t.Errorf("got %d %d %+v", agent, session, access)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	for i := range 5 {
		e.want(201, boss, "POST", "/api/teams", map[string]any{"name": fmt.Sprint("T", i)})
	}
	var names []string
	cursor := ""
	for range 10 {
		got := e.want(200, boss, "GET", "/api/teams?limit=2&cursor="+cursor, nil)
		for _, it := range got["items"].([]any) {
			names = append(names, it.(map[string]any)["name"].(string))
		}
		if got["next_cursor"] == nil {
			break
		}
		cursor = got["next_cursor"].(string)
	}
	if fmt.Sprint(names) != "[T0 T1 T2 T3 T4]" {
		t.Errorf("got %v", names)
	}
	for _, q := range []string{"cursor=x", "cursor=%00", "limit=0", "limit=99999", "limit=x"} {
		e.want(422, boss, "GET", "/api/teams?"+q, nil)
	}
	if got := e.want(200, boss, "GET", "/api/hours", nil); fmt.Sprint(got) != "map[items:[] next_cursor:<nil>]" {
		t.Errorf("got %v", got)
	}
	for _, path := range []string{"/api/agents/x", "/api/agents/-1", "/api/agents/99999999999999999999", "/api/agents/1.5"} {
		e.want(422, boss, "GET", path, nil)
	}
	e.want(404, boss, "GET", "/api/agents/999", nil)
	e.want(422, boss, "GET", "/api/audit?cursor=x", nil)
	if got := e.want(200, boss, "GET", "/api/audit", nil); got["items"] == nil {
		t.Errorf("got %v", got)
	}
}

func TestRunServesAndStops(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(c *Config, _ *Deps) { c.Listen = "127.0.0.1:0" })
	addr, err := e.Listen(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(e.ctx)
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(e.ctx, http.MethodGet, "http://"+addr.String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil || string(b) != "ok\n" {
		t.Errorf("%q %v", b, err)
	}
	// A header of a megabyte is refused before it is held.
	var d net.Dialer
	conn, err := d.DialContext(e.ctx, "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 1<<20))
	reply, _ := io.ReadAll(conn)
	_ = conn.Close()
	if len(reply) > 0 && !strings.HasPrefix(string(reply), "HTTP/1.1 431") {
		t.Errorf("got %.60q", reply)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for base, ok := range map[string]bool{
		"https://hub.example": true, "http://localhost:8080": true, "https://hub.example/": true, "ftp://x": false, "hub.example": false,
		"https://hub.example/parley": false, "https://": false,
	} {
		if _, err := New(Config{BaseURL: base}, Deps{}); (err == nil) != ok {
			t.Errorf("%s: %v", base, err)
		}
	}
	for base, insecure := range map[string]bool{
		"https://hub.example": false, "http://localhost:1": false, "http://127.0.0.1:1": false, "http://[::1]:1": false,
		"http://192.168.1.5": true, "http://hub.example": true, "http://0.0.0.0:8080": true,
	} {
		s, err := New(Config{BaseURL: base}, Deps{})
		if err != nil || s.insecure() != insecure {
			t.Errorf("%s: %v", base, err)
		}
	}
}
