package events

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/testsignal"
)

// careless gives everybody the lease at once: a node that was paused does not know yet that it lost it.
type careless struct{}

func (careless) Hold(ctx context.Context, _ string, run func(ctx context.Context, epoch int64) error) error {
	return run(ctx, 1)
}

func newSpine(t *testing.T, pool *pgxpool.Pool) *spine {
	t.Helper()
	s := &spine{pool: pool, bus: newBus(t), log: &eventLog{}}
	s.Tailer = NewTailer(pool, s.bus, quiet())
	return s
}

// follow starts a tailer with followers.
func (s *spine) follow(t *testing.T, fs ...Follower) (stop func()) {
	t.Helper()
	followers := NewFollowers(s.pool, s.Tailer, careless{}, quiet(), fs...)
	followers.retry = time.Millisecond
	stopTailer := run(t, s.Run)
	<-s.Started()
	stopFollowers := run(t, followers.Run)
	return func() {
		stopFollowers()
		stopTailer()
	}
}

func copyTable(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `CREATE TABLE copied (n int, place bigint GENERATED ALWAYS AS IDENTITY)`); err != nil {
		t.Fatal(err)
	}
}

func copies(t *testing.T, pool *pgxpool.Pool) []int {
	t.Helper()
	rows, err := pool.Query(t.Context(), `SELECT n FROM copied ORDER BY place`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func copier(t *testing.T) func(ctx context.Context, tx pgx.Tx, evs []Event) error {
	return func(ctx context.Context, tx pgx.Tx, evs []Event) error {
		if len(evs) > followBatch {
			t.Errorf("%d events in one transaction", len(evs))
		}
		for _, e := range evs {
			if _, err := tx.Exec(ctx, `INSERT INTO copied (n) VALUES ($1)`, num(t, e)); err != nil {
				return err
			}
		}
		return nil
	}
}

func waitCopies(t *testing.T, pool *pgxpool.Pool, n int) []int {
	t.Helper()
	testsignal.Until(t, fmt.Sprintf("%d copies", n), func() bool { return len(copies(t, pool)) >= n })
	return copies(t, pool)
}

// TestTwoNodesApplyOnce runs two nodes that both believe to hold the lease, and ends and restarts one.
func TestTwoNodesApplyOnce(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	copyTable(t, pool)
	const total = 1500
	f := func() Follower { return Follower{Name: "copy", FromStart: true, Handle: copier(t)} }
	write(t, pool, some(0, 600)...)
	a, b := newSpine(t, pool), newSpine(t, pool)
	a.follow(t, f())
	stop := b.follow(t, f())
	for n := 600; n < total; n += 3 {
		write(t, pool, some(n, n+3)...)
		Wake(a.bus)
		Wake(b.bus)
		if n == 900 {
			stop()
			newSpine(t, pool).follow(t, f())
		}
	}
	if diff := cmp.Diff(upTo(0, total), waitCopies(t, pool, total)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAfterComesAfterTheCommit: whoever is woken by it finds what was written, and a failure wakes nobody.
func TestAfterComesAfterTheCommit(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	copyTable(t, pool)
	seen := make(chan int, 8)
	var failed atomic.Bool
	good := copier(t)
	s := newSpine(t, pool)
	s.follow(t, Follower{
		Name: "hint", FromStart: true,
		Handle: func(ctx context.Context, tx pgx.Tx, evs []Event) error {
			if err := good(ctx, tx, evs); err != nil || !failed.CompareAndSwap(false, true) {
				return err
			}
			return errors.New("the first time fails")
		},
		After: func() {
			var n int
			if err := pool.QueryRow(context.WithoutCancel(t.Context()), `SELECT count(*) FROM copied`).Scan(&n); err != nil {
				t.Error(err)
			}
			seen <- n
		},
	})
	write(t, pool, some(0, 1)...)
	Wake(s.bus)
	if n := <-seen; n != 1 {
		t.Errorf("%d rows were there, want the one that was committed", n)
	}
}

func TestPoisonIsParked(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	copyTable(t, pool)
	write(t, pool, some(0, 40)...)
	var tries [2]atomic.Int32
	good := copier(t)
	s := newSpine(t, pool)
	s.follow(t, Follower{Name: "picky", FromStart: true, Handle: func(ctx context.Context, tx pgx.Tx, evs []Event) error {
		for _, e := range evs {
			switch num(t, e) {
			case 7:
				if len(evs) == 1 {
					tries[0].Add(1)
				}
				return errors.New("seven is bad\x00\xff")
			case 21:
				if len(evs) == 1 {
					tries[1].Add(1)
				}
				panic("twenty-one is worse")
			}
		}
		return good(ctx, tx, evs)
	}})
	want := []int{}
	for n := range 40 {
		if n != 7 && n != 21 {
			want = append(want, n)
		}
	}
	if diff := cmp.Diff(want, waitCopies(t, pool, len(want))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.write(t, ev(40))
	waitCopies(t, pool, len(want)+1)
	parked, err := ParkedEvents(t.Context(), pool, 10)
	if err != nil || len(parked) != 2 || parked[0].Follower != "picky" || parked[1].Error != "seven is bad\uFFFD" {
		t.Errorf("parked: %+v, %v", parked, err)
	}
	for i := range tries {
		if n := tries[i].Load(); n != poisonTries {
			t.Errorf("poison %d was tried %d times, want %d", i, n, poisonTries)
		}
	}
}

func TestPassingTroubleParksNothing(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	copyTable(t, pool)
	var n atomic.Int32
	good := copier(t)
	s := newSpine(t, pool)
	s.follow(t, Follower{Name: "patient", Handle: func(ctx context.Context, tx pgx.Tx, evs []Event) error {
		switch i := n.Add(1); {
		case i == 3:
			_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
			return err
		case i <= poisonTries+2:
			return errs.Temporary(errors.New("come again"))
		}
		return good(ctx, tx, evs)
	}})
	s.write(t, some(0, 3)...)
	if diff := cmp.Diff(upTo(0, 3), waitCopies(t, pool, 3)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if parked, err := ParkedEvents(t.Context(), pool, 10); err != nil || len(parked) != 0 {
		t.Errorf("parked: %+v, %v", parked, err)
	}
}

// TestNewFollower: one begins with what comes, one with all there is, one takes only some kinds.
func TestNewFollower(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	write(t, pool, some(0, 3)...)
	var mu sync.Mutex
	got := map[string][]int{}
	note := func(name string) func(context.Context, pgx.Tx, []Event) error {
		return func(_ context.Context, _ pgx.Tx, evs []Event) error {
			mu.Lock()
			defer mu.Unlock()
			got[name] = append(got[name], nums(t, evs)...)
			return nil
		}
	}
	s := newSpine(t, pool)
	s.follow(t,
		Follower{Name: "late", Handle: note("late")},
		Follower{Name: "whole", FromStart: true, Handle: note("whole")},
		Follower{Name: "choosy", FromStart: true, Kinds: []string{"other."}, Handle: note("choosy")},
	)
	testsignal.Until(t, "all have begun", func() bool {
		var n int
		return pool.QueryRow(t.Context(), `SELECT count(*) FROM follower`).Scan(&n) == nil && n == 3
	})
	other := ev(3)
	other.Kind = "other.made"
	s.write(t, other, ev(4))
	testsignal.Until(t, "all have read", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got["late"]) == 2 && len(got["whole"]) == 5 && len(got["choosy"]) == 1
	})
	want := map[string][]int{"late": {3, 4}, "whole": {0, 1, 2, 3, 4}, "choosy": {3}}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPace: a follower that need not be quick gathers events; what has piled up it takes at once.
func TestPace(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	copyTable(t, pool)
	const total = 2*followBatch + 100
	var runs atomic.Int64
	write(t, pool, some(0, 2*followBatch)...)
	s := newSpine(t, pool)
	s.follow(t, Follower{Name: "slow", FromStart: true, Pace: 300 * time.Millisecond, Handle: func(ctx context.Context, tx pgx.Tx, evs []Event) error {
		runs.Add(1)
		return copier(t)(ctx, tx, evs)
	}})
	waitCopies(t, pool, 2*followBatch)
	began := time.Now()
	for n := 2 * followBatch; n < total; n++ {
		write(t, pool, some(n, n+1)...)
		Wake(s.bus)
	}
	if diff := cmp.Diff(upTo(0, total), waitCopies(t, pool, total)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if most := 4 + int64(time.Since(began)/(300*time.Millisecond)); runs.Load() > most {
		t.Errorf("%d transactions, at most %d would do", runs.Load(), most)
	}
}
