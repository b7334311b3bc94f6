package inbox

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func give(id ids.ID) ids.Patch { return ids.Patch{Set: true, ID: id} }

// spine reads the events of one kind about a conversation, oldest first.
type spineRow struct {
	Kind                             string
	Actor                            int64
	Team, TeamWas, Assignee, Before_ int64
	Payload                          json.RawMessage
}

func (o *office) spine(kind string, conversation ids.ID) []spineRow {
	o.t.Helper()
	rows, err := o.pool.Query(o.ctx, `SELECT kind, coalesce(actor_id, 0), coalesce(team_id, 0), coalesce(team_before, 0), coalesce(assignee_id, 0),
	coalesce(assignee_before, 0), payload FROM event WHERE kind = $1 AND conversation_id = $2 ORDER BY id`, kind, int64(conversation))
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	var out []spineRow
	for rows.Next() {
		var r spineRow
		if err := rows.Scan(&r.Kind, &r.Actor, &r.Team, &r.TeamWas, &r.Assignee, &r.Before_, &r.Payload); err != nil {
			o.t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// lines reads what the timeline says happened: the event names and the English text.
func (o *office) lines(id ids.ID) []string {
	o.t.Helper()
	tl, err := o.Timeline(o.ctx, staff.Access{Scope: staff.ScopeAll}, id, TimelineQuery{Limit: 200})
	if err != nil {
		o.t.Fatal(err)
	}
	out := []string{}
	for _, it := range tl.Items {
		if it.Kind == kindEvent {
			var d struct{ Event string }
			if err := json.Unmarshal(it.Data, &d); err != nil {
				o.t.Fatal(err)
			}
			out = append(out, d.Event+": "+it.Text)
		}
	}
	return out
}

func TestTwoTakersOneOwner(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, scope := range []staff.Scope{staff.ScopeOwn, staff.ScopeAll} {
		a, b := o.agent(staff.Member, scope), o.agent(staff.Member, scope)
		for round := range 100 {
			id := o.open(Open, 0, 0)
			var p ConversationPatch
			if round%2 == 0 {
				p.Version = ptr(1) // as a screen sends it, and as a script without the version does
			}
			start := make(chan struct{})
			var wg sync.WaitGroup
			results := make([]error, 2)
			for i, who := range []staff.Access{a, b} {
				wg.Go(func() {
					<-start
					p := p
					p.Assignee = give(who.AgentID)
					_, results[i] = o.UpdateConversation(o.ctx, who, id, p)
				})
			}
			close(start)
			wg.Wait()
			won, owner := 0, o.id(`SELECT coalesce(assignee_id, 0) FROM conversation WHERE id = $1`, int64(id))
			for i, who := range []staff.Access{a, b} {
				switch {
				case results[i] == nil:
					won++
					if owner != int64(who.AgentID) {
						t.Fatalf("round %d: agent %d was told that he has it, the owner is %d", round, who.AgentID, owner)
					}
				case !errs.Is(results[i], errs.Conflict) && !errs.Is(results[i], errs.NotFound):
					t.Fatalf("round %d: the slower one got %v", round, results[i])
				}
			}
			if won != 1 {
				t.Fatalf("round %d: %d takers won: %v", round, won, results)
			}
			if n := len(o.spine(EventConversationUpdated, id)); n != 1 {
				t.Fatalf("round %d: %d events say who took it", round, n)
			}
		}
	}
}

func TestWhoMayAssign(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.agent(staff.Member, staff.ScopeAll), o.agent(staff.Member, staff.ScopeAll)
	// a token that may answer but not give to others
	replier := a
	replier.TokenID, replier.TokenScopes = 1, []string{string(staff.Reply)}
	auditor := o.agent(staff.Auditor, staff.ScopeAll)
	gone := o.agent(staff.Member, staff.ScopeAll)
	o.exec(`UPDATE agent SET disabled_at = now() WHERE id = $1`, int64(gone.AgentID))
	id := o.open(Open, 0, 0)
	patch := func(by staff.Access, p ConversationPatch) error {
		_, err := o.UpdateConversation(o.ctx, by, id, p)
		return err
	}
	steps := []struct {
		what string
		by   staff.Access
		p    ConversationPatch
		want errs.Code
	}{
		{"give to another without the right", replier, ConversationPatch{Assignee: give(b.AgentID)}, errs.Forbidden},
		{"change the team without the right", replier, ConversationPatch{Team: give(o.team())}, errs.Forbidden},
		{"take what is free", replier, ConversationPatch{Assignee: give(a.AgentID)}, ""},
		{"take it again", replier, ConversationPatch{Assignee: give(a.AgentID)}, ""},
		{"give back one's own", replier, ConversationPatch{Assignee: give(0)}, ""},
		{"give to another", a, ConversationPatch{Assignee: give(b.AgentID)}, ""},
		{"take without having seen the owner", a, ConversationPatch{Assignee: give(a.AgentID)}, errs.Conflict},
		{"take with an old version", a, ConversationPatch{Assignee: give(a.AgentID), Version: ptr(2)}, errs.Conflict},
		{"take from another without the right", replier, ConversationPatch{Assignee: give(a.AgentID), Version: ptr(4)}, errs.Conflict},
		{"take from another who was seen", a, ConversationPatch{Assignee: give(a.AgentID), Version: ptr(4)}, ""},
		{"give to nobody known", a, ConversationPatch{Assignee: give(1 << 40)}, errs.Invalid},
		{"give to a disabled agent", a, ConversationPatch{Assignee: give(gone.AgentID)}, errs.Invalid},
		{"give to an auditor", a, ConversationPatch{Assignee: give(auditor.AgentID)}, errs.Invalid},
		{"move to no known team", a, ConversationPatch{Team: give(1 << 40)}, errs.Invalid},
	}
	for _, s := range steps {
		wantCode(t, patch(s.by, s.p), s.want, s.what)
	}
	want := []string{
		"assigned: " + a.Name + " took this.", "unassigned: " + a.Name + " gave this back.",
		"assigned: " + a.Name + " gave this to " + b.Name + ".", "assigned: " + a.Name + " took this.",
	}
	if d := cmp.Diff(want, o.lines(id)); d != "" {
		t.Error(d)
	}
}

func TestStatusAndQueue(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	id := o.open(Open, 0, 0)
	o.exec(`UPDATE conversation SET waiting_since = now() WHERE id = $1`, int64(id))
	type state struct{ Waits, Queued, Closed, Snoozed bool }
	read := func() (s state) {
		t.Helper()
		err := o.pool.QueryRow(o.ctx, `SELECT waiting_since IS NOT NULL, queued_at IS NOT NULL, closed_at IS NOT NULL, snoozed_until IS NOT NULL
FROM conversation WHERE id = $1`, int64(id)).Scan(&s.Waits, &s.Queued, &s.Closed, &s.Snoozed)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	later := time.Now().Add(time.Hour)
	steps := []struct {
		what string
		p    ConversationPatch
		want state
	}{
		{"nothing", ConversationPatch{}, state{Waits: true, Queued: true}},
		{"snooze", ConversationPatch{SnoozedUntil: &later}, state{Waits: true, Queued: true, Snoozed: true}},
		{"open", ConversationPatch{Status: ptr(Open)}, state{Waits: true, Queued: true}},
		{"take", ConversationPatch{Assignee: give(a.AgentID)}, state{Waits: true}},
		{"give back", ConversationPatch{Assignee: give(0)}, state{Waits: true, Queued: true}},
		{"wait for the customer", ConversationPatch{Status: ptr(Waiting)}, state{Queued: true}},
		{"close", ConversationPatch{Status: ptr(Closed)}, state{Closed: true}},
		{"take what is closed", ConversationPatch{Assignee: give(a.AgentID)}, state{Closed: true}},
		{"give it back", ConversationPatch{Assignee: give(0)}, state{Closed: true}},
		{"reopen", ConversationPatch{Status: ptr(Open)}, state{Queued: true}},
		{"close and take at once", ConversationPatch{Status: ptr(Closed), Assignee: give(a.AgentID)}, state{Closed: true}},
		{"reopen one's own", ConversationPatch{Status: ptr(Open)}, state{}},
	}
	for _, s := range steps {
		c, err := o.UpdateConversation(o.ctx, a, id, s.p)
		if err != nil {
			t.Fatalf("%s: %v", s.what, err)
		}
		if d := cmp.Diff(s.want, read()); d != "" {
			t.Errorf("%s: (-want +got)\n%s", s.what, d)
		}
		if d := cmp.Diff(o.get(a, id), c); d != "" {
			t.Errorf("%s: the answer is not the row: %s", s.what, d)
		}
	}
}

func TestPatchIsRefusedByField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	id := o.open(Open, 0, 0)
	past, future, far := time.Now().Add(-time.Second), time.Now().Add(time.Hour), time.Now().AddDate(3, 0, 0)
	many := strings.Fields(strings.Repeat("a b c d e f g h i j k l m n o p q r s t u ", 1))
	for field, p := range map[string]ConversationPatch{
		"status":        {Status: ptr(Status("gone"))},
		"priority":      {Priority: ptr(4)},
		"snoozed_until": {SnoozedUntil: &past},
		"tags":          {Tags: &many},
	} {
		_, err := o.UpdateConversation(o.ctx, a, id, p)
		wantField(t, err, field)
	}
	for _, p := range []ConversationPatch{{SnoozedUntil: &far}, {Status: ptr(Snoozed)}, {Status: ptr(Open), SnoozedUntil: &future}} {
		_, err := o.UpdateConversation(o.ctx, a, id, p)
		wantField(t, err, "snoozed_until")
	}
	for _, tag := range []string{"", "  ", strings.Repeat("x", 51), "a\x00b", "a\x1bb"} {
		_, err := o.UpdateConversation(o.ctx, a, id, ConversationPatch{Tags: &[]string{tag}})
		wantField(t, err, "tags")
	}
	if n := len(o.spine(EventConversationUpdated, id)); n != 0 {
		t.Errorf("%d events of refused changes", n)
	}
}

func wantField(t testing.TB, err error, field string) {
	t.Helper()
	var e *errs.E
	if !errs.Is(err, errs.Invalid) || !asE(err, &e) || e.Field != field {
		t.Errorf("got %v, want field %s refused", err, field)
	}
}

func TestTagsAndEvents(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team, next := o.team(), o.team()
	a := o.agent(staff.Member, staff.ScopeTeam, team)
	id := o.open(Open, team, 0)
	c, err := o.UpdateConversation(o.ctx, a, id, ConversationPatch{Tags: &[]string{" VIP  client", "vip client", "Быстро"}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"VIP client", "Быстро"}, c.Tags); d != "" {
		t.Error(d)
	}
	if _, err := o.UpdateConversation(o.ctx, a, id, ConversationPatch{Tags: &c.Tags}); err != nil {
		t.Fatal(err)
	}
	tags, err := o.Tags(o.ctx)
	if err != nil || len(tags) != 2 {
		t.Errorf("known tags %v, %v", tags, err)
	}
	if got := o.pages(a, ListQuery{Tag: "Быстро"}, 10); !cmp.Equal(got, []ids.ID{id}) {
		t.Errorf("by tag: %v", got)
	}
	// to a team where the agent is not: he is told where it was, and gets the answer although he sees it no more
	if c, err = o.UpdateConversation(o.ctx, a, id, ConversationPatch{Team: give(next)}); err != nil || ids.Of(c.TeamID) != next {
		t.Fatal(c, err)
	}
	evs := o.spine(EventConversationUpdated, id)
	if len(evs) != 2 {
		t.Fatalf("%d events, want 2: the same tags again are no change", len(evs))
	}
	last := evs[1]
	if last.Team != int64(next) || last.TeamWas != int64(team) || last.Actor != int64(a.AgentID) {
		t.Errorf("event %+v", last)
	}
	var payload Conversation
	if err := json.Unmarshal(last.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	if payload.Unread != 0 || payload.Version != c.Version || ids.Of(payload.TeamID) != next {
		t.Errorf("payload %+v", payload)
	}
	if n := len(o.spine(EventMessageCreated, id)); n != 2 {
		t.Errorf("%d timeline lines went out, want 2", n)
	}
	if o.bus.hints.Load() != 2 {
		t.Errorf("%d wake-ups, want 2", o.bus.hints.Load())
	}
}

func TestReopenWhereAnotherIsOpen(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	p := o.stranger()
	old, current := o.openWith(p, Closed, 0, 0), o.openWith(p, Open, 0, 0)
	_, err := o.UpdateConversation(o.ctx, a, old, ConversationPatch{Status: ptr(Open)})
	var e *errs.E
	if !errs.Is(err, errs.Conflict) || !asE(err, &e) || ids.Of(e.Extra["conversation_id"].(*ids.ID)) != current {
		t.Errorf("got %v", err)
	}
	o.exec(`UPDATE conversation SET merged_into = $1 WHERE id = $2`, int64(current), int64(old))
	_, err = o.UpdateConversation(o.ctx, a, old, ConversationPatch{Status: ptr(Open)})
	wantCode(t, err, errs.Conflict, "reopen what was merged")
}

func TestSnoozedComeBackInTime(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	w := NewSnooze(o.Desk)
	done := make(chan error, 1)
	ctx, stop := contextWithStop(t)
	go func() { done <- w.Run(ctx) }()
	id, later := o.open(Open, 0, 0), o.open(Open, 0, a.AgentID)
	hour := time.Now().Add(time.Hour)
	if _, err := o.UpdateConversation(o.ctx, a, later, ConversationPatch{SnoozedUntil: &hour}); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(300 * time.Millisecond)
	if _, err := o.UpdateConversation(o.ctx, a, id, ConversationPatch{SnoozedUntil: &until}); err != nil {
		t.Fatal(err)
	}
	w.Observe(o.asEvents(EventConversationUpdated, id))
	untilTrue(t, "the conversation is open again", func() bool { return o.get(a, id).Status == Open })
	if late := time.Since(until); late < 0 || late > time.Second {
		t.Errorf("woken %v after its time", late)
	}
	c := o.get(a, id)
	if c.LastAt.Before(until.Add(-time.Second)) {
		t.Errorf("it is not at the top of the list: %v", c.LastAt)
	}
	if got := o.get(a, later).Status; got != Snoozed {
		t.Errorf("the other one is %s", got)
	}
	lines := o.lines(id)
	if len(lines) != 2 || lines[1] != "status: The snooze is over." {
		t.Errorf("lines %q", lines)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRemovedTeamLeavesItsConversationsToEverybody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	boss := o.agent(staff.Admin, staff.ScopeAll)
	id := o.open(Open, team, 0)
	if err := o.ReleaseTeam(o.ctx, boss, team); err != nil {
		t.Fatal(err)
	}
	c, err := o.Conversation(o.ctx, o.agent(staff.Member, staff.ScopeOwn), id)
	if err != nil || c.TeamID != nil {
		t.Errorf("got %+v, %v; want it in no team and for everybody", c, err)
	}
	if n := o.id(`SELECT count(*) FROM event WHERE kind = 'conversation.updated' AND team_before = $1 AND team_id IS NULL`, int64(team)); n != 1 {
		t.Errorf("got %d events, want 1", n)
	}
}
