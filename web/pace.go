package web

import (
	"sync"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

// pace limits how often one agent does what makes much work or touches many things at once: exports, merges, bulk
// changes. It counts by the minute, in this process alone; whoever is signed in to three nodes has three times as much,
// which is no more than the work of one node.
type pace struct {
	mu     sync.Mutex
	now    func() time.Time
	minute int64
	counts map[paceKey]int
}

type paceKey struct {
	agent ids.ID
	what  string
}

func newPace(now func() time.Time) *pace { return &pace{now: now, counts: map[paceKey]int{}} }

// take counts one, or says how long to wait. Everything is forgotten when the minute is over.
func (p *pace) take(agent ids.ID, what string, limit int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now().Unix()
	if m := now / 60; m != p.minute {
		p.minute = m
		clear(p.counts)
	}
	k := paceKey{agent, what}
	if p.counts[k] >= limit {
		wait := int(60 - now%60)
		e := errs.New(errs.TooMany, "This can be done %d times a minute. Try again in %d seconds.", limit, wait)
		e.Extra = map[string]any{"retry_after": wait}
		return e
	}
	p.counts[k]++
	return nil
}
