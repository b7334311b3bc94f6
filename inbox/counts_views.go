package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// viewTick is how often the passing of time alone moves the numbers of views that ask how long a customer waits.
const viewTick = 10 * time.Second

// viewCount is a saved view with its sums over the conversations. What an agent sees is added up from the same disjoint
// sets as everything else; "unread" is what is there minus what he has read to the end, for most agents have read
// nothing of most conversations.
type viewCount struct {
	View
	assignee int64 // that the filter names, 0 = none
	sums     map[countSet]int
	read     map[readSet]int // kept for an unread filter only
}

type readSet struct {
	agent int64
	set   countSet
}

func newViewCount(v View) *viewCount {
	c := &viewCount{View: v, sums: map[countSet]int{}, read: map[readSet]int{}}
	if id, err := ids.Parse(v.Filter.Assignee); err == nil {
		c.assignee = int64(id)
	}
	return c
}

// counted: closed conversations are not in memory, so a view of them has no number.
func (v *viewCount) counted() bool { return v.Filter.Status != string(Closed) }

// matches reports whether a row is in the view, leaving out what depends on who looks ("me", "unread").
func (v *viewCount) matches(r *countRow, now time.Time) bool {
	f := &v.Filter
	switch f.Status {
	case string(Open), string(Waiting), string(Snoozed):
		if r.status != countStatusOf(Status(f.Status)) {
			return false
		}
	case string(Closed):
		return false
	default:
		if !r.status.active() {
			return false
		}
	}
	switch {
	case f.TeamID != nil && r.team != int64(*f.TeamID),
		f.ChannelID != nil && r.channel != int64(*f.ChannelID),
		f.Assignee == "none" && r.assignee != 0,
		v.assignee != 0 && r.assignee != v.assignee,
		int(r.priority) < f.Priority,
		f.Tag != "" && !slices.Contains(r.tags, f.Tag),
		f.Unread && r.inCount == 0:
		return false
	}
	if f.WaitingMinutes > 0 {
		return r.waiting != 0 && r.waiting <= now.Unix()-int64(f.WaitingMinutes)*60
	}
	return true
}

func (v *viewCount) add(r *countRow, sign int) {
	for _, k := range r.sets() {
		bump(v.sums, k, sign)
		if !v.Filter.Unread {
			continue
		}
		for _, m := range r.marks {
			if m.inNo >= r.inCount {
				bump(v.read, readSet{m.agent, k}, sign)
			}
		}
	}
}

func bump[K comparable](m map[K]int, k K, by int) {
	if n := m[k] + by; n == 0 {
		delete(m, k)
	} else {
		m[k] = n
	}
}

// sets are the sums that a row belongs to.
func (r *countRow) sets() [4]countSet {
	return [...]countSet{
		{by: byAll},
		{by: byAgent, assignee: r.assignee},
		{by: byTeam, team: r.team},
		{by: byBoth, team: r.team, assignee: r.assignee},
	}
}

// number is what the view counts for somebody.
func (v *viewCount) number(a staff.Access) int {
	me := int64(a.AgentID)
	get := func(k countSet) int { return v.sums[k] }
	if v.Filter.Unread {
		get = func(k countSet) int { return v.sums[k] - v.read[readSet{me, k}] }
	}
	if v.Filter.Assignee == "me" {
		return get(countSet{by: byAgent, assignee: me})
	}
	return seen(a, get)
}

// seen adds up what somebody sees, by the disjoint sets that his scope is made of.
func seen(a staff.Access, get func(countSet) int) int {
	me := int64(a.AgentID)
	if a.Scope == staff.ScopeAll {
		return get(countSet{by: byAll})
	}
	n := get(countSet{by: byAgent, assignee: me}) + get(countSet{by: byBoth})
	for _, t := range a.Teams {
		switch a.Scope {
		case staff.ScopeTeam:
			n += get(countSet{by: byTeam, team: int64(t)}) - get(countSet{by: byBoth, team: int64(t), assignee: me})
		case staff.ScopeOwn:
			n += get(countSet{by: byBoth, team: int64(t)})
		case staff.ScopeAll:
		}
	}
	return n
}

// countViews adds a row to the views that it is in, or takes it out.
func (x *countIndex) countViews(r *countRow, sign int) {
	for _, v := range x.views {
		if v.matches(r, x.now) {
			v.add(r, sign)
		}
	}
}

// view follows the making, changing and removing of a view. The caller holds mu.
func (x *countIndex) view(e *events.Event) bool {
	var v View
	if json.Unmarshal(e.Raw, &v) != nil || v.ID == 0 {
		return false
	}
	id := int64(v.ID)
	was := x.viewsGone.get(id)
	if old := x.views[id]; old != nil {
		was = max(was, int32(old.Version))
	}
	if e.Kind == EventViewDeleted {
		x.viewsGone.put(id, max(was, int32(v.Version)))
		delete(x.views, id)
		return true
	}
	if int32(v.Version) <= was {
		return false
	}
	x.putView(v)
	return true
}

// putView counts a view from nothing, once over all rows.
func (x *countIndex) putView(v View) {
	c := newViewCount(v)
	x.views[int64(v.ID)] = c
	for _, r := range x.rows {
		if c.matches(r, x.now) {
			c.add(r, 1)
		}
	}
}

// tick lets time pass for the views that ask for it, and reports whether a number moved.
func (x *countIndex) tick(now time.Time) (moved bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	before := x.now
	x.now = now
	for _, v := range x.views {
		if v.Filter.WaitingMinutes == 0 {
			continue
		}
		for _, r := range x.rows {
			if r.waiting == 0 {
				continue
			}
			was, is := v.matches(r, before), v.matches(r, now)
			switch {
			case is && !was:
				v.add(r, 1)
			case was && !is:
				v.add(r, -1)
			}
			moved = moved || was != is
		}
	}
	return moved
}

// viewNumbers are the numbers of the views that somebody has.
func (x *countIndex) viewNumbers(a staff.Access) map[string]int {
	out := map[string]int{}
	for _, v := range x.views {
		if v.counted() && (v.Shared || v.AgentID == a.AgentID) {
			out[v.ID.String()] = v.number(a)
		}
	}
	return out
}

// diffViews names what differs between the views of two indexes.
func (x *countIndex) diffViews(y *countIndex) []string {
	var out []string
	for id, v := range x.views {
		w := y.views[id]
		if w == nil || w.Version != v.Version {
			out = append(out, fmt.Sprintf("view %d is not the same in the database", id))
			continue
		}
		for k := range merged(v.sums, w.sums) {
			if v.sums[k] != w.sums[k] {
				out = append(out, fmt.Sprintf("view %d %+v: %d in memory, %d in the database", id, k, v.sums[k], w.sums[k]))
			}
		}
		for k := range merged(v.read, w.read) {
			if v.read[k] != w.read[k] {
				out = append(out, fmt.Sprintf("view %d %+v: %d read in memory, %d in the database", id, k, v.read[k], w.read[k]))
			}
		}
	}
	for id := range y.views {
		if x.views[id] == nil {
			out = append(out, fmt.Sprintf("view %d is only in the database", id))
		}
	}
	return out
}

func merged[K comparable](a, b map[K]int) map[K]bool {
	keys := make(map[K]bool, len(a))
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

// fillViews reads the saved views into an index whose rows are there.
func (x *countIndex) fillViews(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, allViewsSQL)
	if err != nil {
		return fmt.Errorf("read views: %w", err)
	}
	views, err := pgx.CollectRows(rows, scanView)
	if err != nil {
		return fmt.Errorf("read views: %w", err)
	}
	for _, v := range views {
		x.putView(v)
	}
	return nil
}
