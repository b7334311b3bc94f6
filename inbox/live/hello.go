package live

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
)

// hello makes a socket live: what its agent may see is resolved, then either what he missed is replayed, or he is told
// to read everything anew. There is no gap and nothing comes twice: the socket becomes live under the lock under which
// events are handed out, at the moment when its replay has reached the last event that was.
func (c *conn) hello(ctx context.Context, since string) error {
	if c.seen() != nil {
		return errs.New(errs.Invalid, "hello was said already")
	}
	select {
	case <-c.hub.ready:
	case <-ctx.Done():
		c.shutdown(closeLater, "the server is starting")
		return nil
	}
	access, touched, ok := c.resolve(ctx)
	if !ok {
		return nil
	}
	if since != "" {
		missed, pos, err := c.hub.missed(ctx, since, access.AgentID)
		switch {
		case err == nil:
			c.resume(ctx, access, touched, pos, missed)
			return nil
		case !errors.Is(err, events.ErrSnapshot):
			c.hub.log.WarnContext(ctx, "a resume failed", "agent_id", c.viewer.AgentID, "error", err)
			c.shutdown(closeLater, "the database does not answer")
			return nil
		}
		c.hub.Metrics.Snapshots.Add(1)
		c.begin(ctx, "snapshot", access, touched)
		return nil
	}
	c.begin(ctx, "ready", access, touched)
	return nil
}

// resolve asks staff what the agent may see. touched tells later whether that has changed meanwhile.
func (c *conn) resolve(ctx context.Context) (*Access, int, bool) {
	c.hub.mu.Lock()
	touched := c.touched
	c.hub.mu.Unlock()
	access, err := c.hub.ask(ctx, c.viewer.AgentID)
	switch {
	case err == nil:
		return &access, touched, true
	case refused(err):
		c.shutdown(closeSignedOut, "signed out")
	default:
		c.hub.log.WarnContext(ctx, "permissions could not be looked up", "agent_id", c.viewer.AgentID, "error", err)
		c.shutdown(closeLater, "the database does not answer")
	}
	return nil, 0, false
}

// begin makes the socket live at the present: kind is ready or snapshot.
func (c *conn) begin(ctx context.Context, kind string, access *Access, touched int) {
	h := c.hub
	for {
		counts, sum := h.countsOf(access)
		h.mu.Lock()
		if c.touched == touched {
			pos := h.shown
			// Queued under the lock: the next event must not come before it.
			if c.send(h.greeting(kind, pos, counts)) {
				c.alive(access, pos, sum)
			}
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		var ok bool
		if access, touched, ok = c.resolve(ctx); !ok {
			return
		}
	}
}

// alive lets events in. The caller holds hub.mu.
func (c *conn) alive(access *Access, pos events.Cursor, counts uint64) {
	c.access, c.live, c.from, c.counts = access, true, pos, counts
	c.hub.people.known[access.AgentID] = *access
}

// greeting is {type, cursor, counts, presence}. The caller holds mu.
func (h *Hub) greeting(kind string, pos events.Cursor, counts []byte) []byte {
	b := make([]byte, maxHeader, 256+len(counts)+32*len(h.people.statuses))
	b = append(b, `{"type":"`...)
	b = append(b, kind...)
	b = append(b, `","cursor":"`...)
	b = pos.Append(b)
	b = append(b, `","counts":`...)
	b = append(b, counts...)
	b = append(b, `,"presence":`...)
	b = appendPresence(b, h.people.statuses)
	return seal(opText, append(b, '}'))
}

// missed returns the events after the cursor of a client who comes back, or ErrSnapshot when they cannot or must not be
// replayed: too old, too many, or he may see other things than then.
func (h *Hub) missed(ctx context.Context, since string, agent int64) ([]events.Event, events.Cursor, error) {
	pos, err := events.ParseCursor(since)
	if err != nil {
		return nil, pos, events.ErrSnapshot
	}
	evs, err := h.spine.Recent(ctx, pos, h.cfg.MaxReplay+1)
	if err != nil {
		return nil, pos, err
	}
	if len(evs) > h.cfg.MaxReplay {
		return nil, pos, events.ErrSnapshot
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.people.changed[agent].After(pos) {
		return nil, pos, events.ErrSnapshot
	}
	for i := range evs {
		// Staff events from before our start: what they changed for him is not known.
		if evs[i].Cursor.After(h.begun) {
			break
		}
		if noun, _, _ := strings.Cut(evs[i].Kind, "."); noun == "team" || noun == "agent" && evs[i].SubjectID == id(agent).String() {
			return nil, pos, events.ErrSnapshot
		}
	}
	return evs, pos, nil
}

// resume replays what the client missed and makes him live. The frames are few at a time: his queue is bounded, and
// only his own reader waits.
func (c *conn) resume(ctx context.Context, access *Access, touched int, pos events.Cursor, missed []events.Event) {
	h := c.hub
	counts, sum := h.countsOf(access)
	h.mu.Lock()
	greeting := h.greeting("ready", pos, counts)
	h.mu.Unlock()
	c.send(greeting)
	h.Metrics.Resumes.Add(1)
	for {
		last, ok := c.replay(ctx, access, missed)
		if !ok {
			return
		}
		if len(missed) > 0 {
			pos = last
		}
		h.mu.Lock()
		if c.touched != touched {
			h.mu.Unlock()
			now, again, ok := c.resolve(ctx)
			if !ok {
				return
			}
			if access.shrankTo(now) {
				c.shutdown(closeReload, "permissions changed")
				return
			}
			access, touched, missed = now, again, nil
			continue
		}
		if !h.shown.After(pos) {
			c.alive(access, pos, sum)
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		var err error
		if missed, err = h.spine.Recent(ctx, pos, paceFrames); err != nil {
			c.shutdown(closeSlow, "resume again")
			return
		}
	}
}

// replay sends the frames of events that the agent may see; last is the cursor of the last event.
func (c *conn) replay(ctx context.Context, access *Access, evs []events.Event) (last events.Cursor, ok bool) {
	var frames [][]byte
	size := 0
	flush := func() bool {
		if len(frames) == 0 {
			return true
		}
		if !c.send(frames...) {
			return false
		}
		frames, size = frames[:0], 0
		select {
		case <-c.drained():
			return true
		case <-ctx.Done(): // the write deadline is shorter; this is the end of the program or a very long replay
			c.shutdown(closeSlow, "resume again")
			return false
		}
	}
	for i := range evs {
		last = evs[i].Cursor
		f := c.hub.prepared(&evs[i]).frameFor(access)
		if f == nil {
			continue
		}
		if len(frames) > 0 && (len(frames) >= paceFrames || size+len(f) > paceBytes) && !flush() {
			return last, false
		}
		frames = append(frames, f)
		size += len(f)
	}
	return last, flush()
}

// replays keeps the frames of replayed events for a moment: after a break many clients come for the same ones.
type replays struct {
	by    map[events.Cursor]*prepared
	bytes int
	used  time.Time
}

const (
	replayBytes  = 8 << 20
	replayMemory = 30 * time.Second
)

// forget drops the frames when nobody has come for a while. The caller holds mu.
func (r *replays) forget(now time.Time) {
	if r.by != nil && now.Sub(r.used) > replayMemory {
		*r = replays{}
	}
}

// prepared returns the frames of an event.
func (h *Hub) prepared(e *events.Event) *prepared {
	h.mu.Lock()
	p := h.replays.by[e.Cursor]
	h.mu.Unlock()
	if p != nil {
		return p
	}
	p = prepare(e)
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.replays
	if r.by == nil || r.bytes > replayBytes {
		*r = replays{by: map[events.Cursor]*prepared{}}
	}
	r.by[e.Cursor], r.used = p, h.cfg.Now()
	r.bytes += len(p.frame) + len(p.gone) + 256
	return p
}
