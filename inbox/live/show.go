package live

import (
	"context"
	"strings"
	"time"

	"github.com/parley-hub/parley/internal/events"
)

// show hands events to the sockets, in pieces that healthy sockets have time to write.
func (h *Hub) show(ctx context.Context, evs []events.Event) {
	for len(evs) > 0 {
		n, size := 0, 0
		for n < len(evs) && n < paceFrames && (n == 0 || size+len(evs[n].Raw) <= paceBytes) {
			size += len(evs[n].Raw)
			n++
		}
		h.wait(ctx, n, size)
		h.piece(evs[:n])
		evs = evs[n:]
	}
}

// wait lets the flushers catch up once so much has been queued since they last had.
func (h *Hub) wait(ctx context.Context, frames, bytes int) {
	if h.pace.active.Load() <= 0 {
		h.pace.frames, h.pace.bytes = 0, 0
	}
	if h.pace.frames+frames > paceFrames || h.pace.bytes+bytes > paceBytes {
		h.pace.wait(ctx, h.slow)
		h.pace.frames, h.pace.bytes = 0, 0
	}
	h.pace.frames += frames
	h.pace.bytes += bytes
}

// piece shows some events: encoded before the lock is taken, once for all.
func (h *Hub) piece(evs []events.Event) {
	ps := make([]*prepared, len(evs))
	for i := range evs {
		ps[i] = prepare(&evs[i])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	// Whoever sees everything, and is in step, gets the same frames.
	whole := make([][]byte, 0, len(ps))
	personal := false
	for _, p := range ps {
		switch p.to {
		case everybody, byScope:
			whole = append(whole, p.frame)
		case oneAgent:
			personal = true
		case nobody:
		}
	}
	var some [][]byte
	for _, c := range h.conns {
		if !c.live {
			continue
		}
		behind := !c.from.After(h.shown) // not ahead by what it got while resuming
		if behind && !personal && c.access.Scope == scopeAll {
			if len(whole) > 0 {
				c.send(whole...)
			}
			continue
		}
		some = some[:0]
		for _, p := range ps {
			if !behind && !p.cursor.After(c.from) {
				continue
			}
			if f := p.frameFor(c.access); f != nil {
				some = append(some, f)
			}
		}
		if len(some) > 0 {
			c.send(some...)
		}
	}
	h.shown = evs[len(evs)-1].Cursor
	for i := range evs {
		h.observe(&evs[i])
	}
}

// observe keeps what the hub itself knows in step with the events. The caller holds mu.
func (h *Hub) observe(e *events.Event) {
	switch noun, _, _ := strings.Cut(e.Kind, "."); noun {
	case "conversation", "message":
		if e.ConversationID != 0 {
			h.moved(e.ConversationID, place{e.TeamID, e.AssigneeID})
		}
	case "agent":
		if audienceOf(e) == everybody { // the others carry no row
			h.agentChanged(e)
		}
	case "team":
		h.teamChanged(e)
	case "session":
		if e.Kind == "session.ended" {
			h.sessionEnded(e)
		}
	}
}

// slow leaves the sockets that are stuck in a write out of what bursts wait for.
func (h *Hub) slow(until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		c.slow(until)
	}
}
