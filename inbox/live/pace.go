package live

import (
	"context"
	"sync/atomic"
	"time"
)

// pace keeps a burst of events from overflowing the queues of healthy sockets: their bound is for clients that do not
// read, not for flushers that have not been given the processor yet. After paceFrames or paceBytes the hub waits until
// the flushers have written them, but never for one that is stuck: when none has finished anything for paceStuck, those
// at work are left out for paceForgive.
type pace struct {
	active   atomic.Int64
	progress atomic.Uint64
	idle     chan struct{} // a hint that active became 0

	frames, bytes int // queued for everybody since it was last idle; of Run alone
}

const (
	paceFrames  = 128
	paceBytes   = 32 << 10
	paceStuck   = 40 * time.Millisecond
	paceForgive = time.Second // so that one who stalls again and again holds the others up by 4 % at most
)

func (p *pace) begin() { p.active.Add(1) }

func (p *pace) end() {
	if p.active.Add(-1) == 0 {
		select {
		case p.idle <- struct{}{}:
		default:
		}
	}
}

// wait returns when nothing is being written, by those that are not stuck.
func (p *pace) wait(ctx context.Context, stuck func(until time.Time)) {
	if p.active.Load() <= 0 {
		return
	}
	timer := time.NewTimer(paceStuck)
	defer timer.Stop()
	for p.active.Load() > 0 {
		before := p.progress.Load()
		timer.Reset(paceStuck)
		select {
		case <-p.idle:
		case <-timer.C:
			if p.progress.Load() == before {
				stuck(time.Now().Add(paceForgive))
			}
		case <-ctx.Done():
			return
		}
	}
}
