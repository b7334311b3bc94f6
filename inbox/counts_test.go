package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// countsSQL is the slow truth for one caller.
const countsSQL = `SELECT
	count(*) FILTER (WHERE c.status IN ('open', 'waiting') AND c.assignee_id = $2),
	count(*) FILTER (WHERE c.status IN ('open', 'waiting') AND c.assignee_id = $2 AND c.in_count > coalesce(r.in_no, 0)),
	count(*) FILTER (WHERE c.status IN ('open', 'waiting') AND c.assignee_id IS NULL),
	count(*) FILTER (WHERE c.status IN ('open', 'waiting')),
	count(*) FILTER (WHERE c.status = 'snoozed'),
	coalesce(sum((SELECT count(*) FROM message m WHERE m.conversation_id = c.id AND m.status IN ('failed', 'uncertain') AND m.deleted_at IS NULL)), 0)
FROM conversation c LEFT JOIN read_marker r ON r.conversation_id = c.id AND r.agent_id = $2 WHERE ` + visibleSQL

const countTeamsSQL = `SELECT c.team_id, count(*) FROM conversation c WHERE c.status IN ('open', 'waiting') AND c.team_id IS NOT NULL
AND ($1 = 'all' OR c.team_id = ANY ($3)) AND ` + visibleSQL + ` GROUP BY 1`

func (o *office) countedBySQL(a staff.Access) Counts {
	o.t.Helper()
	var c Counts
	err := o.pool.QueryRow(o.ctx, countsSQL, who(a)...).Scan(&c.Mine, &c.MineUnread, &c.Unassigned, &c.All, &c.Snoozed, &c.Trouble)
	if err != nil {
		o.t.Fatal(err)
	}
	c.Teams = map[string]int{}
	for _, t := range a.Teams {
		c.Teams[t.String()] = 0
	}
	rows, err := o.pool.Query(o.ctx, countTeamsSQL, who(a)...)
	if err != nil {
		o.t.Fatal(err)
	}
	views, err := o.Views(o.ctx, a)
	if err != nil {
		o.t.Fatal(err)
	}
	c.Views = map[string]int{}
	for _, v := range views {
		if v.Filter.Status != string(Closed) {
			c.Views[v.ID.String()] = len(o.pages(a, ListQuery{View: viewSaved + v.ID.String()}, 200))
		}
	}
	var team int64
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&team, &n}, func() error { c.Teams[fmt.Sprint(team)] = n; return nil }); err != nil {
		o.t.Fatal(err)
	}
	return c
}

// publish changes rows in one transaction and appends the events that tell it, as every writer does.
func (o *office) publish(kind string, conversation ids.ID, message *MessageKey, sql string, args ...any) error {
	return o.change(o.ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if _, err := tx.Exec(o.ctx, sql, args...); err != nil {
			return nil, err
		}
		list, err := loadConversations(o.ctx, tx, []int64{int64(conversation)})
		if err != nil {
			return nil, err
		}
		c := list[int64(conversation)]
		if message == nil {
			return []events.Event{conversationEvent(kind, events.System, c, idOf(c.TeamID), idOf(c.AssigneeID))}, nil
		}
		items, err := loadItems(o.ctx, tx, []MessageKey{*message})
		if err != nil {
			return nil, err
		}
		return []events.Event{itemEvent(kind, events.System, items[0], c)}, nil
	})
}

// shop is an office whose sidebar runs.
type shop struct {
	*office
	side   *Sidebar
	agents []staff.Access
	teams  []ids.ID
	open   []ids.ID
}

func newShop(t *testing.T) *shop {
	pool := dbtest.Server(t)
	b, err := bus.Embedded(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	s := &shop{office: officeOn(t, pool)}
	s.Desk = NewDesk(pool, b, log)
	for range 3 {
		s.teams = append(s.teams, s.team())
	}
	for _, scope := range []staff.Scope{staff.ScopeOwn, staff.ScopeTeam, staff.ScopeAll} {
		s.agents = append(s.agents, s.agent(staff.Member, scope), s.agent(staff.Member, scope, s.teams[0]), s.agent(staff.Member, scope, s.teams[:2]...))
	}
	for i := range 60 {
		var team ids.ID
		if i%4 > 0 {
			team = s.teams[i%4-1]
		}
		id := s.office.open(Open, team, 0)
		s.open = append(s.open, id)
	}
	for i, f := range s.filters() {
		s.save(s.agents[8], fmt.Sprintf("View %d", i), i%2 == 0, f)
	}
	tail := events.NewTailer(pool, b, log)
	s.side = NewSidebar(pool, tail, log)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{tail.Run, s.side.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		wg.Wait()
		b.Close()
	})
	return s
}

// filters are one of each kind of condition, and some together.
func (s *shop) filters() []ViewFilter {
	return []ViewFilter{
		{},
		{Status: "open"},
		{Status: "waiting"},
		{Status: "snoozed"},
		{Status: "closed"},
		{TeamID: &s.teams[1]},
		{Assignee: "me"},
		{Assignee: "none", TeamID: &s.teams[0]},
		{Assignee: s.agents[4].AgentID.String()},
		{ChannelID: ptr(ids.ID(s.channel))},
		{ChannelID: ptr(ids.ID(s.channel + 1))},
		{Tag: "vip"},
		{Priority: 2, Tag: "late"},
		{WaitingMinutes: 5},
		{Unread: true},
		{Unread: true, Assignee: "me"},
		{Unread: true, TeamID: &s.teams[0], Status: "open"},
	}
}

func (s *shop) save(a staff.Access, name string, shared bool, f ViewFilter) View {
	s.t.Helper()
	v, err := s.CreateView(s.ctx, a, ViewInput{Name: name, Shared: shared, Filter: f})
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// op does one random thing that changes, or does not change, a number.
func (s *shop) op(rnd *rand.Rand, sends *sync.Map) error {
	id := s.open[rnd.IntN(len(s.open))]
	a := s.agents[6+rnd.IntN(3)] // who sees all
	patch := func(p ConversationPatch) error {
		_, err := s.UpdateConversation(s.ctx, a, id, p)
		return err
	}
	switch rnd.IntN(15) {
	case 0, 1:
		return patch(ConversationPatch{Assignee: give(s.agents[rnd.IntN(len(s.agents))].AgentID)})
	case 2:
		return patch(ConversationPatch{Assignee: give(0)})
	case 3:
		return patch(ConversationPatch{Team: give(append([]ids.ID{0}, s.teams...)[rnd.IntN(4)])})
	case 4:
		return patch(ConversationPatch{Status: ptr(Closed)})
	case 5:
		return patch(ConversationPatch{Status: ptr(Open)})
	case 6:
		return patch(ConversationPatch{SnoozedUntil: ptr(time.Now().Add(time.Hour))})
	case 7:
		return patch(ConversationPatch{Status: ptr(Waiting)})
	case 8, 9: // the customer writes
		k := MessageKey{At: time.Now().UTC().Truncate(time.Microsecond), ID: uuid.Must(uuid.NewV7())}
		return s.publish(EventConversationUpdated, id, nil, `WITH c AS (UPDATE conversation SET in_count = in_count + 1, version = version + 1 WHERE id = $1 RETURNING id, in_count)
INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, status, in_no)
SELECT $2, $3, id, 'message', 'in', 'contact', 'received', in_count FROM c`, int64(id), k.At, k.ID)
	case 12:
		return patch(ConversationPatch{Priority: ptr(rnd.IntN(4))})
	case 13:
		return patch(ConversationPatch{Tags: &[][]string{{}, {"vip"}, {"late"}, {"late", "vip"}}[rnd.IntN(4)]})
	case 14: // waits since a time that is no edge of a view
		return s.publish(EventConversationUpdated, id, nil, `UPDATE conversation SET version = version + 1,
	waiting_since = (ARRAY[NULL, now(), now() - interval '1 hour'])[$2] WHERE id = $1`, int64(id), 1+rnd.IntN(3))
	case 10: // somebody reads to the end
		reader := s.agents[rnd.IntN(len(s.agents))]
		reader.Scope = staff.ScopeAll
		tl, err := s.Timeline(s.ctx, reader, id, TimelineQuery{Limit: 1})
		if err != nil || len(tl.Items) == 0 {
			return err
		}
		return s.MarkRead(s.ctx, reader, id, tl.Items[0].ID)
	}
	// a send goes wrong, or comes right again
	if v, ok := sends.Load(id); ok && rnd.IntN(2) == 0 {
		k := v.(MessageKey)
		return s.publish(EventMessageUpdated, id, &k, `UPDATE message SET version = version + 1, status = (ARRAY['sent', 'queued', 'failed', 'uncertain'])[$3]
WHERE at = $1 AND id = $2`, k.At, k.ID, 1+rnd.IntN(4))
	}
	k := MessageKey{At: time.Now().UTC().Truncate(time.Microsecond), ID: uuid.Must(uuid.NewV7())}
	err := s.publish(EventMessageCreated, id, &k, `INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, status)
VALUES ($1, $2, $3, 'message', 'out', 'system', 'failed')`, k.At, k.ID, int64(id))
	sends.Store(id, k)
	return err
}

func TestCountsAreWhatTheDatabaseCounts(t *testing.T) {
	s := newShop(t)
	writers, each := 8, 1250 // 10,000 operations
	if testing.Short() {
		each = 100
	}
	var sends sync.Map
	var wg sync.WaitGroup
	wg.Go(func() { // views come, change and go meanwhile
		for i := range 40 {
			v := s.save(s.agents[i%9], "Moving", i%3 == 0, s.filters()[i%17])
			if i%2 == 0 {
				in := ViewInput{Name: "Moved", Shared: i%4 == 0, Filter: s.filters()[(i+5)%17]}
				if _, err := s.UpdateView(s.ctx, s.agents[i%9], v.ID, v.Version, in); err != nil {
					t.Error(err)
				}
			}
			if i%3 == 0 {
				if err := s.DeleteView(s.ctx, s.agents[i%9], v.ID); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for w := range writers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 7))
			for range each {
				err := s.op(rnd, &sends)
				if err != nil && !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Invalid) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for i, a := range s.agents {
		want := s.countedBySQL(a)
		var got Counts
		ok := within(5*time.Second, func() bool { got = s.side.Counts(a); return cmp.Equal(want, got) })
		if !ok {
			t.Errorf("agent %d, scope %s: (-database +memory)\n%s", i, a.Scope, cmp.Diff(want, got))
		}
		if want.All == 0 || want.Snoozed == 0 || want.Trouble == 0 || i > 2 && want.Mine == 0 {
			t.Logf("agent %d has hardly anything to count: %+v", i, want)
		}
	}
	// what is made in the snapshot's own way is the same
	fresh, err := loadCounts(s.ctx, s.pool)
	if err != nil {
		t.Fatal(err)
	}
	if d := s.side.index.diff(fresh); len(d) > 0 {
		t.Errorf("memory and a fresh load differ: %q", d)
	}
	// a deleted team's conversations have no team
	s.exec(`DELETE FROM team WHERE id = $1`, int64(s.teams[0]))
	if err := s.change(s.ctx, func(pgx.Tx) ([]events.Event, error) {
		return []events.Event{{Kind: eventTeamDeleted, Actor: events.System, SubjectKind: "team", SubjectID: s.teams[0].String()}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	a := s.agents[0]
	if !within(5*time.Second, func() bool { return cmp.Equal(s.countedBySQL(a), s.side.Counts(a)) }) {
		t.Error(cmp.Diff(s.countedBySQL(a), s.side.Counts(a)))
	}
}

// within polls for what another goroutine does.
func within(d time.Duration, ok func() bool) bool {
	for end := time.Now().Add(d); time.Now().Before(end); runtime.Gosched() {
		if ok() {
			return true
		}
	}
	return false
}

// still is a spine on which nothing happens unless the test says so.
type still struct {
	started chan struct{}
	fn      func([]events.Event)
}

func newStill() *still {
	s := &still{started: make(chan struct{})}
	close(s.started)
	return s
}

func (s *still) Subscribe(fn func([]events.Event)) { s.fn = fn }
func (s *still) Started() <-chan struct{}          { return s.started }
func (s *still) Head() events.Cursor               { return events.Cursor{} }

func TestCountsCheckFindsAndMendsADifference(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	o.open(Open, 0, a.AgentID)
	s := NewSidebar(o.pool, newStill(), slog.New(slog.DiscardHandler))
	if !s.load(o.ctx) {
		t.Fatal("not loaded")
	}
	if !s.check(o.ctx) {
		t.Error("a difference where there is none")
	}
	o.open(Open, 0, a.AgentID) // written without an event: a fault
	if s.check(o.ctx) {
		t.Error("the difference was not seen")
	}
	if got := s.Counts(a).Mine; got != 2 {
		t.Errorf("mine %d after mending", got)
	}
}

// TestCountsTakeEventsInTheSpinesOrder: of two transactions that met on a row the later writer may have the older number.
func TestCountsTakeEventsInTheSpinesOrder(t *testing.T) {
	t.Parallel()
	x := newCountIndex()
	a := staff.Access{AgentID: 5, Scope: staff.ScopeAll}
	event := func(xid uint64, kind string, version int, status Status) events.Event {
		raw, err := json.Marshal(Conversation{ID: 1, Version: version, Status: status, Tags: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		return events.Event{Kind: kind, ConversationID: 1, Raw: raw, Cursor: events.Cursor{Epoch: 1, XID: xid, ID: int64(xid)}}
	}
	apply := func(evs ...events.Event) int { x.apply(evs); return x.counts(a).All }
	if n := apply(event(10, EventConversationCreated, 1, Open)); n != 1 {
		t.Errorf("%d after the beginning", n)
	}
	if n := apply(event(11, EventConversationUpdated, 3, Closed), event(12, EventConversationUpdated, 2, Waiting)); n != 0 {
		t.Errorf("%d: an older version brought a closed conversation back", n)
	}
	if n := apply(event(13, EventConversationUpdated, 4, Open)); n != 1 {
		t.Errorf("%d after it was opened again", n)
	}
	message := func(version int, status string) events.Event {
		raw, err := json.Marshal(Item{Version: version, Status: status})
		if err != nil {
			t.Fatal(err)
		}
		return events.Event{Kind: EventMessageUpdated, ConversationID: 1, SubjectID: "0190b6f0-0000-7000-8000-000000000001", Raw: raw, Cursor: events.Cursor{Epoch: 1, XID: 20}}
	}
	x.apply([]events.Event{message(3, "queued"), message(2, "failed")})
	if n := x.counts(a).Trouble; n != 0 {
		t.Errorf("%d in trouble: an older version came after the retry", n)
	}
	x.apply([]events.Event{message(4, "uncertain")})
	if n := x.counts(a).Trouble; n != 1 {
		t.Errorf("%d in trouble", n)
	}
}

func TestCountsAreSmall(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := newCountIndex()
	const n = 100_000
	for id := range int64(n) {
		x.change(id, func(r *countRow) {
			r.status, r.version, r.inCount, r.team, r.assignee = countOpen, 1, 3, id%10, id%100
			r.mark(id%100, 2)
			r.mark(1000, 1)
		})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / n; each > 300 {
		t.Errorf("%d bytes for one open conversation, at most 300", each)
	} else {
		t.Logf("%d bytes for one open conversation", each)
	}
	runtime.KeepAlive(x)
}

// TestWaitingViewsFollowTheClock: nothing happens but time, and the number moves.
func TestWaitingViewsFollowTheClock(t *testing.T) {
	t.Parallel()
	x := newCountIndex()
	a := staff.Access{AgentID: 5, Scope: staff.ScopeAll}
	x.putView(View{ID: 1, AgentID: 5, Filter: ViewFilter{WaitingMinutes: 10}})
	now := x.now
	for id := range int64(3) {
		x.change(id, func(r *countRow) { r.status, r.waiting = countOpen, now.Add(-time.Duration(id)*5*time.Minute).Unix() })
	}
	x.change(9, func(r *countRow) { r.status = countOpen }) // nobody waits there
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {4 * time.Minute, 1}, {5 * time.Minute, 2}, {10 * time.Minute, 3}, {time.Hour, 3}} {
		moved := x.tick(now.Add(step.after))
		if got := x.counts(a).Views["1"]; got != step.want {
			t.Errorf("after %s: %d, want %d", step.after, got, step.want)
		}
		if again := x.tick(now.Add(step.after)); again {
			t.Errorf("after %s: the same time moved something again (before: %v)", step.after, moved)
		}
	}
	x.change(0, func(r *countRow) { r.waiting = 0 })
	if got := x.counts(a).Views["1"]; got != 2 {
		t.Errorf("%d after one was answered, want 2", got)
	}
	if got := x.counts(staff.Access{AgentID: 6, Scope: staff.ScopeAll}).Views; len(got) != 0 {
		t.Errorf("somebody else counts a view that is not his: %v", got)
	}
}
