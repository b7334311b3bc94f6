// Package testsignal lets a test wait for a moment inside running code, where it would otherwise have to sleep.
//
// A Signal is a field of the thing that is observed. Its zero value does nothing, so production pays one nil check. A
// test calls Init before it starts the thing, and Wait afterwards. Signals are kept in order until they are waited for;
// a signal that nobody takes never blocks the sender: beyond the buffer the newest are dropped.
package testsignal

import (
	"testing"
	"time"
)

const (
	// buffer is far above what a test lets pile up, and bounds what a forgotten Wait can hold.
	buffer = 1000
	// patience is how long Wait lets a loaded machine take before it calls the test failed.
	patience = 10 * time.Second
)

// Signal reports values of one kind from running code to the test that observes it.
type Signal[T any] struct {
	ch chan T
}

// Init makes the signal observable. It must happen before the observed code starts.
func (s *Signal[T]) Init(t testing.TB) {
	t.Helper()
	if s.ch != nil {
		t.Fatal("testsignal: Init called twice")
	}
	s.ch = make(chan T, buffer)
}

// Send reports v; without Init it does nothing. It never blocks.
func (s *Signal[T]) Send(v T) {
	if s.ch == nil {
		return
	}
	select {
	case s.ch <- v:
	default:
	}
}

// Wait returns the oldest value not yet waited for, and fails the test when none comes.
func (s *Signal[T]) Wait(t testing.TB) T {
	t.Helper()
	if s.ch == nil {
		t.Fatal("testsignal: Wait without Init")
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v := <-s.ch:
		return v
	case <-timer.C:
		t.Fatalf("testsignal: nothing came within %s", patience)
	}
	panic("unreachable")
}

// C gives the signals as a channel, for tests that select between several; nil without Init.
func (s *Signal[T]) C() <-chan T { return s.ch }

// Until fails the test unless ok becomes true while the machine is given the same patience. It is for conditions that
// no code of ours can signal, such as another process or a row written by the database.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if ok() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
