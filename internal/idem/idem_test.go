package idem

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestStatements(t *testing.T) {
	t.Parallel()
	dbtest.Prepare(t, map[string]string{
		"claim": sqlClaim, "read": sqlRead, "done": sqlDone, "keep": sqlKeep, "free": sqlFree, "sweep": sqlSweep,
	})
}

// A crash in the middle: before the commit the work is done again, after it never.
func TestCrash(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	ctx := t.Context()
	exec := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	req := Request{Agent: 1, Key: "k", Route: "POST /x", Hash: []byte("h")}
	claim, _, err := Begin(ctx, pool, req)
	if err != nil {
		t.Fatal(err)
	}
	begin := func() (*Claim, error) {
		c, a, err := Begin(ctx, pool, req)
		if a != nil {
			t.Errorf("got an answer: %+v", a)
		}
		return c, err
	}
	if _, err := begin(); !errs.Is(err, errs.Conflict) {
		t.Errorf("a running request was taken over: %v", err)
	}
	exec(`UPDATE idempotency SET at = at - interval '61 seconds'`)
	second, err := begin()
	if err != nil {
		t.Fatalf("the claim of a crashed request is not free: %v", err)
	}
	work := func(c *Claim) error {
		ctx := With(ctx, c)
		return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO hours (name, timezone) VALUES ('H', 'UTC')`); err != nil {
				return err
			}
			return Done(ctx, tx)
		})
	}
	if err := work(claim); err == nil {
		t.Error("the slow first one did the work although its claim went to another")
	}
	if err := work(second); err != nil {
		t.Fatal(err)
	}
	// It crashes before it keeps its answer.
	exec(`UPDATE idempotency SET at = at - interval '1 hour'`)
	if _, err := begin(); !errs.Is(err, errs.Conflict) {
		t.Errorf("work that was committed can be done again: %v", err)
	}
	n := 0
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM hours`).Scan(&n); err != nil || n != 1 {
		t.Errorf("done %d times: %v", n, err)
	}
	if err := Done(context.Background(), nil); err != nil {
		t.Errorf("without a key: %v", err)
	}
}
