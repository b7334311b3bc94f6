package events

import "sort"

// ring keeps the newest events in order, so that clients who come back do not ask the database. What is in it never
// changes: readers get parts of the slice without a copy, and trimming makes a new one.
type ring struct {
	start  Cursor // everything after it and up to the newest is here
	events []Event
	bytes  int
	whole  bool // nothing older is left in the database
	// extended says that older events have been asked for once.
	extended bool
}

const (
	ringEvents = 10_000
	ringBytes  = 32 << 20
	// ringSlack is how far a ring grows over its bounds before it is copied; a copy then costs little per event.
	ringSlack = 4 // a quarter
)

func weight(e *Event) int { return 256 + len(e.Raw) }

// push adds newer events.
func (r *ring) push(evs []Event) {
	for i := range evs {
		r.bytes += weight(&evs[i])
	}
	r.events = append(r.events, evs...)
	if len(r.events) > ringEvents+ringEvents/ringSlack || r.bytes > ringBytes+ringBytes/ringSlack {
		r.trim()
	}
}

// trim forgets the oldest until the bounds hold.
func (r *ring) trim() {
	n := 0
	for n < len(r.events)-1 && (len(r.events)-n > ringEvents || r.bytes > ringBytes) {
		r.bytes -= weight(&r.events[n])
		n++
	}
	if n == 0 {
		return
	}
	r.start, r.whole = r.events[n-1].Cursor, false
	r.events = append(make([]Event, 0, len(r.events)-n+ringEvents/ringSlack), r.events[n:]...)
}

// prepend adds older events, given newest first as the database reads them backwards; all says that there are no older
// ones. It keeps to the bounds.
func (r *ring) prepend(backwards []Event, all bool) {
	r.extended, r.whole = true, r.whole || all
	n := len(backwards) - 1
	if n < 0 {
		return
	}
	// What came before the oldest one is unknown, so from its own cursor on we are complete. It stays outside, as what
	// lies at start always does, and is read again as the newest of the next part.
	r.start = backwards[n].Cursor
	older := make([]Event, n, n+len(r.events)+ringEvents/ringSlack)
	for i := range n {
		older[n-1-i] = backwards[i]
		r.bytes += weight(&backwards[i])
	}
	r.events = append(older, r.events...)
	r.trim()
}

// full reports whether there is no room for older events.
func (r *ring) full() bool { return len(r.events) >= ringEvents || r.bytes >= ringBytes }

// has reports whether everything after c is here.
func (r *ring) has(c Cursor) bool { return c.Compare(r.start) >= 0 }

// after returns at most limit events behind c, which the ring has.
func (r *ring) after(c Cursor, limit int) []Event {
	i := sort.Search(len(r.events), func(i int) bool { return r.events[i].Cursor.After(c) })
	j := min(len(r.events), i+limit)
	return r.events[i:j:j]
}

// contains reports whether the event at c itself is here.
func (r *ring) contains(c Cursor) bool {
	i := sort.Search(len(r.events), func(i int) bool { return r.events[i].Cursor.Compare(c) >= 0 })
	return i < len(r.events) && r.events[i].Cursor == c
}
