package events

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/testsignal"
)

// TestTailerMissesNothing lets 32 writers commit out of order, dawdle and roll back.
func TestTailerMissesNothing(t *testing.T) {
	s := startSpine(t, dbtest.Server(t))
	const writers, each = 32, 60
	var (
		mu        sync.Mutex
		committed = map[int]time.Time{}
		wg        sync.WaitGroup
	)
	got := map[int]time.Time{}
	s.mu.Lock()
	s.subs = append(s.subs, func(evs []Event) {
		now := time.Now()
		for _, e := range evs {
			got[num(t, e)] = now // by the tailer's goroutine; read after it has stopped
		}
	})
	s.mu.Unlock()
	for w := range writers {
		wg.Go(func() {
			ctx := context.Background()
			for i := range each {
				tx, err := s.pool.Begin(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				n := (w*each + i) * 3
				if err := Append(ctx, tx, ev(n), ev(n+1)); err != nil {
					t.Error(err)
				}
				if rand.IntN(10) == 0 {
					_, _ = tx.Exec(ctx, "SELECT pg_sleep($1)", rand.Float64()*0.008)
				}
				if err := Append(ctx, tx, ev(n+2)); err != nil {
					t.Error(err)
				}
				if rand.IntN(20) == 0 {
					_ = tx.Rollback(ctx)
					continue
				}
				if err := tx.Commit(ctx); err != nil {
					t.Error(err)
					continue
				}
				now := time.Now()
				mu.Lock()
				committed[n], committed[n+1], committed[n+2] = now, now, now
				mu.Unlock()
				Wake(s.bus)
			}
		})
	}
	wg.Wait()
	all := s.log.wait(t, len(committed))
	s.stop()
	if len(all) != len(committed) {
		t.Errorf("%d events were delivered, %d were committed", len(all), len(committed))
	}
	var lag []time.Duration
	for n, at := range committed {
		seen, ok := got[n]
		if !ok {
			t.Errorf("event %d was missed", n)
			continue
		}
		lag = append(lag, seen.Sub(at))
	}
	for i := 1; i < len(all); i++ {
		if !all[i].Cursor.After(all[i-1].Cursor) {
			t.Fatalf("cursor %s follows %s", all[i].Cursor, all[i-1].Cursor)
		}
	}
	slices.Sort(lag)
	t.Logf("%d events, commit to read p50 %s, p99 %s", len(lag), lag[len(lag)/2], lag[len(lag)*99/100])
}

func TestTailerSurvivesLostConnections(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	for n := range 20 {
		if n%5 == 0 {
			if _, err := s.pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
				t.Fatal(err)
			}
		}
		// A connection of the pool may have been ended too.
		testsignal.Until(t, "a write", func() bool {
			tx, err := s.pool.Begin(t.Context())
			if err != nil {
				return false
			}
			if Append(t.Context(), tx, ev(n)) != nil {
				_ = tx.Rollback(t.Context())
				return false
			}
			return tx.Commit(t.Context()) == nil
		})
		Wake(s.bus)
	}
	if diff := cmp.Diff(upTo(0, 20), nums(t, s.log.wait(t, 20))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTailerNeedsNoWakeUp(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	write(t, s.pool, ev(1))
	s.log.wait(t, 1)
}

// TestLagAndHolder is not parallel: it holds up everybody who reads from this server.
func TestLagAndHolder(t *testing.T) {
	s := startSpine(t, dbtest.Server(t))
	ctx := t.Context()
	if _, ok, err := s.Holder(ctx); ok || err != nil {
		t.Errorf("a healthy spine has a holder: %v, %v", ok, err)
	}
	held, err := s.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback(context.WithoutCancel(ctx)) }()
	var pid int32
	if err := held.QueryRow(ctx, `SELECT pg_backend_pid() FROM pg_current_xact_id()`).Scan(&pid); err != nil {
		t.Fatal(err)
	}
	s.write(t, some(0, 3)...)
	testsignal.Until(t, "the lag grows", func() bool { return s.Lag() > HolderLag })
	if n := len(s.log.all()); n != 0 {
		t.Errorf("%d events were read past an older transaction", n)
	}
	h, ok, err := s.Holder(ctx)
	if err != nil || !ok || h.PID != pid || h.Application != "parley" || h.Age < time.Second {
		t.Errorf("got %v, %v, %v; want pid %d", h, ok, err, pid)
	}
	if err := held.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	s.log.wait(t, 3)
	testsignal.Until(t, "the lag ends", func() bool { return s.Lag() == 0 })
}

// TestSinceResumesAnywhere kills 20 clients at random points while events come, in this process's lifetime and after a
// restart of the tailer: what each has seen in the end is everything, once.
func TestSinceResumesAnywhere(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	const total = 2000
	start := s.Head()
	var written atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; n < total; n += 4 {
			write(t, s.pool, some(n, n+4)...)
			Wake(s.bus)
			written.Store(int32(n + 4)) //nolint:gosec // small
		}
	}()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			at, seen := start, []int{}
			for len(seen) < total && !t.Failed() {
				evs, err := s.Since(context.Background(), at, 1+rand.IntN(700))
				if err != nil {
					t.Error(err)
					return
				}
				// The client dies after some of them.
				if len(evs) > 1 {
					evs = evs[:1+rand.IntN(len(evs))]
				}
				seen = append(seen, nums(t, evs)...)
				if len(evs) > 0 {
					at = evs[len(evs)-1].Cursor
				} else {
					<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
				}
			}
			if diff := cmp.Diff(upTo(0, total), seen); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	wg.Wait()
	<-done
}

func TestSinceAfterARestartAsksTwice(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	s.write(t, some(0, 2500)...)
	all := s.log.wait(t, 2500)
	s.stop()
	s.log = &eventLog{}
	s.start(t)
	s.write(t, some(2500, 2600)...)
	s.log.wait(t, 100)
	for i := 2499; i >= 0; i -= 7 {
		evs, err := s.Recent(t.Context(), all[i].Cursor, 10_000)
		if err != nil {
			t.Fatalf("after %d: %v", i, err)
		}
		if diff := cmp.Diff(upTo(i+1, 2600), nums(t, evs)); diff != "" {
			t.Fatalf("after %d (-want +got):\n%s", i, diff)
		}
	}
	if got := drain(&s.queries); !slices.Equal(got, []string{"before", "before"}) {
		t.Errorf("queries: %v", got)
	}
	limited, err := s.Since(t.Context(), all[10].Cursor, 5)
	if diff := cmp.Diff(upTo(11, 16), nums(t, limited)); diff != "" || err != nil {
		t.Errorf("with a limit: %v (-want +got):\n%s", err, diff)
	}
}

func drain(s *testsignal.Signal[string]) []string {
	out := []string{}
	for {
		select {
		case v := <-s.C():
			out = append(out, v)
		default:
			return out
		}
	}
}

func TestSinceBeyondTheRingReadsTheTable(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	const total = ringEvents + ringEvents/ringSlack + 3000
	for n := 0; n < total; n += 2500 {
		s.write(t, some(n, min(n+2500, total))...)
	}
	all := s.log.wait(t, total)
	evs, err := s.Since(t.Context(), all[99].Cursor, 700)
	if diff := cmp.Diff(upTo(100, 800), nums(t, evs)); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := s.Recent(t.Context(), all[99].Cursor, 700); err != ErrSnapshot {
		t.Errorf("Recent: got %v, want %v", err, ErrSnapshot)
	}
	if n := len(s.ring.events); n > ringEvents+ringEvents/ringSlack {
		t.Errorf("the ring holds %d events", n)
	}
	if last, err := s.Since(t.Context(), all[total-1].Cursor, 5); len(last) != 0 || err != nil {
		t.Errorf("after the last: %d events, %v", len(last), err)
	}
}

func TestUnknownCursors(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	s.write(t, some(0, 10)...)
	all := s.log.wait(t, 10)
	s.stop()
	// The oldest days are dropped.
	if _, err := s.pool.Exec(t.Context(), `DELETE FROM event WHERE id <= $1`, all[4].Cursor.ID); err != nil {
		t.Fatal(err)
	}
	s.log = &eventLog{}
	s.start(t)
	head := s.Head()
	for name, c := range map[string]Cursor{
		"zero":               {},
		"dropped":            all[2].Cursor,
		"right at the edge":  all[4].Cursor,
		"of the future":      {head.Epoch, head.XID + 1_000_000, head.ID + 1},
		"of a future epoch":  {head.Epoch + 1, 1, 1},
		"of an epoch before": {head.Epoch - 1, 1, 1},
	} {
		if evs, err := s.Since(t.Context(), c, 10); err != ErrSnapshot {
			t.Errorf("%s: got %d events, %v", name, len(evs), err)
		}
	}
	evs, err := s.Since(t.Context(), all[6].Cursor, 10)
	if diff := cmp.Diff(upTo(7, 10), nums(t, evs)); err != nil || diff != "" {
		t.Errorf("a known one: %v (-want +got):\n%s", err, diff)
	}
}

// TestNodeAhead: a client comes from a node that has read an event which this one has not.
func TestNodeAhead(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	a := startSpine(t, pool)
	a.write(t, ev(0))
	first := a.log.wait(t, 1)
	behind := NewTailer(pool, newBus(t), quiet())
	behind.head, behind.ring.start = Cursor{Epoch: 1}, Cursor{Epoch: 1}
	close(behind.started)
	if evs, err := behind.Since(t.Context(), first[0].Cursor, 10); len(evs) != 0 || err != nil {
		t.Errorf("got %d events, %v; want none", len(evs), err)
	}
}

// BenchmarkCommitToRead measures one writer's commit until a subscriber has the event.
func BenchmarkCommitToRead(b *testing.B) {
	s := startSpine(b, dbtest.Server(b))
	got := make(chan struct{}, 1)
	s.mu.Lock()
	s.subs = append(s.subs, func([]Event) { got <- struct{}{} })
	s.mu.Unlock()
	var lag []time.Duration
	for b.Loop() {
		tx, err := s.pool.BeginTx(b.Context(), pgx.TxOptions{})
		if err != nil {
			b.Fatal(err)
		}
		if err := Append(b.Context(), tx, ev(1)); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(b.Context()); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		Wake(s.bus)
		<-got
		lag = append(lag, time.Since(start))
	}
	slices.Sort(lag)
	b.ReportMetric(float64(lag[len(lag)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(lag[len(lag)*99/100].Microseconds()), "p99-us")
}
