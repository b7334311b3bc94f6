package live

import (
	"context"
	"time"
)

// place is the team and the assignee of a conversation, 0 for none.
type place struct{ team, assignee int64 }

// places remembers where conversations are, so that hints about them need no query. It is fed by the events.
type places struct{ of map[int64]place }

const (
	// placesMax bounds the memory; beyond it some are forgotten and looked up when they are asked for.
	placesMax = 100_000
	askTime   = 2 * time.Second
)

func newPlaces() places { return places{of: map[int64]place{}} }

func (p *places) put(conversation int64, at place) {
	if len(p.of) >= placesMax {
		if _, known := p.of[conversation]; !known {
			n := placesMax / 100
			for k := range p.of { // any: which ones does not matter
				delete(p.of, k)
				if n--; n == 0 {
					break
				}
			}
		}
	}
	p.of[conversation] = at
}

// moved notes where a conversation is now; who watches it and may no longer does not. The caller holds mu.
func (h *Hub) moved(conversation int64, at place) {
	h.places.put(conversation, at)
	for _, c := range h.viewers.here[conversation] {
		if !c.access.Sees(at.team, at.assignee) {
			h.viewers.leaving = append(h.viewers.leaving, c)
		}
	}
	for _, c := range h.viewers.leaving {
		h.watch(c, 0)
	}
	clear(h.viewers.leaving)
	h.viewers.leaving = h.viewers.leaving[:0]
}

// where finds a conversation's place, in the database if need be.
func (h *Hub) where(ctx context.Context, conversation int64) (place, error) {
	h.mu.Lock()
	at, known := h.places.of[conversation]
	h.mu.Unlock()
	if known {
		return at, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	team, assignee, err := h.dir.Where(ctx, conversation)
	if err != nil {
		return place{}, err
	}
	at = place{team, assignee}
	h.mu.Lock()
	defer h.mu.Unlock()
	if newer, known := h.places.of[conversation]; known {
		return newer, nil // an event came while we asked
	}
	h.places.put(conversation, at)
	return at, nil
}
