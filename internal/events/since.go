package events

import (
	"context"
	"fmt"
	"time"
)

const (
	// extendFirst and extendMore are how many older events are fetched when a client comes back from before the ring:
	// two queries serve any number of clients, as after a restart all come at once.
	extendFirst = 1000
	extendMore  = ringEvents
)

// Since returns at most limit events after c, in order, and none behind Head. ErrSnapshot means that c is unknown or too
// old. The slice is read only.
func (t *Tailer) Since(ctx context.Context, c Cursor, limit int) ([]Event, error) {
	evs, known, err := t.recent(ctx, c, limit)
	if err != nil || known {
		return evs, err
	}
	return t.fromTable(ctx, c, limit)
}

// Recent is Since for the last ten thousand events only: whatever the number of callers, the database is asked at most
// a few times. A cursor from before that gets ErrSnapshot.
func (t *Tailer) Recent(ctx context.Context, c Cursor, limit int) ([]Event, error) {
	evs, known, err := t.recent(ctx, c, limit)
	if err == nil && !known {
		return nil, ErrSnapshot
	}
	return evs, err
}

func (t *Tailer) recent(ctx context.Context, c Cursor, limit int) (evs []Event, known bool, err error) {
	select {
	case <-t.started:
	case <-ctx.Done():
		return nil, false, fmt.Errorf("wait for the spine: %w", ctx.Err())
	}
	if evs, ok := t.fromRing(c, limit); ok {
		return evs, true, nil
	}
	if c.After(t.Head()) {
		// Another node may be a moment ahead of us; then there is nothing to add.
		return nil, true, t.ahead(ctx, c)
	}
	if err := t.extend(ctx, c); err != nil {
		return nil, false, err
	}
	if evs, ok := t.fromRing(c, limit); ok {
		return evs, true, nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.ring.whole && !t.ring.has(c) {
		return nil, true, ErrSnapshot // what lay between c and the oldest event was dropped
	}
	return nil, false, nil
}

// fromRing answers from memory. A cursor of an older epoch must be one of its events: a restored database lacks what
// came after its backup, and a client who saw that must begin anew.
func (t *Tailer) fromRing(c Cursor, limit int) ([]Event, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if c == t.head {
		return nil, true
	}
	if c.After(t.head) || !t.ring.has(c) {
		return nil, false
	}
	if c.Epoch < t.head.Epoch && c != t.ring.start && !t.ring.contains(c) {
		return nil, false
	}
	return t.ring.after(c, limit), true
}

// ahead decides about a cursor behind our head.
func (t *Tailer) ahead(ctx context.Context, c Cursor) error {
	ok, err := known(ctx, t.pool, c)
	if err != nil {
		return err
	}
	if !ok {
		return ErrSnapshot
	}
	t.nudge()
	return nil
}

// extend lengthens the ring backwards until it has c or is full or holds all there is.
func (t *Tailer) extend(ctx context.Context, c Cursor) error {
	t.extending.Lock()
	defer t.extending.Unlock()
	for {
		want := extendMore
		t.mu.RLock()
		if !t.ring.extended {
			want = extendFirst
		}
		start, enough := t.ring.start, t.ring.has(c) || t.ring.whole || t.ring.full()
		t.mu.RUnlock()
		if enough {
			return nil
		}
		older, err := before(ctx, t.pool, start, want)
		if err != nil {
			return err
		}
		t.queries.Send("before")
		t.mu.Lock()
		if t.ring.start != start {
			// The ring was trimmed meanwhile: it is full.
			t.mu.Unlock()
			return nil
		}
		t.ring.prepend(older, len(older) < want)
		t.mu.Unlock()
	}
}

// fromTable answers for a client who was away longer than the ring reaches.
func (t *Tailer) fromTable(ctx context.Context, c Cursor, limit int) ([]Event, error) {
	t.queries.Send("table")
	ok, err := known(ctx, t.pool, c)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, ErrSnapshot
	}
	head := t.Head()
	r, err := read(ctx, t.pool, c, time.Unix(0, 0), limit)
	if err != nil {
		return nil, err
	}
	// Our own head is the limit of what may leave: subscribers have not seen more.
	for i := range r.events {
		if r.events[i].Cursor.After(head) {
			return r.events[:i], nil
		}
	}
	return r.events, nil
}
