package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// withRoutes binds more routes, with their guard, for tests of the guard itself.
func (e *edge) withRoutes(rts ...route) {
	for _, rt := range rts {
		e.gate.next = &rt
		rt.handle(e.Server, e.api, e.operation(rt))
	}
	e.gate.next = nil
}

// TestHeaders: every answer carries them, whatever went wrong.
func TestHeaders(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(c *Config, _ *Deps) { c.BaseURL = "https://hub.example" })
	e.withRoutes(
		get("/api/x-panic", public, raw(func(http.ResponseWriter, *http.Request) error { panic("a canary in a panic") })),
		get("/api/x-error", public, raw(func(http.ResponseWriter, *http.Request) error { return errors.New("a secret detail") })),
	)
	who, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	for _, c := range []struct {
		who          as
		method, path string
		body         string
		status       int
		code         string
	}{
		{who, "GET", "/api/me", "", 200, ""},
		{who, "DELETE", "/api/sessions/999", "", 404, "not_found"},
		{as{}, "GET", "/api/me", "", 401, "unauthenticated"},
		{as{}, "GET", "/api/nothing", "", 404, "not_found"},
		{as{}, "PUT", "/api/agents", "", 405, "method_not_allowed"},
		{as{}, "GET", "/hooks/telegram", "", 404, "not_found"},
		{who, "POST", "/api/teams", `{"name":`, 400, "invalid"},
		{who, "POST", "/api/teams", `{"name":5}`, 422, "invalid"},
		{who, "POST", "/api/teams", "", 400, "invalid"},
		{who, "POST", "/api/teams", `{"name":"` + strings.Repeat("x", jsonLimit) + `"}`, 413, "too_large"},
		{who.with("Content-Type", "text/csv"), "POST", "/api/teams", `{"name":"x"}`, 415, "unsupported_media_type"},
		{who.with("Origin", "https://evil.example"), "POST", "/api/teams", "{}", 403, "cross_origin"},
		{as{}, "GET", "/api/x-panic", "", 500, "internal"},
		{as{}, "GET", "/api/x-error", "", 500, "internal"},
		{as{}, "GET", "/", "", 200, ""},
		{as{}, "GET", "/assets/missing.js", "", 404, "not_found"},
		{as{}, "POST", "/somewhere", "", 404, "not_found"},
		{as{}, "GET", "/healthz", "", 200, ""},
		{as{}, "GET", "/readyz", "", 200, ""},
		{as{}, "GET", "/metrics", "", 401, "unauthenticated"},
	} {
		w := e.call(c.who, c.method, c.path, c.body)
		name := c.method + " " + c.path
		if w.Code != c.status {
			t.Errorf("%s: got %d %.200s, want %d", name, w.Code, w.Body, c.status)
		}
		h := w.Header()
		for k, want := range map[string]string{
			"Content-Security-Policy": csp, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Strict-Transport-Security": "max-age=31536000", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if h.Get(k) != want {
				t.Errorf("%s: %s is %q", name, k, h.Get(k))
			}
		}
		if h.Get("X-Request-Id") == "" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %v", name, h)
		}
		if strings.HasPrefix(c.path, "/api/") && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control is %q", name, h.Get("Cache-Control"))
		}
		if c.code == "" {
			continue
		}
		var p struct {
			Type, Title, Detail, Code string
			Status                    int
			ErrorID                   string `json:"error_id"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v, type %s, %.200s", name, err, h.Get("Content-Type"), w.Body)
			continue
		}
		if p.Status != c.status || p.Code != c.code || p.Type == "" || p.Title == "" || p.Detail == "" {
			t.Errorf("%s: got %+v", name, p)
		}
		if c.status == 500 {
			if strings.Contains(w.Body.String(), "canary") || strings.Contains(w.Body.String(), "secret detail") {
				t.Errorf("%s tells too much: %s", name, w.Body)
			}
			if p.ErrorID == "" || !strings.Contains(e.logs.String(), p.ErrorID) {
				t.Errorf("%s: error id %q is not in the log", name, p.ErrorID)
			}
		}
	}
	if w := e.call(as{}, "PUT", "/api/teams/5", ""); w.Header().Get("Allow") != "PATCH, DELETE" {
		t.Errorf("Allow: %q", w.Header().Get("Allow"))
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	conflict := errs.New(errs.Conflict, "It belongs to somebody.")
	conflict.Extra = map[string]any{"contact_id": "7", "status": 200, "code": "taken"}
	for _, c := range []struct {
		err    error
		status int
		want   string
	}{
		{errs.Field("name", "must not be empty"), 422, `{"code":"invalid","detail":"name must not be empty","errors":[{"location":"body.name","message":"must not be empty"}],"status":422,"title":"Unprocessable Entity","type":"about:blank"}`},
		{errs.Field("query.cursor", "is wrong"), 422, `"location":"query.cursor"`},
		{fmt.Errorf("deep down: %w", errs.New(errs.NotFound, "There is no such thing.")), 404, `"detail":"There is no such thing."`},
		{conflict, 409, `{"code":"taken","contact_id":"7","detail":"It belongs to somebody.","status":409,"title":"Conflict","type":"about:blank"}`},
		{errs.Temporary(errors.New("x")), 503, `"code":"unavailable"`},
		{&errs.E{Code: errs.Internal, Msg: "hidden", Err: errors.New("hidden")}, 500, `"code":"internal"`},
		{errors.New("hidden"), 500, `"code":"internal"`},
		{&http.MaxBytesError{Limit: hookLimit}, 413, "10 MB"},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		e.fail(w, r, c.err)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || strings.Contains(w.Body.String(), "hidden") {
			t.Errorf("%v: got %d %s", c.err, w.Code, w.Body)
		}
	}
}

// Fields that a caller does not own are refused, known or not, and nothing changes.
func TestUnknownAndReadOnlyFields(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, id := e.hire("boss", staff.Admin, staff.ScopeAll)
	before := e.want(http.StatusOK, boss, "GET", "/api/agents/"+id, nil)
	for field, v := range map[string]any{
		"id": "99", "email": "x@hub.example", "created_at": "2020-01-01T00:00:00Z", "status": "online", "password": "x", "password_hash": "x",
		"is_admin": true, "$schema": "x",
	} {
		p := e.want(http.StatusUnprocessableEntity, boss, "PATCH", "/api/agents/"+id, map[string]any{"version": 1, "name": "Changed", field: v})
		if at := errorAt(p); at != "body."+field {
			t.Errorf("%s: refused at %s", field, at)
		}
	}
	for _, in := range []map[string]any{{"version": 2}, {"role": "admin"}, {"permissions": []string{"x"}}} {
		e.want(http.StatusUnprocessableEntity, boss, "PATCH", "/api/me", in)
	}
	after := e.want(http.StatusOK, boss, "GET", "/api/agents/"+id, nil)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("before %v\nafter %v", before, after)
	}
	if p := e.want(http.StatusConflict, boss, "PATCH", "/api/agents/"+id, map[string]any{"version": 99, "name": "X"}); p["version"] != float64(1) {
		t.Errorf("got %v", p)
	}
}

// What was typed as a secret does not come back in an error.
func TestSecretsAreNotEchoed(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const canary = "canary-5a1f-secret"
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/api/session", map[string]any{"email": "x", "password": strings.Repeat(canary, 400)}},
		{"POST", "/api/session", map[string]any{"email": "x", "password": []string{canary}}},
		{"POST", "/api/session", `{"email": "x", "password": "` + canary + `"`},
		{"POST", "/api/setup", map[string]any{"token": strings.Repeat(canary, 50)}},
		{"POST", "/api/me/password", map[string]any{"current": canary, "password": canary}},
		{"POST", "/api/me/password", map[string]any{"current": 5, "password": map[string]string{"x": canary}}},
		{"POST", "/api/tokens", map[string]any{"name": "x", "password": []any{canary}}},
		{"POST", "/api/channels", map[string]any{"kind": "telegram", "name": "x", "settings": canary, "secret": canary}},
	} {
		if w := e.call(boss, c.method, c.path, c.body); w.Code < 400 || strings.Contains(w.Body.String(), canary) {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
	// Nor are hashes or secrets in anything that is listed.
	e.want(http.StatusCreated, boss, "POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"read"}})
	for _, path := range []string{"/api/agents", "/api/me", "/api/sessions", "/api/tokens", "/api/invitations", "/api/settings"} {
		body := e.call(boss, "GET", path, nil).Body.String()
		for _, bad := range []string{"argon2", "hash", `"secret"`, boss.cookie} {
			if strings.Contains(body, bad) {
				t.Errorf("GET %s shows %q: %s", path, bad, body)
			}
		}
	}
}

// TestLogsHoldNoSecret: no password, session, token or link gets into the log at any level.
func TestLogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const typed = "canary kettle 77 violin"
	link, _, err := e.hub.EnsureSetupLink(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, link)
	e.call(as{}, "GET", "/setup?token="+token, nil)
	e.call(as{}, "GET", "/api/setup?token="+token, nil)
	w := e.call(as{}, "POST", "/api/setup", map[string]string{"token": token, "name": "A", "email": "a@hub.example", "password": typed})
	who := as{cookie: cookieOf(t, w).Value}
	e.call(as{}, "POST", "/api/session", map[string]string{"email": "a@hub.example", "password": typed + " wrong"})
	e.call(as{}, "POST", "/api/session", map[string]string{"email": typed, "password": typed})
	inv := e.want(http.StatusCreated, who, "POST", "/api/invitations", map[string]any{"email": "b@hub.example"})
	e.call(as{}, "GET", "/api/invitations/accept?token="+tokenOf(t, inv["link"].(string)), nil)
	tok := e.want(http.StatusCreated, who, "POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"read"}})
	e.call(as{token: tok["secret"].(string)}, "GET", "/api/me", nil)
	e.call(who, "POST", "/api/me/password", map[string]string{"current": typed, "password": "canary second choice 5"})
	e.call(who, "POST", "/api/me/password", `{"current": "canary third`)
	all := e.logs.String()
	if !strings.Contains(all, "/api/setup") {
		t.Fatal("nothing was logged")
	}
	for _, secret := range []string{"canary", token, who.cookie, tok["secret"].(string), tokenOf(t, inv["link"].(string))} {
		if strings.Contains(all, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if n := e.count(`SELECT count(*) FROM event WHERE payload::text LIKE '%canary%' OR payload::text LIKE '%prl!_%' ESCAPE '!' AND payload::text LIKE '%' || $1 || '%'`, tok["secret"]); n != 0 {
		t.Errorf("%d events hold a secret", n)
	}
}

// A database that is away is nobody's mistake and passes: 503, and the client asks again.
func TestLostDatabase(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	_, noServer := pgconn.Connect(t.Context(), "host=/nowhere connect_timeout=1")
	for name, err := range map[string]error{
		"no server":                 noServer,
		"the connection broke":      &net.OpError{Op: "read", Err: syscall.ECONNRESET},
		"it ended in an answer":     io.ErrUnexpectedEOF,
		"it crashed":                &pgconn.PgError{Code: "57P02"},
		"it is starting":            &pgconn.PgError{Code: "57P03"},
		"it has no connection free": &pgconn.PgError{Code: "53300"},
	} {
		if p := e.problem(t.Context(), fmt.Errorf("read session: %w", err)); p.Status != http.StatusServiceUnavailable || p.GetHeaders().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", name, p.Status, p.Detail)
		}
	}
}
