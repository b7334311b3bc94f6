package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/testsignal"
)

// holding is a Hold in the background that tells of each run.
type holding struct {
	leases *postgres.Leases
	began  testsignal.Signal[int64] // epochs
	ended  testsignal.Signal[error] // causes
	lost   *testsignal.Signal[string]
	stop   func() error
}

func hold(t *testing.T, pool *pgxpool.Pool, node string) *holding {
	t.Helper()
	h := &holding{leases: postgres.NewLeases(pool, node, slog.New(slog.NewTextHandler(t.Output(), nil)))}
	h.lost = h.leases.Hurry(t)
	h.began.Init(t)
	h.ended.Init(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- h.leases.Hold(ctx, "channel:1", func(ctx context.Context, epoch int64) error {
			h.began.Send(epoch)
			<-ctx.Done()
			h.ended.Send(context.Cause(ctx))
			return nil
		})
	}()
	stopped := false
	h.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = h.stop() })
	return h
}

func TestLeaseHasOneHolderAndIsHandedOver(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	a := hold(t, pool, "node-a")
	if epoch := a.began.Wait(t); epoch != 1 {
		t.Errorf("epoch %d, want 1", epoch)
	}
	b := hold(t, pool, "node-b")
	// a renews beyond its first term while b wants it
	first := one[time.Time](t, pool, `SELECT expires_at FROM lease`)
	testsignal.Until(t, "a has renewed twice", func() bool {
		return one[time.Time](t, pool, `SELECT expires_at FROM lease`).Sub(first) > 1600*time.Millisecond
	})
	select {
	case epoch := <-b.began.C():
		t.Fatalf("b runs at epoch %d while a holds the lease", epoch)
	default:
	}
	if err := postgres.CheckLease(t.Context(), pool, "channel:1", 1); err != nil {
		t.Errorf("the holder's check: %v", err)
	}
	if err := a.stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Hold returned %v, want the end of its context", err)
	}
	given := time.Now()
	if epoch := b.began.Wait(t); epoch != 2 {
		t.Errorf("epoch %d, want 2", epoch)
	}
	if took := time.Since(given); took > time.Second {
		t.Errorf("b began %s after a had given the lease back", took)
	}
	if err := postgres.CheckLease(t.Context(), pool, "channel:1", 1); !errors.Is(err, postgres.ErrLeaseLost) {
		t.Errorf("a's check after the end: %v, want ErrLeaseLost", err)
	}
}

func TestRestartedNodeTakesItsOwnLeaseAtOnce(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	run(t, pool, `INSERT INTO lease VALUES ('channel:1', 'node-a', 5, now() + interval '1 hour')`) // of before the kill
	if epoch := hold(t, pool, "node-a").began.Wait(t); epoch != 6 {
		t.Errorf("epoch %d, want 6", epoch)
	}
}

func TestLostLeaseEndsTheRun(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	a := hold(t, pool, "node-a")
	a.began.Wait(t)
	// a slept so long that another node took over and has ended since
	run(t, pool, `UPDATE lease SET node = 'node-b', epoch = epoch + 1, expires_at = now() + interval '1 second'`)
	if cause := a.ended.Wait(t); !errors.Is(cause, postgres.ErrLeaseLost) {
		t.Errorf("the run ended with %v, want ErrLeaseLost", cause)
	}
	a.lost.Wait(t)
	if epoch := a.began.Wait(t); epoch != 3 {
		t.Errorf("taken again at epoch %d, want 3", epoch)
	}
}

func TestHolderStopsBeforeItsTermEndsUnrenewed(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	a := hold(t, pool, "node-a")
	a.began.Wait(t)
	block, err := pool.Begin(t.Context()) // the database hangs for whoever wants to renew
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = block.Rollback(context.Background()) }()
	run(t, block, `LOCK TABLE lease IN SHARE MODE`)
	if cause := a.ended.Wait(t); !errors.Is(cause, postgres.ErrLeaseLost) {
		t.Errorf("the run ended with %v, want ErrLeaseLost", cause)
	}
	if one[bool](t, pool, `SELECT expires_at <= clock_timestamp() FROM lease`) {
		t.Error("the run went on after the end of its term")
	}
}

// What CheckLease let through is finished before anybody else can begin, and the holder's renewal does not wait for it.
func TestCheckedTransactionFencesTheNextHolder(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	run(t, pool, `INSERT INTO lease VALUES ('channel:1', 'node-a', 5, now() + interval '1 hour')`)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if err := postgres.CheckLease(t.Context(), tx, "channel:1", 5); err != nil {
		t.Fatal(err)
	}
	xid := one[string](t, tx, `SELECT pg_current_xact_id()::xid::text`)
	run(t, pool, `SET lock_timeout = '1s'; UPDATE lease SET expires_at = now() + interval '2 hours'`) // a renewal
	run(t, pool, `UPDATE lease SET expires_at = '-infinity'`)                                         // and its end

	if err := postgres.CheckLease(t.Context(), pool, "channel:1", 5); !errors.Is(err, postgres.ErrLeaseLost) {
		t.Errorf("a check after the end of the term: %v, want ErrLeaseLost", err)
	}
	b := hold(t, pool, "node-b")
	testsignal.Until(t, "b waits for the open transaction", func() bool {
		return one[bool](t, pool, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND transactionid = $1::text::xid)`, xid)
	})
	select {
	case <-b.began.C():
		t.Fatal("b began while a's transaction was open")
	default:
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch := b.began.Wait(t); epoch != 6 {
		t.Errorf("epoch %d, want 6", epoch)
	}
}

func TestRunThatReturnsIsStartedAgain(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	leases := postgres.NewLeases(pool, "node-a", slog.New(slog.DiscardHandler))
	leases.Hurry(t)
	ctx, cancel := context.WithCancel(t.Context())
	var epochs []int64
	err := leases.Hold(ctx, "queue:1", func(_ context.Context, epoch int64) error {
		if err := leases.Hold(ctx, "queue:1", nil); err == nil {
			t.Error("one process holds a lease twice")
		}
		if epochs = append(epochs, epoch); len(epochs) == 3 {
			cancel()
		}
		return errors.New("broken")
	})
	if !errors.Is(err, context.Canceled) || len(epochs) != 3 || epochs[2] != 3 {
		t.Errorf("epochs %v, error %v; want 1, 2, 3 and the end of the context", epochs, err)
	}
	if !one[bool](t, pool, `SELECT expires_at = '-infinity' FROM lease`) {
		t.Error("the lease was not given back")
	}
}

func TestCheckLeaseNeedsARow(t *testing.T) {
	t.Parallel()
	tx := dbtest.Tx(t)
	if err := postgres.CheckLease(t.Context(), tx, "nobody's", 1); !errors.Is(err, postgres.ErrLeaseLost) {
		t.Errorf("got %v, want ErrLeaseLost", err)
	}
}
