// Package idem makes a repeated request do its work once. A caller names a request by a key; the key is claimed before
// the work, and the answer is kept for 24 hours.
//
// Invariants. A key belongs to one caller and one request (route and hash): another request under it is refused. While
// a claim is open nobody else gets it. Done, called in the transaction that does the work, makes "claimed" and "done"
// one commit: whatever crashes, work that was committed is never done again under its key.
//
// Failure. A crash before the commit leaves an open claim, free again after Stale. A crash after it, before the answer
// was kept, leaves a claim that is done without an answer: the repeat gets ErrDone. Work that does not call Done can
// be repeated in that second case; it has to be harmless by itself then. A worker that was so slow that its claim went
// to another one fails in Done, so that its transaction rolls back.
package idem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// Keep is how long an answer is kept, Stale how long a claim holds without one; no request runs as long as that.
const (
	Keep  = 24 * time.Hour
	Stale = 60 * time.Second
)

// ran is the status of a claim whose work is committed and whose answer is not there (yet).
const ran = 0

// Request is what a key is claimed for.
type Request struct {
	Agent int64
	Key   string
	Route string
	Hash  []byte
}

// Claim is an open claim; it travels in the context.
type Claim struct {
	req Request
	at  time.Time // fences: a claim that was taken over has another time
}

// Answer is a kept answer.
type Answer struct {
	Status int
	Body   []byte
}

const sqlClaim = `
INSERT INTO idempotency AS i (agent_id, key, route, request_hash, at) VALUES ($1, $2, $3, $4, clock_timestamp())
ON CONFLICT (agent_id, key) DO UPDATE
SET route = excluded.route, request_hash = excluded.request_hash, status = NULL, body = NULL, at = excluded.at
WHERE i.at < now() - make_interval(secs => $5)
	OR (i.status IS NULL AND i.at < now() - make_interval(secs => $6) AND i.route = excluded.route AND i.request_hash = excluded.request_hash)
RETURNING at`

const sqlRead = `SELECT route = $3 AND request_hash = $4, status, body FROM idempotency WHERE agent_id = $1 AND key = $2`

const sqlDone = `
UPDATE idempotency SET status = 0 WHERE agent_id = $1 AND key = $2 AND at = $3 AND (status IS NULL OR status = 0)`

const sqlKeep = `UPDATE idempotency SET status = $4, body = $5 WHERE agent_id = $1 AND key = $2 AND at = $3`

const sqlFree = `DELETE FROM idempotency WHERE agent_id = $1 AND key = $2 AND at = $3 AND status IS NULL`

const sqlSweep = `DELETE FROM idempotency WHERE at < now() - make_interval(secs => $1)`

// Begin claims the key of a request. Exactly one of claim, kept and err is set: kept is the answer of an earlier,
// equal request. Errors: invalid (another request used the key), conflict (still running, or done without an answer).
func Begin(ctx context.Context, db postgres.DB, r Request) (claim *Claim, kept *Answer, err error) {
	if len(r.Key) == 0 || len(r.Key) > 200 {
		return nil, nil, errs.Field("header.Idempotency-Key", "must have 1 to 200 characters")
	}
	var at time.Time
	err = db.QueryRow(ctx, sqlClaim, r.Agent, r.Key, r.Route, r.Hash, Keep.Seconds(), Stale.Seconds()).Scan(&at)
	if err == nil {
		return &Claim{req: r, at: at}, nil, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	var same bool
	var status *int
	var body []byte
	err = db.QueryRow(ctx, sqlRead, r.Agent, r.Key, r.Route, r.Hash).Scan(&same, &status, &body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil, errRunning() // freed between the two statements; the caller comes again
	case err != nil:
		return nil, nil, fmt.Errorf("read idempotency key: %w", err)
	case !same:
		return nil, nil, errs.Field("header.Idempotency-Key", "was used for another request")
	case status == nil:
		return nil, nil, errRunning()
	case *status == ran || (body == nil && *status != 204):
		return nil, nil, errDone()
	}
	return nil, &Answer{Status: *status, Body: body}, nil
}

// Keep stores the answer. A nil body of anything but a 204 keeps only the fact (answers with a secret).
func (c *Claim) Keep(ctx context.Context, db postgres.DB, a Answer) error {
	if _, err := db.Exec(ctx, sqlKeep, c.req.Agent, c.req.Key, c.at, a.Status, a.Body); err != nil {
		return fmt.Errorf("keep answer: %w", err)
	}
	return nil
}

// Free gives the key back after a request that did nothing. A claim that is done stays.
func (c *Claim) Free(ctx context.Context, db postgres.DB) error {
	if _, err := db.Exec(ctx, sqlFree, c.req.Agent, c.req.Key, c.at); err != nil {
		return fmt.Errorf("free idempotency key: %w", err)
	}
	return nil
}

type claimKey struct{}

// With puts an open claim into the context of the work.
func With(ctx context.Context, c *Claim) context.Context {
	return context.WithValue(ctx, claimKey{}, c)
}

// Done marks the claim of ctx as done, in the transaction that does the work. Without a claim it does nothing. It may
// be called more than once.
func Done(ctx context.Context, tx postgres.DB) error {
	c, ok := ctx.Value(claimKey{}).(*Claim)
	if !ok {
		return nil
	}
	tag, err := tx.Exec(ctx, sqlDone, c.req.Agent, c.req.Key, c.at)
	if err != nil {
		return fmt.Errorf("mark idempotency key: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errRunning()
	}
	return nil
}

// Sweep forgets what is older than Keep.
func Sweep(ctx context.Context, db postgres.DB) error {
	if _, err := db.Exec(ctx, sqlSweep, Keep.Seconds()); err != nil {
		return fmt.Errorf("forget idempotency keys: %w", err)
	}
	return nil
}

func errRunning() error {
	e := errs.New(errs.Conflict, "The same request is still running.")
	e.Extra = map[string]any{"code": "running", "retry_after": 1}
	return e
}

func errDone() error {
	e := errs.New(errs.Conflict, "The same request was carried out before; its answer is not kept. Read the list again.")
	e.Extra = map[string]any{"code": "done"}
	return e
}
