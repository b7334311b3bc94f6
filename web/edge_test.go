package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const goodPassword = "correct zebra lamp 42"

// quietBus drops hints.
type quietBus struct{}

func (quietBus) Publish(string, []byte) error { return nil }
func (quietBus) Subscribe(string, func(string, []byte)) (func(), error) {
	return func() {}, nil
}
func (quietBus) Close() {}

// edge is a hub's HTTP side on a database of its own.
type edge struct {
	*Server
	t    *testing.T
	ctx  context.Context
	pool *pgxpool.Pool
	hub  *staff.Service
	logs *logs
}

// logs keeps everything that is logged, at every level.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func builtUI() fs.FS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		".gitkeep": file(""), "index.html": file("<!doctype html><title>Parley</title>"), "index.html.br": file("BR-INDEX"),
		"assets/app-1a2b.js": file("console.log(1)"), "assets/app-1a2b.js.br": file("BR"), "assets/app-1a2b.js.gz": file("GZ"),
		"favicon.svg": file("<svg/>"),
	}
}

func newEdge(t *testing.T, change ...func(*Config, *Deps)) *edge {
	t.Helper()
	pool, l := dbtest.DB(t), &logs{}
	log := slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := Config{BaseURL: "http://127.0.0.1:8080", Version: "test"}
	deps := Deps{Pool: pool, Log: log, UI: builtUI(), Metrics: prometheus.NewRegistry()}
	for _, c := range change {
		c(&cfg, &deps)
	}
	box, _, err := secret.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	hub := staff.New(staff.Config{BaseURL: cfg.BaseURL, Box: box}, pool, quietBus{}, log)
	deps.Staff = hub
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return &edge{Server: s, t: t, ctx: t.Context(), pool: pool, hub: hub, logs: l}
}

// as is who sends a request: a cookie, a token, headers.
type as struct {
	cookie, token string
	header        http.Header
	remote, host  string
}

func (a as) with(key, value string) as {
	h := http.Header{}
	for k, v := range a.header {
		h[k] = v
	}
	h.Set(key, value)
	a.header = h
	return a
}

// call sends one request; body is a string, or anything that becomes JSON.
func (e *edge) call(who as, method, path string, body any) *httptest.ResponseRecorder {
	e.t.Helper()
	var data string
	switch b := body.(type) {
	case nil:
	case string:
		data = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			e.t.Fatal(err)
		}
		data = string(raw)
	}
	r := httptest.NewRequest(method, path, strings.NewReader(data))
	r.RemoteAddr = "192.0.2.10:4711"
	if who.remote != "" {
		r.RemoteAddr = who.remote
	}
	if who.host != "" {
		r.Host = who.host
	}
	if data != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range who.header {
		r.Header[k] = v
	}
	if who.cookie != "" {
		r.AddCookie(&http.Cookie{Name: e.cookieName(), Value: who.cookie})
	}
	if who.token != "" {
		r.Header.Set("Authorization", "Bearer "+who.token)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

// want sends a request, checks its status and decodes the answer.
func (e *edge) want(status int, who as, method, path string, body any) map[string]any {
	e.t.Helper()
	w := e.call(who, method, path, body)
	if w.Code != status {
		e.t.Fatalf("%s %s: got %d %s, want %d", method, path, w.Code, w.Body, status)
	}
	out := map[string]any{}
	if strings.Contains(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			e.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return out
}

// hire makes an account and signs it in over HTTP.
func (e *edge) hire(name string, role staff.Role, scope staff.Scope) (who as, id string) {
	e.t.Helper()
	if _, err := e.hub.CreateAgent(e.ctx, name+"@hub.example", name, goodPassword, role, scope); err != nil {
		e.t.Fatal(err)
	}
	w := e.call(as{}, http.MethodPost, "/api/session", map[string]string{"email": name + "@hub.example", "password": goodPassword})
	if w.Code != http.StatusOK {
		e.t.Fatalf("sign-in of %s: %d %s", name, w.Code, w.Body)
	}
	var me Me
	if err := json.Unmarshal(w.Body.Bytes(), &me); err != nil {
		e.t.Fatal(err)
	}
	return as{cookie: cookieOf(e.t, w).Value}, me.Agent.ID.String()
}

func cookieOf(t *testing.T, w *httptest.ResponseRecorder) *http.Cookie {
	t.Helper()
	cs := w.Result().Cookies()
	if len(cs) != 1 {
		t.Fatalf("got %d cookies", len(cs))
	}
	return cs[0]
}

func (e *edge) count(sql string, args ...any) (n int) {
	e.t.Helper()
	if err := e.pool.QueryRow(e.ctx, sql, args...).Scan(&n); err != nil {
		e.t.Fatalf("%v\n%s", err, sql)
	}
	return n
}

func (e *edge) exec(sql string, args ...any) {
	e.t.Helper()
	if _, err := e.pool.Exec(e.ctx, sql, args...); err != nil {
		e.t.Fatalf("%v\n%s", err, sql)
	}
}

func tokenOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("token")
}

func errorAt(problem map[string]any) string {
	list, _ := problem["errors"].([]any)
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprint(list[0].(map[string]any)["location"])
}
