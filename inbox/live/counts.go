package live

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/maphash"
)

// countsOf returns the numbers of the side bar as a JSON object, with a sum that tells whether they changed.
func (h *Hub) countsOf(a *Access) ([]byte, uint64) {
	b, err := json.Marshal(h.counter.Counts(*a))
	if err != nil || len(b) < 2 || b[0] != '{' {
		h.log.Error("the counts cannot be written", "agent_id", a.AgentID, "error", err)
		b = []byte("{}")
	}
	return b, maphash.Bytes(h.seed, b) | 1 // never 0, which stands for "not told"
}

// recountSoon has the counts compared although nothing was counted. It never blocks.
func (h *Hub) recountSoon() {
	select {
	case h.recount <- struct{}{}:
	default:
	}
}

// pushCounts tells each agent his numbers when they changed, at most four times a second.
func (h *Hub) pushCounts(ctx context.Context) {
	for ctx.Err() == nil {
		changed := h.counter.Changed() // asked for before counting, so that no change falls in between
		h.tellCounts()
		pause(ctx, tick)
		select {
		case <-changed:
		case <-h.recount:
		case <-ctx.Done():
		}
	}
}

func (h *Hub) tellCounts() {
	// Counting happens outside of the lock; whoever leaves meanwhile is not told.
	h.mu.Lock()
	conns := make(map[*Access][]*conn, len(h.byAgent))
	for _, c := range h.conns {
		if c.live {
			conns[c.access] = append(conns[c.access], c)
		}
	}
	h.mu.Unlock()
	for access, same := range conns {
		counts, sum := h.countsOf(access)
		var frame []byte
		h.mu.Lock()
		for _, c := range same {
			if !c.live || c.access != access || c.counts == sum {
				continue
			}
			c.counts = sum
			if frame == nil {
				frame = countsFrame(counts)
			}
			c.send(frame)
		}
		h.mu.Unlock()
	}
}

// countsFrame is {type:"counts", ...counts}.
func countsFrame(counts []byte) []byte {
	b := append(make([]byte, maxHeader, 32+len(counts)), `{"type":"counts"`...)
	if rest := bytes.TrimSpace(counts[1:]); !bytes.Equal(rest, []byte("}")) {
		b = append(b, ',')
		b = append(b, rest...)
	} else {
		b = append(b, '}')
	}
	return seal(opText, b)
}
