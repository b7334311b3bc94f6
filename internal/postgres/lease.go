package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/testsignal"
)

// leaseTimes are the times of a lease. Tests shorten them.
type leaseTimes struct {
	term   time.Duration // how long a lease is valid without renewal
	renew  time.Duration // how often it is renewed
	try    time.Duration // how often it is tried for, and a failed renewal repeated
	single time.Duration // limit of one statement; a renewal has two tries before the term is over
	margin time.Duration // the holder stops this long before others may begin
}

func defaultLeaseTimes() leaseTimes {
	return leaseTimes{term: 15 * time.Second, renew: 5 * time.Second, try: time.Second, single: 3 * time.Second, margin: 2 * time.Second}
}

// ErrLeaseLost is what CheckLease returns to whoever does not hold the lease any more: nothing of the transaction may
// be committed.
var ErrLeaseLost = errors.New("lease lost")

// The taking writes the key column to itself: that makes Postgres lock the row FOR UPDATE, so it waits for the
// transactions that passed CheckLease under the old epoch. A renewal does not, and is never kept waiting by them.
const (
	leaseFreeSQL = `SELECT NOT EXISTS (SELECT FROM lease WHERE name = $1 AND node <> $2 AND expires_at >= clock_timestamp())`
	leaseTakeSQL = `
INSERT INTO lease AS l (name, node, epoch, expires_at)
VALUES ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
ON CONFLICT (name) DO UPDATE
SET name = excluded.name, node = excluded.node, epoch = l.epoch + 1,
    expires_at = clock_timestamp() + make_interval(secs => $3)
WHERE l.expires_at < clock_timestamp() OR l.node = excluded.node
RETURNING epoch`
	leaseRenewSQL = `
UPDATE lease SET expires_at = clock_timestamp() + make_interval(secs => $4)
WHERE name = $1 AND node = $2 AND epoch = $3 AND expires_at >= clock_timestamp()`
	leaseGiveSQL  = `UPDATE lease SET expires_at = '-infinity' WHERE name = $1 AND node = $2 AND epoch = $3`
	leaseCheckSQL = `SELECT true FROM lease WHERE name = $1 AND epoch = $2 AND expires_at >= clock_timestamp() FOR KEY SHARE`
)

// Leases says which node owns what: a channel, a queue, a follower. The times are those of the database's clock.
type Leases struct {
	pool *pgxpool.Pool
	node string
	log  *slog.Logger
	leaseTimes

	mu   sync.Mutex
	held map[string]bool // names that a Hold of this process is after

	lost testsignal.Signal[string]
}

// NewLeases makes the leases of one node. Two running nodes must not have the same id: they would take each other's.
func NewLeases(pool *pgxpool.Pool, node string, log *slog.Logger) *Leases {
	return &Leases{pool: pool, node: node, log: log.With("component", "lease", "node", node), leaseTimes: defaultLeaseTimes(), held: map[string]bool{}}
}

// Hold runs run whenever this node has the lease, one run at a time, until ctx ends; then it gives the lease back, so
// that another node can go on at once. It tries every second for a lease that another node has. run's ctx ends when the
// lease is lost, or two seconds before it ends unrenewed; Hold waits for run to return before it tries
// again. When run returns by itself the lease is given back and tried for again after a second, which gives other nodes
// their chance. Whatever run commits it guards with CheckLease and its epoch.
func (l *Leases) Hold(ctx context.Context, name string, run func(ctx context.Context, epoch int64) error) error {
	if !l.claim(name) {
		return fmt.Errorf("lease %s: this process holds it already", name)
	}
	defer l.unclaim(name)
	for ctx.Err() == nil {
		sent := time.Now()
		epoch, err := l.take(ctx, name)
		switch {
		case err != nil && ctx.Err() == nil:
			l.log.WarnContext(ctx, "the lease cannot be asked for", "lease", name, "error", err)
		case epoch != 0:
			l.runHeld(ctx, name, epoch, sent, run)
		}
		pause(ctx, l.try)
	}
	return ctx.Err()
}

func (l *Leases) claim(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[name] {
		return false
	}
	l.held[name] = true
	return true
}

func (l *Leases) unclaim(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, name)
}

// take returns the epoch, 0 when another node has the lease. It looks before it takes: the taking would wait for the
// holder's transactions.
func (l *Leases) take(ctx context.Context, name string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, l.single)
	defer cancel()
	var free bool
	if err := l.pool.QueryRow(ctx, leaseFreeSQL, name, l.node).Scan(&free); err != nil || !free {
		return 0, err
	}
	var epoch int64
	err := l.pool.QueryRow(ctx, leaseTakeSQL, name, l.node, l.term.Seconds()).Scan(&epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return epoch, err
}

// runHeld runs run and renews the lease beside it.
func (l *Leases) runHeld(ctx context.Context, name string, epoch int64, taken time.Time, run func(context.Context, int64) error) {
	log := l.log.With("lease", name, "epoch", epoch)
	log.DebugContext(ctx, "lease taken")
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- run(runCtx, epoch) }()

	renewals := time.NewTimer(time.Until(taken.Add(l.renew)))
	defer renewals.Stop()
	until := taken.Add(l.term - l.margin)
	expires := time.NewTimer(time.Until(until))
	defer expires.Stop()
	lose := func(why error) {
		log.ErrorContext(ctx, "lease lost", "error", why)
		cancel(ErrLeaseLost)
		<-done
		l.lost.Send(name)
	}
	for {
		select {
		case err := <-done:
			if err != nil && ctx.Err() == nil {
				log.ErrorContext(ctx, "what the lease was held for has ended", "error", err)
			}
			l.giveBack(ctx, name, epoch)
			return
		case <-expires.C:
			lose(errors.New("not renewed in time"))
			l.giveBack(ctx, name, epoch)
			return
		case <-renewals.C:
			sent := time.Now() // the term counts from before the statement: the database's began after
			ours, err := l.prolong(ctx, name, epoch, until)
			switch {
			case err != nil:
				if ctx.Err() == nil {
					log.WarnContext(ctx, "lease not renewed; trying again", "error", err)
				}
				renewals.Reset(l.try)
			case !ours:
				lose(errors.New("another node has it"))
				return
			default:
				renewals.Reset(time.Until(sent.Add(l.renew)))
				until = sent.Add(l.term - l.margin)
				expires.Reset(time.Until(until))
			}
		}
	}
}

// prolong does not wait longer than until: the holder must have stopped by then.
func (l *Leases) prolong(ctx context.Context, name string, epoch int64, until time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, min(l.single, time.Until(until)))
	defer cancel()
	tag, err := l.pool.Exec(ctx, leaseRenewSQL, name, l.node, epoch, l.term.Seconds())
	return tag.RowsAffected() == 1, err
}

// giveBack lets others take the lease now instead of at its end. The row stays, so that epochs only grow.
func (l *Leases) giveBack(ctx context.Context, name string, epoch int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.margin)
	defer cancel()
	if _, err := l.pool.Exec(ctx, leaseGiveSQL, name, l.node, epoch); err != nil {
		l.log.WarnContext(ctx, "lease not given back; it ends by itself", "lease", name, "error", err)
	}
}

// CheckLease returns ErrLeaseLost unless the lease is held at this epoch now. It is called in the transaction that the
// lease guards: as long as that is open nobody else can take the lease, so what it commits was done by the holder.
func CheckLease(ctx context.Context, tx DB, name string, epoch int64) error {
	var held bool
	err := tx.QueryRow(ctx, leaseCheckSQL, name, epoch).Scan(&held)
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%w: %s at epoch %d", ErrLeaseLost, name, epoch)
	}
	if err != nil {
		return fmt.Errorf("check lease %s: %w", name, err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
