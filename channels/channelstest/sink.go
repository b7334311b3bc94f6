package channelstest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
)

// ErrStore is what a Sink answers when it was told to fail.
var ErrStore = errors.New("the hub could not store it")

// Sink is a hub in memory: it keeps what was committed, once per EventKey, with the cursors, and fails as it is told.
// It outlives the adapters that write into it, as the database does.
type Sink struct {
	mu         sync.Mutex
	changed    chan struct{}
	seen       map[string]bool
	events     []channels.Inbound
	deliveries int // events handed over, repeated ones included
	cursors    map[string]string
	states     []channels.State
	before     int // batches that fail before the commit
	after      int // batches that are committed and answered with an error
	panics     int
	block      chan struct{}
	blocked    int
}

// NewSink makes an empty hub.
func NewSink() *Sink {
	return &Sink{changed: make(chan struct{}), seen: map[string]bool{}, cursors: map[string]string{}}
}

// FailBefore makes the next n batches fail without being stored.
func (s *Sink) FailBefore(n int) { s.set(func() { s.before = n }) }

// FailAfter makes the next n batches be stored and answered with an error, as when a connection breaks at the commit.
func (s *Sink) FailAfter(n int) { s.set(func() { s.after = n }) }

// Panic makes the next n batches panic before they are stored.
func (s *Sink) Panic(n int) { s.set(func() { s.panics = n }) }

// Block holds every batch until the returned function is called or the batch's ctx ends.
func (s *Sink) Block() (release func()) {
	c := make(chan struct{})
	s.set(func() { s.block = c })
	return sync.OnceFunc(func() {
		s.set(func() { s.block = nil })
		close(c)
	})
}

func (s *Sink) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// Ingest stores a batch whole, or not at all.
func (s *Sink) Ingest(ctx context.Context, b channels.Batch) error {
	s.mu.Lock()
	block := s.block
	s.mu.Unlock()
	if block != nil {
		s.set(func() { s.blocked++ })
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	var boom bool
	s.set(func() {
		s.deliveries += len(b.Events)
		switch {
		case s.panics > 0:
			s.panics--
			boom = true
			return
		case s.before > 0:
			s.before--
			err = ErrStore
			return
		case s.after > 0:
			s.after--
			err = ErrStore
		}
		for _, e := range b.Events {
			if e.Kind != channels.TypingNow && !s.seen[e.EventKey] {
				s.seen[e.EventKey] = true
				s.events = append(s.events, e)
			}
		}
		if b.Cursor != nil {
			s.cursors[b.Cursor.Name] = b.Cursor.Value
		}
	})
	if boom {
		panic("the hub panics while it stores a batch")
	}
	return err
}

// State records a report.
func (s *Sink) State(_ context.Context, st channels.State) error {
	s.set(func() { s.states = append(s.states, st) })
	return nil
}

// Events are the committed events, in the order of their commit.
func (s *Sink) Events() []channels.Inbound {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Messages are the committed events of kind Message.
func (s *Sink) Messages() []channels.Inbound {
	return slices.DeleteFunc(s.Events(), func(e channels.Inbound) bool { return e.Kind != channels.Message })
}

// Texts are the texts of Messages.
func (s *Sink) Texts() []string {
	var out []string
	for _, m := range s.Messages() {
		out = append(out, m.Text)
	}
	return out
}

// Cursors are the committed cursors.
func (s *Sink) Cursors() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.cursors)
}

// Deliveries tells how many events were handed over, repeated ones included.
func (s *Sink) Deliveries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deliveries
}

// Blocked tells how many batches have run into Block.
func (s *Sink) Blocked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocked
}

// LastState is the state that stands.
func (s *Sink) LastState() channels.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.states) == 0 {
		return channels.State{}
	}
	return s.states[len(s.states)-1]
}

// States are all reports.
func (s *Sink) States() []channels.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.states)
}

// Until waits until the condition holds, which is looked at after each change of the hub, and fails the test after 15 s.
func (s *Sink) Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(15 * time.Second)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if condition() {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s; messages %q, states %v", what, s.Texts(), s.States())
		}
	}
}

// UntilState waits for a state.
func (s *Sink) UntilState(t testing.TB, kind channels.StateKind) {
	t.Helper()
	s.Until(t, "state "+string(kind), func() bool { return s.LastState().Kind == kind })
}

// UntilMessages waits for n messages.
func (s *Sink) UntilMessages(t testing.TB, n int) []channels.Inbound {
	t.Helper()
	s.Until(t, "messages", func() bool { return len(s.Messages()) >= n })
	return s.Messages()
}
