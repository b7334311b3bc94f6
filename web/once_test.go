package web

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/postgres"
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

// A crash in the middle: before the commit the work is done again, after it never.
func TestIdempotencyKeyAfterACrash(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	req := idem.Request{Agent: 1, Key: "k", Route: "POST /x", Hash: []byte("h")}
	claim, _, err := idem.Begin(e.ctx, e.pool, req)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() (*idem.Claim, error) {
		c, a, err := idem.Begin(e.ctx, e.pool, req)
		if a != nil {
			t.Errorf("got an answer: %+v", a)
		}
		return c, err
	}
	if _, err := begin(); !errs.Is(err, errs.Conflict) {
		t.Errorf("a running request was taken over: %v", err)
	}
	e.exec(`UPDATE idempotency SET at = at - interval '61 seconds'`)
	second, err := begin()
	if err != nil {
		t.Fatalf("the claim of a crashed request is not free: %v", err)
	}
	work := func(c *idem.Claim) error {
		ctx := idem.With(e.ctx, c)
		return postgres.InTx(ctx, e.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO hours (name, timezone) VALUES ('H', 'UTC')`); err != nil {
				return err
			}
			return idem.Done(ctx, tx)
		})
	}
	if err := work(claim); err == nil {
		t.Error("the slow first one did the work although its claim went to another")
	}
	if err := work(second); err != nil {
		t.Fatal(err)
	}
	// It crashes before it keeps its answer.
	e.exec(`UPDATE idempotency SET at = at - interval '1 hour'`)
	if _, err := begin(); !errs.Is(err, errs.Conflict) {
		t.Errorf("work that was committed can be done again: %v", err)
	}
	if n := e.count(`SELECT count(*) FROM hours`); n != 1 {
		t.Errorf("done %d times", n)
	}
	if err := idem.Done(context.Background(), nil); err != nil {
		t.Errorf("without a key: %v", err)
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
