package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/testsignal"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newBus(t testing.TB) bus.Bus {
	t.Helper()
	b, err := bus.Embedded(quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// run runs fn until the test ends, or until the returned function is called.
func run(t testing.TB, fn func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// log keeps what a subscriber got.
type eventLog struct {
	mu  sync.Mutex
	evs []Event
}

func (l *eventLog) add(evs []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.evs = append(l.evs, evs...)
}

func (l *eventLog) all() []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Event(nil), l.evs...)
}

func (l *eventLog) wait(t testing.TB, n int) []Event {
	t.Helper()
	testsignal.Until(t, fmt.Sprintf("%d events", n), func() bool { return len(l.all()) >= n })
	return l.all()
}

// spine is a running tailer.
type spine struct {
	*Tailer
	pool *pgxpool.Pool
	bus  bus.Bus
	log  *eventLog
	stop func()
}

func startSpine(t testing.TB, pool *pgxpool.Pool) *spine {
	t.Helper()
	s := &spine{pool: pool, bus: newBus(t), log: &eventLog{}}
	s.start(t)
	return s
}

func (s *spine) start(t testing.TB) {
	t.Helper()
	s.Tailer = NewTailer(s.pool, s.bus, quiet())
	s.queries.Init(t)
	s.Subscribe(s.log.add)
	s.stop = run(t, s.Run)
	select {
	case <-s.Started():
	case <-time.After(10 * time.Second):
		t.Fatal("the tailer does not start")
	}
}

func write(t testing.TB, pool *pgxpool.Pool, evs ...Event) {
	t.Helper()
	err := postgres.InTx(context.Background(), pool, func(tx pgx.Tx) error { return Append(context.Background(), tx, evs...) })
	if err != nil {
		t.Fatal(err)
	}
}

func (s *spine) write(t testing.TB, evs ...Event) {
	t.Helper()
	write(t, s.pool, evs...)
	Wake(s.bus)
}

type body struct {
	N int `json:"n"`
}

func ev(n int) Event {
	return Event{Kind: "test.made", Actor: System, SubjectKind: "test", SubjectID: fmt.Sprint(n), Payload: body{n}}
}

func some(from, to int) []Event {
	var out []Event
	for n := from; n < to; n++ {
		out = append(out, ev(n))
	}
	return out
}

func num(t testing.TB, e Event) int {
	t.Helper()
	var b body
	if err := json.Unmarshal(e.Raw, &b); err != nil {
		t.Fatal(err)
	}
	return b.N
}

func nums(t testing.TB, evs []Event) []int {
	t.Helper()
	out := []int{}
	for _, e := range evs {
		out = append(out, num(t, e))
	}
	return out
}

func upTo(from, to int) []int {
	out := []int{}
	for n := from; n < to; n++ {
		out = append(out, n)
	}
	return out
}
