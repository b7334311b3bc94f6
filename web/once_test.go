package web

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/staff"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	other, _ := e.hire("other", staff.Admin, staff.ScopeAll)
	key := boss.with("Idempotency-Key", "k1")
	team := map[string]string{"name": "Sales"}
	one := e.call(key, "POST", "/api/teams", team)
	two := e.call(key, "POST", "/api/teams", team)
	if one.Code != 201 || two.Code != 201 || one.Body.String() != two.Body.String() || two.Header().Get("Idempotent-Replay") != "true" {
		t.Errorf("got %d %s and %d %s", one.Code, one.Body, two.Code, two.Body)
	}
	if one.Header().Get("Content-Type") != two.Header().Get("Content-Type") {
		t.Errorf("got %s and %s", one.Header().Get("Content-Type"), two.Header().Get("Content-Type"))
	}
	if p := e.want(422, key, "POST", "/api/teams", map[string]string{"name": "Support"}); errorAt(p) != "header.Idempotency-Key" {
		t.Errorf("got %v", p)
	}
	e.want(422, key, "POST", "/api/hours", team)
	e.want(409, other.with("Idempotency-Key", "k1"), "POST", "/api/teams", team) // his own key; the name is taken
	e.want(422, boss.with("Idempotency-Key", fmt.Sprintf("%0201d", 1)), "POST", "/api/teams", team)
	// What failed did nothing: the key is free again.
	e.want(422, boss.with("Idempotency-Key", "k2"), "POST", "/api/teams", map[string]string{"name": "\n"})
	e.want(201, boss.with("Idempotency-Key", "k2"), "POST", "/api/teams", map[string]string{"name": "Support"})
	// A secret is not kept: the repeat is told that it was done.
	token := map[string]any{"name": "x", "scopes": []string{"read"}}
	e.want(201, boss.with("Idempotency-Key", "k3"), "POST", "/api/tokens", token)
	if p := e.want(409, boss.with("Idempotency-Key", "k3"), "POST", "/api/tokens", token); p["code"] != "done" {
		t.Errorf("got %v", p)
	}
	if n := e.count(`SELECT count(*) FROM idempotency WHERE encode(body, 'escape') LIKE '%prl!_%' ESCAPE '!'`); n != 0 {
		t.Error("a secret was kept")
	}
	if n := e.count(`SELECT count(*) FROM api_token`); n != 1 {
		t.Errorf("%d tokens", n)
	}
	e.exec(`UPDATE idempotency SET at = now() - interval '25 hours' WHERE key = 'k1'`)
	e.want(409, key, "POST", "/api/teams", team) // a day later it is a new request
	if err := idem.Sweep(e.ctx, e.pool); err != nil {
		t.Error(err)
	}
}

// The same request ten times at once does its work once.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	var wg sync.WaitGroup
	var made atomic.Int64
	for range 10 {
		wg.Go(func() {
			switch w := e.call(boss.with("Idempotency-Key", "k"), "POST", "/api/hours", map[string]string{"name": "H", "timezone": "UTC"}); w.Code {
			case 201:
				made.Add(1)
			case 409:
			default:
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	if n := e.count(`SELECT count(*) FROM hours`); n != 1 || made.Load() < 1 {
		t.Errorf("%d hours were made, %d answers say so", n, made.Load())
	}
}

func TestPanicFreesTheKey(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	fail := true
	e.withRoutes(post("/api/x-panic", signedIn, raw(func(w http.ResponseWriter, _ *http.Request) error {
		if fail {
			panic("first")
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})))
	key := boss.with("Idempotency-Key", "k")
	e.want(500, key, "POST", "/api/x-panic", "{}")
	fail = false
	e.want(204, key, "POST", "/api/x-panic", "{}")
	e.want(204, key, "POST", "/api/x-panic", "{}")
}
