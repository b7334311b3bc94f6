package inbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// eventTeamDeleted is staff's event; nothing else of that room moves a number here.
const eventTeamDeleted = "team.deleted"

// countRow is a conversation as the sidebar counts it. Closed ones are kept only while a send of theirs is in trouble.
type countRow struct {
	team, assignee int64
	version        int32
	inCount        int32
	trouble        int32
	status         countStatus
	marks          []countMark

	// what saved views filter by
	priority int8
	channel  int64
	tags     []string
	waiting  int64 // since when the customer waits, Unix seconds; 0 = he does not
}

type countMark struct {
	agent int64
	inNo  int32
}

type countStatus uint8

const (
	countClosed countStatus = iota
	countOpen
	countWaiting // for the customer
	countSnoozed
)

// active is what the lists show without being asked: open, or waiting for the customer.
func (s countStatus) active() bool { return s == countOpen || s == countWaiting }

func countStatusOf(s Status) countStatus {
	switch s {
	case Open:
		return countOpen
	case Waiting:
		return countWaiting
	case Snoozed:
		return countSnoozed
	case Closed:
		return countClosed
	}
	return countClosed
}

func unixOf(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.Unix()
}

func (r *countRow) readBy(agent int64) int32 {
	for _, m := range r.marks {
		if m.agent == agent {
			return m.inNo
		}
	}
	return 0
}

func (r *countRow) mark(agent int64, inNo int32) {
	for i := range r.marks {
		if r.marks[i].agent == agent {
			r.marks[i].inNo = max(r.marks[i].inNo, inNo)
			return
		}
	}
	r.marks = append(r.marks[:len(r.marks):len(r.marks)], countMark{agent, inNo})
}

// tally is what is counted of a set of conversations.
type tally struct {
	active, snoozed, trouble int
	free                     int // active without an owner
	unread                   int // active with customer messages that their owner has not read
}

func (t *tally) add(u tally, sign int) {
	t.active += sign * u.active
	t.snoozed += sign * u.snoozed
	t.trouble += sign * u.trouble
	t.free += sign * u.free
	t.unread += sign * u.unread
}

func (r *countRow) tally() tally {
	t := tally{trouble: int(r.trouble)}
	switch r.status {
	case countOpen, countWaiting:
		t.active = 1
		if r.assignee == 0 {
			t.free = 1
		} else if r.inCount > r.readBy(r.assignee) {
			t.unread = 1
		}
	case countSnoozed:
		t.snoozed = 1
	case countClosed:
	}
	return t
}

// countSet names a sum that is kept: all conversations of an owner, of a team, of both.
type countSet struct {
	by             countBy
	team, assignee int64
}

type countBy uint8

const (
	byAll countBy = iota
	byAgent
	byTeam
	byBoth
)

// troubled is a send that somebody must look at.
type troubled struct {
	conversation int64
	version      int32
}

// countIndex is the counted conversations with the sums over them.
type countIndex struct {
	mu      sync.RWMutex
	rows    map[int64]*countRow
	sums    map[countSet]tally
	trouble map[uuid.UUID]troubled
	views   map[int64]*viewCount
	now     time.Time         // the time that the views' waiting filters are counted at
	gone    recent[int64]     // versions of conversations that left the index
	calm    recent[uuid.UUID] // versions of messages that are in no trouble

	viewsGone recent[int64] // versions of views that were removed

	snapshot snapshot
	last     events.Cursor // newest event that the snapshot holds
	at       events.Cursor // newest event that was applied
}

func newCountIndex() *countIndex {
	return &countIndex{
		rows: map[int64]*countRow{}, sums: map[countSet]tally{}, trouble: map[uuid.UUID]troubled{},
		views: map[int64]*viewCount{}, now: time.Now(),
	}
}

func (x *countIndex) size() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.rows)
}

func (x *countIndex) read() events.Cursor {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.at
}

// count adds a row to every sum it belongs to, or takes it out.
func (x *countIndex) count(r *countRow, sign int) {
	u := r.tally()
	if u == (tally{}) {
		return
	}
	x.countViews(r, sign)
	for _, k := range r.sets() {
		t := x.sums[k]
		t.add(u, sign)
		if t == (tally{}) {
			delete(x.sums, k)
		} else {
			x.sums[k] = t
		}
	}
}

// change lets fn change a row with the sums following; fn gets an empty row when there is none.
func (x *countIndex) change(id int64, fn func(r *countRow)) {
	r, known := x.rows[id]
	if !known {
		r = &countRow{}
	}
	x.count(r, -1)
	fn(r)
	x.count(r, 1)
	switch keep := r.status != countClosed || r.trouble > 0; {
	case keep && !known:
		x.rows[id] = r
	case !keep && known:
		delete(x.rows, id)
	}
	if r.status == countClosed {
		r.marks = nil
		x.gone.put(id, r.version)
	}
}

// apply moves the index on and reports whether any number may have moved, and the conversations whose read markers must
// be looked up.
func (x *countIndex) apply(evs []events.Event) (moved bool, missing []int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range evs {
		e := &evs[i]
		if e.Cursor.After(x.at) {
			x.at = e.Cursor
		}
		if x.snapshot.holds(e.Cursor) {
			continue
		}
		switch e.Kind {
		case EventConversationCreated, EventConversationUpdated:
			ok, reopened := x.conversation(e, e.Raw)
			moved = moved || ok
			if reopened {
				missing = append(missing, e.ConversationID)
			}
		case EventMessageCreated, EventMessageUpdated:
			moved = x.message(e) || moved
			if row := rider(e); row != nil {
				ok, reopened := x.conversation(e, row)
				moved = moved || ok
				if reopened {
					missing = append(missing, e.ConversationID)
				}
			}
		case EventReadUpdated:
			moved = x.marker(e) || moved
		case EventViewUpdated, EventViewDeleted:
			moved = x.view(e) || moved
		case eventTeamDeleted:
			moved = x.disband(e) || moved
		}
	}
	return moved, missing
}

func (x *countIndex) conversation(e *events.Event, row json.RawMessage) (moved, reopened bool) {
	var c struct {
		Version      int32      `json:"version"`
		Status       Status     `json:"status"`
		InCount      int32      `json:"in_count"`
		ChannelID    ids.ID     `json:"channel_id"`
		Priority     int8       `json:"priority"`
		Tags         []string   `json:"tags"`
		WaitingSince *time.Time `json:"waiting_since"`
	}
	if json.Unmarshal(row, &c) != nil {
		return false, false // not one of ours; the nightly check would tell
	}
	id := e.ConversationID
	r := x.rows[id]
	was := x.gone.get(id)
	if r != nil {
		was = max(was, r.version)
	}
	if c.Version <= was {
		return false, false
	}
	reopened = (r == nil || r.status == countClosed) && countStatusOf(c.Status) != countClosed && e.Kind != EventConversationCreated
	x.change(id, func(r *countRow) {
		r.version, r.status, r.inCount = c.Version, countStatusOf(c.Status), c.InCount
		r.team, r.assignee = e.TeamID, e.AssigneeID
		r.channel, r.priority, r.tags, r.waiting = int64(c.ChannelID), c.Priority, c.Tags, unixOf(c.WaitingSince)
	})
	return true, reopened
}

func (x *countIndex) message(e *events.Event) bool {
	id, err := uuid.Parse(e.SubjectID)
	if err != nil {
		return false
	}
	was, known := x.trouble[id]
	// most messages are in no trouble; of those only a change is worth a look, since a late older version may follow
	if !known && e.Kind == EventMessageCreated && !bytes.Contains(e.Raw, []byte(`"failed"`)) && !bytes.Contains(e.Raw, []byte(`"uncertain"`)) {
		return false
	}
	var m struct {
		Version   int32      `json:"version"`
		Status    string     `json:"status"`
		DeletedAt *time.Time `json:"deleted_at"`
	}
	if json.Unmarshal(e.Raw, &m) != nil || m.Version <= max(was.version, x.calm.get(id)) {
		return false
	}
	bad := (m.Status == "failed" || m.Status == "uncertain") && m.DeletedAt == nil
	switch {
	case bad:
		x.trouble[id] = troubled{e.ConversationID, m.Version}
	case known:
		delete(x.trouble, id)
	}
	if !bad {
		x.calm.put(id, m.Version)
	}
	if bad == known {
		return false
	}
	x.change(e.ConversationID, func(r *countRow) {
		if bad {
			if r.version == 0 { // a closed conversation that was not in the index
				r.team, r.assignee, r.version = e.TeamID, e.AssigneeID, x.gone.get(e.ConversationID)
			}
			r.trouble++
		} else {
			r.trouble--
		}
	})
	return true
}

func (x *countIndex) marker(e *events.Event) bool {
	var m struct {
		InNo int32 `json:"in_no"`
	}
	if json.Unmarshal(e.Raw, &m) != nil {
		return false
	}
	if r := x.rows[e.ConversationID]; r == nil || r.status == countClosed {
		return false
	}
	x.change(e.ConversationID, func(r *countRow) { r.mark(e.Actor.ID, m.InNo) })
	return true
}

// disband follows what the database does to the conversations of a team that is deleted: they have none, and no event
// of their own.
func (x *countIndex) disband(e *events.Event) (moved bool) {
	team, err := ids.Parse(e.SubjectID)
	if err != nil || team == 0 {
		return false
	}
	for id, r := range x.rows {
		if r.team == int64(team) {
			x.change(id, func(r *countRow) { r.team = 0 })
			moved = true
		}
	}
	return moved
}

// counts adds up what the caller sees; the sums are the same disjoint sets as the branches of a list.
func (x *countIndex) counts(a staff.Access) Counts {
	x.mu.RLock()
	defer x.mu.RUnlock()
	me := int64(a.AgentID)
	mine := x.sums[countSet{by: byAgent, assignee: me}]
	out := Counts{Mine: mine.active, MineUnread: mine.unread, Teams: make(map[string]int, len(a.Teams))}
	sees := mine
	switch a.Scope {
	case staff.ScopeAll:
		sees = x.sums[countSet{by: byAll}]
		for k, t := range x.sums {
			if k.by == byTeam && k.team != 0 {
				out.Teams[fmt.Sprint(k.team)] = t.active
			}
		}
	case staff.ScopeTeam:
		sees.add(x.sums[countSet{by: byBoth}], 1)
		for _, t := range a.Teams {
			sees.add(x.sums[countSet{by: byTeam, team: int64(t)}], 1)
			sees.add(x.sums[countSet{by: byBoth, team: int64(t), assignee: me}], -1)
		}
	case staff.ScopeOwn:
		sees.add(x.sums[countSet{by: byBoth}], 1)
		for _, t := range a.Teams {
			sees.add(x.sums[countSet{by: byBoth, team: int64(t)}], 1)
		}
	}
	for _, t := range a.Teams {
		n := x.sums[countSet{by: byTeam, team: int64(t)}].active
		if a.Scope == staff.ScopeOwn {
			n = x.sums[countSet{by: byBoth, team: int64(t)}].active + x.sums[countSet{by: byBoth, team: int64(t), assignee: me}].active
		}
		out.Teams[t.String()] = n
	}
	out.All, out.Unassigned, out.Snoozed, out.Trouble = sees.active, sees.free, sees.snoozed, sees.trouble
	out.Views = x.viewNumbers(a)
	return out
}

// diff names what differs between two indexes.
func (x *countIndex) diff(y *countIndex) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	y.mu.RLock()
	defer y.mu.RUnlock()
	var out []string
	keys := map[countSet]bool{}
	for k := range x.sums {
		keys[k] = true
	}
	for k := range y.sums {
		keys[k] = true
	}
	for k := range keys {
		if x.sums[k] != y.sums[k] {
			out = append(out, fmt.Sprintf("%+v: %+v in memory, %+v in the database", k, x.sums[k], y.sums[k]))
		}
	}
	out = append(out, x.diffViews(y)...)
	slices.Sort(out)
	return out
}
