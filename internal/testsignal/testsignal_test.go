package testsignal_test

import (
	"testing"

	"github.com/parley-hub/parley/internal/testsignal"
)

func TestZeroSignalDoesNothing(t *testing.T) {
	t.Parallel()
	var s testsignal.Signal[int]
	s.Send(1)
	if s.C() != nil {
		t.Error("a signal without Init has a channel")
	}
}

func TestSignalKeepsOrder(t *testing.T) {
	t.Parallel()
	var s testsignal.Signal[int]
	s.Init(t)
	go func() {
		s.Send(1)
		s.Send(2)
	}()
	for want := 1; want <= 2; want++ {
		if got := s.Wait(t); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

func TestSendNeverBlocks(t *testing.T) {
	t.Parallel()
	var s testsignal.Signal[int]
	s.Init(t)
	for i := range 5000 {
		s.Send(i)
	}
	if got := s.Wait(t); got != 0 {
		t.Errorf("the oldest is %d, want 0", got)
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	n := 0
	testsignal.Until(t, "the third try", func() bool { n++; return n == 3 })
}
