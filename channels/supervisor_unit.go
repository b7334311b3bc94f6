package channels

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"time"
)

var (
	errChanged = errors.New("the settings were changed")
	errEnded   = errors.New("the adapter has stopped")
)

// unit is one channel of the supervisor; run is its only long-lived goroutine.
type unit struct {
	s       *Supervisor
	id      int64
	cancel  context.CancelFunc
	changed chan struct{} // capacity 1: a change that nobody waits for is not lost

	mu   sync.Mutex
	want [sha256.Size]byte
}

// settings tells the unit what the channel's settings are now.
func (u *unit) settings(print [sha256.Size]byte) {
	u.mu.Lock()
	same := u.want == print
	u.want = print
	u.mu.Unlock()
	if !same {
		u.wake()
	}
}

func (u *unit) wake() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

func (u *unit) log() *slog.Logger { return u.s.cfg.Log.With("channel_id", u.id) }

func (u *unit) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := u.s.cfg.Hold(ctx, "channel:"+strconv.FormatInt(u.id, 10), u.serve)
		if ctx.Err() == nil { // Hold should only return when ctx ends; do not spin if it does otherwise
			u.log().WarnContext(ctx, "lease of the channel ended", "error", err)
			pause(ctx, nil, u.s.cfg.BackoffMin)
		}
	}
}

// serve runs the channel, again and again, until the lease ends.
func (u *unit) serve(ctx context.Context, epoch int64) error {
	var wait time.Duration
	for ctx.Err() == nil {
		began := time.Now()
		err := u.once(ctx, epoch)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errChanged):
			wait = 0
			continue
		case errors.Is(err, ErrNoChannel):
			// The list is about to say so too, and ends this unit.
			pause(ctx, u.changed, u.s.cfg.Refresh)
			continue
		case err == nil:
			u.log().InfoContext(ctx, "channel has stopped for good; waiting for new settings")
			select {
			case <-ctx.Done():
			case <-u.changed:
			}
			wait = 0
			continue
		}
		if time.Since(began) >= u.s.cfg.Steady {
			wait = 0
		}
		wait = min(max(2*wait, u.s.cfg.BackoffMin), u.s.cfg.BackoffMax)
		u.log().ErrorContext(ctx, "channel failed", "error", err, "retry_in", wait, stackOf(err))
		u.report(ctx, epoch, State{Kind: Failed, Reason: err.Error()})
		if pause(ctx, u.changed, jitter(wait)) {
			wait = 0
		}
	}
	return nil
}

// once runs one adapter from its making to its end. nil = the adapter gave up for good.
func (u *unit) once(ctx context.Context, epoch int64) error {
	// A wake-up from before the settings are read says nothing new.
	select {
	case <-u.changed:
	default:
	}
	account, err := u.s.cfg.Source.Account(ctx, u.id)
	if err != nil {
		return fmt.Errorf("read the settings: %w", err)
	}
	u.mu.Lock()
	u.want = fingerprint(account)
	u.mu.Unlock()

	kind, ok := u.s.cfg.Kinds[account.Kind]
	if !ok {
		return fmt.Errorf("unknown kind of channel %q", account.Kind)
	}
	adapter, err := kind.New(account)
	if err != nil {
		return err
	}
	u.report(ctx, epoch, State{Kind: Connecting})

	rctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sink := u.s.cfg.Sinks(u.id, epoch)
	ran, up := make(chan error, 1), make(chan error, 1)
	go func() { ran <- guard("channel", func() error { return adapter.Run(rctx, sink) }) }()

	u.s.setRunning(u.id, &running{adapter: adapter, epoch: epoch})
	go func() {
		up <- guard("outbox of the channel", func() error {
			if u.s.cfg.OnUp != nil {
				u.s.cfg.OnUp(rctx, u.id, epoch, adapter)
			}
			return nil
		})
	}()

	var result error
	upEnded := false
wait:
	for {
		select {
		case <-ctx.Done():
			break wait
		case <-u.changed:
			cancel(errChanged)
			result = errChanged
			break wait
		case result = <-ran:
			ran <- result // for the waiting below
			break wait
		case err := <-up:
			upEnded = true
			if err != nil {
				result = err
				break wait
			}
			up = nil // OnUp had nothing to do
		}
	}
	cancel(errEnded)
	u.s.setRunning(u.id, nil)
	u.settle(ctx, ran, up, upEnded)
	return result
}

// settle waits for what once has started. Something that does not stop is left behind: whatever it still tries carries
// the old epoch, and the process must be able to end.
func (u *unit) settle(ctx context.Context, ran, up chan error, upEnded bool) {
	deadline := time.NewTimer(u.s.cfg.Grace)
	defer deadline.Stop()
	if !await(ran, deadline.C) {
		u.log().ErrorContext(ctx, "adapter does not stop; left behind")
		return
	}
	if !upEnded && !await(up, deadline.C) {
		u.log().ErrorContext(ctx, "outbox of the channel does not stop; left behind")
	}
}

func await(c <-chan error, deadline <-chan time.Time) bool {
	if c == nil {
		return true
	}
	select {
	case <-c:
		return true
	case <-deadline:
		return false
	}
}

// report tells the hub where the channel stands; a hub that cannot store it will hear it again.
func (u *unit) report(ctx context.Context, epoch int64, st State) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := guard("state", func() error { return u.s.cfg.Sinks(u.id, epoch).State(ctx, st) })
	if err != nil && ctx.Err() == nil {
		u.log().WarnContext(ctx, "store the channel's state", "state", st.Kind, "error", err)
	}
}

// guard turns a panic into an error: one broken channel must not take the others down.
func guard(what string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{what: what, value: p, stack: debug.Stack()}
		}
	}()
	return f()
}

// panicError keeps the stack for the log and out of the sentence that an admin reads.
type panicError struct {
	what  string
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the %s broke down: %v", e.what, e.value) }

func stackOf(err error) slog.Attr {
	var p *panicError
	if errors.As(err, &p) {
		return slog.String("stack", string(p.stack))
	}
	return slog.Attr{}
}

// pause waits for d, or until wake fires, which it reports.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wake:
		return true
	}
	return false
}

// jitter spreads pauses over [d/2, d], so that channels that failed together do not come back together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
