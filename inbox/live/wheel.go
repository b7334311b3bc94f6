package live

import "time"

// wheel finds sockets that have been silent too long without a timer for each: a socket hangs at the second in which it
// would be due, and is hung further on when it has been heard meanwhile.
type wheel struct {
	slots [wheelSlots][]*conn
	at    int64 // the second swept last
}

const wheelSlots = 64

func (w *wheel) put(c *conn, due time.Time) {
	i := due.Unix() % wheelSlots
	w.slots[i] = append(w.slots[i], c)
}

// due takes the sockets whose second has come.
func (w *wheel) due(now time.Time) []*conn {
	s := now.Unix()
	if w.at == 0 || s-w.at > wheelSlots {
		w.at = s - wheelSlots
	}
	var out []*conn
	for w.at < s {
		w.at++
		i := w.at % wheelSlots
		out = append(out, w.slots[i]...)
		clear(w.slots[i])
		w.slots[i] = w.slots[i][:0]
	}
	return out
}

// sweep drops the sockets that have said nothing for too long.
func (h *Hub) sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	limit := h.cfg.Silence
	for _, c := range h.wheel.due(now) {
		if c.gone {
			continue
		}
		// It was heard within the second, so it is given the whole of it.
		if due := time.Unix(c.heard.Load()+1, 0).Add(limit); due.After(now) {
			h.wheel.put(c, due)
			continue
		}
		h.Metrics.SilentCloses.Add(1)
		_ = c.nc.Close() // nobody is there to be told
	}
}
