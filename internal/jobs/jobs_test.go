package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type greet struct {
	Name string `json:"name"`
}

func (greet) Kind() string { return "greet" }

type tick struct{}

func (tick) Kind() string { return "tick" }

type slow struct{}

func (slow) Kind() string          { return "slow_one" }
func (slow) InsertOpts() jobs.Opts { return jobs.Opts{Queue: jobs.Slow} }

// start runs workers until the returned function is called, which waits for Run.
func start(t *testing.T, pool *pgxpool.Pool, log *slog.Logger, workers ...jobs.Worker) (stop func()) {
	t.Helper()
	r, err := jobs.New(pool, log, workers...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came in 10 s")
		panic("unreachable")
	}
}

func TestJobExistsExactlyWhenItsTransactionCommitted(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	got := make(chan string, 10)
	start(t, pool, quiet(), jobs.Work(0, func(_ context.Context, g greet) error {
		got <- g.Name
		return nil
	}))

	changed := errors.New("changed my mind")
	for _, name := range []string{"lost", "kept"} {
		err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			if err := jobs.InsertTx(t.Context(), tx, greet{name}); err != nil {
				return err
			}
			if name == "lost" {
				return changed
			}
			return nil
		})
		if err != nil && !errors.Is(err, changed) {
			t.Fatal(err)
		}
	}
	if name := receive(t, got); name != "kept" {
		t.Errorf("worked %q", name)
	}
	if len(got) > 0 {
		t.Errorf("worked %q, too", <-got)
	}
}

func TestEveryRunsAtStartAndAgain(t *testing.T) {
	t.Parallel()
	ran := make(chan struct{}, 100)
	start(t, dbtest.DB(t), quiet(), jobs.Every(time.Second, tick{}, func(context.Context) error {
		ran <- struct{}{}
		return nil
	}))
	receive(t, ran)
	receive(t, ran)
}

func TestSlowWorkDoesNotDelayTheRest(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	release, greeted := make(chan struct{}), make(chan string, 1)
	stop := start(t, pool, quiet(),
		jobs.Work(time.Minute, func(ctx context.Context, _ slow) error {
			select {
			case <-release:
			case <-ctx.Done():
			}
			return nil
		}),
		jobs.Work(0, func(_ context.Context, g greet) error {
			greeted <- g.Name
			return nil
		}))
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		for range 20 {
			if err := jobs.InsertTx(t.Context(), tx, slow{}); err != nil {
				return err
			}
		}
		return jobs.InsertTx(t.Context(), tx, greet{"quick"})
	})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, greeted)
	close(release)
	stop()
}

func TestStopLetsTheWorkingJobFinish(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	started, release := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	stop := start(t, pool, quiet(), jobs.Work(0, func(ctx context.Context, _ greet) error {
		close(started)
		<-release
		finished.Store(ctx.Err() == nil)
		return ctx.Err()
	}))
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		return jobs.InsertTx(t.Context(), tx, greet{"x"})
	})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, started)
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	stop()
	if !finished.Load() {
		t.Error("the job was cut off")
	}
}

func TestFailureIsLoggedWithoutArguments(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	var log syncBuffer
	failed := make(chan struct{}, 2)
	stop := start(t, pool, slog.New(slog.NewTextHandler(&log, nil)), jobs.Work(0, func(_ context.Context, g greet) error {
		failed <- struct{}{}
		if strings.HasPrefix(g.Name, "panic") {
			panic("at the disco")
		}
		return errors.New("no greeting today")
	}))
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		return errors.Join(jobs.InsertTx(t.Context(), tx, greet{"canary"}), jobs.InsertTx(t.Context(), tx, greet{"panic canary"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, failed)
	receive(t, failed)
	stop()
	text := log.String()
	for _, want := range []string{"job failed", "no greeting today", "job panicked", "at the disco", "kind=greet"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the log:\n%s", want, text)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("the arguments are in the log:\n%s", text)
	}
}

func TestTwoWorkersOfOneKindAreRefused(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context, greet) error { return nil }
	if _, err := jobs.New(dbtest.DB(t), quiet(), jobs.Work(0, nothing), jobs.Work(0, nothing)); err == nil {
		t.Error("no error")
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
