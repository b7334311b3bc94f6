package inbox

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func TestStatements(t *testing.T) {
	t.Parallel()
	dbtest.Prepare(t, map[string]string{
		"loadConversations": loadConversationsSQL, "getConversation": getConversationSQL, "contactConversations": contactConversationsSQL,
		"loadMessages": loadMessagesSQL,
		"findPlace":    findPlaceSQL, "itemAttachments": itemAttachmentsSQL,
		"itemReactions": itemReactionsSQL, "itemRaw": itemRawSQL, "itemRevisions": itemRevisionsSQL, "itemQuotes": itemQuotesSQL,
		"timelineBefore": timelineBeforeSQL, "timelineAfter": timelineAfterSQL, "contactBefore": contactBeforeSQL,
		"contactAfter": contactAfterSQL, "seesConversation": seesConversationSQL,
		"findMessage": findMessageSQL, "getMessage": getMessageSQL, "listRevisions": listRevisionsSQL, "getRaw": getRawSQL,
		"lockConversation": lockConversationSQL, "updateConversation": updateConversationSQL, "updateNames": updateNamesSQL,
		"openRival": openRivalSQL, "addLines": addLinesSQL, "wakeSnoozed": wakeSnoozedSQL, "nextSnoozed": nextSnoozedSQL,
		"readUpTo": readUpToSQL, "readNearest": readNearestSQL, "moveMarker": moveMarkerSQL, "readable": readableSQL,
		"listTags": listTagsSQL, "keepTags": keepTagsSQL, "countSnapshot": countSnapshotSQL,
		"readSearchable": readSearchableSQL, "readOlder": readOlderSQL, "indexMessages": indexMessagesSQL, "unindexMessages": unindexMessagesSQL,
		"eraseSearch": eraseSearchSQL, "moveSearch": moveSearchSQL, "fillPlace": fillPlaceSQL, "fillMove": fillMoveSQL,
		"foundMessages": foundMessagesSQL, "foundFiles": foundFilesSQL, "latestTalks": latestTalksSQL, "months": monthsSQL,
		"findAgents": findAgentsSQL, "identitiesOf": identitiesOfSQL, "findChannels": findChannelsSQL, "findTeams": findTeamsSQL,
		"walk": (&hunt{}).sql(walkSQL, "$step", "1"), "pick": (&hunt{patterns: []string{"%a%"}}).sql(pickSQL, "$month", "message_search", "$most", "1"),
		"countTrouble": countTroubleSQL, "countRows": countRowsSQL, "countAllMarks": countAllMarksSQL, "countMarks": countMarksSQL,
	})
}

// zoo is one conversation of every kind of owner and status, with a message each.
type zoo struct {
	*office
	teams   [3]ids.ID
	agents  map[string]staff.Access
	rows    []Conversation
	message map[ids.ID]MessageKey
}

func newZoo(t testing.TB) *zoo {
	t.Helper()
	z := &zoo{office: newOffice(t), agents: map[string]staff.Access{}, message: map[ids.ID]MessageKey{}}
	for i := range z.teams {
		z.teams[i] = z.team()
	}
	one, two, _ := z.teams[0], z.teams[1], z.teams[2]
	for _, s := range []staff.Scope{staff.ScopeOwn, staff.ScopeTeam, staff.ScopeAll} {
		z.agents["loner "+string(s)] = z.agent(staff.Member, s)
		z.agents["one "+string(s)] = z.agent(staff.Member, s, one)
		z.agents["both "+string(s)] = z.agent(staff.Member, s, one, two)
	}
	owners := []ids.ID{0}
	for _, name := range []string{"loner own", "one team", "both own", "one all"} {
		owners = append(owners, z.agents[name].AgentID)
	}
	for _, status := range []Status{Open, Waiting, Snoozed, Closed} {
		for _, team := range []ids.ID{0, z.teams[0], z.teams[1], z.teams[2]} {
			for _, owner := range owners {
				id := z.open(status, team, owner)
				z.message[id] = z.hear(id, "hello")
				z.rows = append(z.rows, Conversation{ID: id, Status: status, TeamID: ids.Ptr(team), AssigneeID: ids.Ptr(owner)})
			}
		}
	}
	slices.Reverse(z.rows) // newest first, as lists are
	return z
}

func (z *zoo) want(a staff.Access, ok func(c Conversation) bool) []ids.ID {
	out := []ids.ID{}
	for _, c := range z.rows {
		if a.Sees(ids.Of(c.TeamID), ids.Of(c.AssigneeID)) && ok(c) {
			out = append(out, c.ID)
		}
	}
	return out
}

func active(c Conversation) bool { return c.Status == Open || c.Status == Waiting }

func TestListsShowWhatTheScopeCovers(t *testing.T) {
	t.Parallel()
	z := newZoo(t)
	for name, a := range z.agents {
		me := a.AgentID
		cases := []struct {
			q  ListQuery
			ok func(c Conversation) bool
		}{
			{ListQuery{}, active},
			{ListQuery{View: ViewAll}, active},
			{ListQuery{View: ViewMine}, func(c Conversation) bool { return active(c) && ids.Of(c.AssigneeID) == me }},
			{ListQuery{View: ViewUnassigned}, func(c Conversation) bool { return active(c) && c.AssigneeID == nil }},
			{ListQuery{View: ViewWaiting}, func(c Conversation) bool { return c.Status == Waiting }},
			{ListQuery{View: ViewSnoozed}, func(c Conversation) bool { return c.Status == Snoozed }},
			{ListQuery{View: ViewClosed}, func(c Conversation) bool { return c.Status == Closed }},
			{ListQuery{View: ViewMine, Status: Closed}, func(c Conversation) bool { return c.Status == Closed && ids.Of(c.AssigneeID) == me }},
			{ListQuery{View: ViewAll, Status: Open}, func(c Conversation) bool { return c.Status == Open }},
			{ListQuery{View: ViewClosed, Status: Open}, func(Conversation) bool { return false }},
			{ListQuery{Assignee: "none"}, func(c Conversation) bool { return active(c) && c.AssigneeID == nil }},
			{ListQuery{Assignee: "me"}, func(c Conversation) bool { return active(c) && ids.Of(c.AssigneeID) == me }},
			{ListQuery{Assignee: z.agents["one team"].AgentID.String()}, func(c Conversation) bool {
				return active(c) && ids.Of(c.AssigneeID) == z.agents["one team"].AgentID
			}},
			{ListQuery{Team: z.teams[1]}, func(c Conversation) bool { return active(c) && ids.Of(c.TeamID) == z.teams[1] }},
			{ListQuery{Channel: 1 << 40}, func(Conversation) bool { return false }},
			{ListQuery{Search: "person"}, func(Conversation) bool { return true }},
			{ListQuery{Search: "person", View: ViewMine}, func(c Conversation) bool { return active(c) && ids.Of(c.AssigneeID) == me }},
		}
		for _, team := range z.teams {
			cases = append(cases, struct {
				q  ListQuery
				ok func(c Conversation) bool
			}{ListQuery{View: "team:" + team.String()}, func(c Conversation) bool { return active(c) && ids.Of(c.TeamID) == team }})
		}
		for _, tc := range cases {
			for _, size := range []int{3, 200} {
				got, want := z.pages(a, tc.q, size), z.want(a, tc.ok)
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s, %+v by %d: (-want +got)\n%s", name, tc.q, size, d)
				}
			}
		}
	}
}

func TestWhatIsNotVisibleIsNotFound(t *testing.T) {
	t.Parallel()
	z := newZoo(t)
	type op struct {
		name string
		do   func(a staff.Access, id ids.ID, m uuid.UUID) error
	}
	ops := []op{
		{"get", func(a staff.Access, id ids.ID, _ uuid.UUID) error { _, err := z.Conversation(z.ctx, a, id); return err }},
		{"timeline", func(a staff.Access, id ids.ID, _ uuid.UUID) error {
			_, err := z.Timeline(z.ctx, a, id, TimelineQuery{})
			return err
		}},
		{"timeline around", func(a staff.Access, id ids.ID, m uuid.UUID) error {
			_, err := z.Timeline(z.ctx, a, id, TimelineQuery{Around: m.String()})
			return err
		}},
		{"message", func(a staff.Access, id ids.ID, m uuid.UUID) error { _, err := z.Message(z.ctx, a, id, m); return err }},
		{"revisions", func(a staff.Access, id ids.ID, m uuid.UUID) error { _, err := z.Revisions(z.ctx, a, id, m); return err }},
		{"raw", func(a staff.Access, id ids.ID, m uuid.UUID) error { _, err := z.Raw(z.ctx, a, id, m); return err }},
		{"read", func(a staff.Access, id ids.ID, m uuid.UUID) error { return z.MarkRead(z.ctx, a, id, m) }},
		{"note", func(a staff.Access, id ids.ID, _ uuid.UUID) error {
			_, err := z.Post(z.ctx, a, id, Draft{ID: uuid.Must(uuid.NewV7()), Text: "hm", Note: true})
			return err
		}},
		{"patch", func(a staff.Access, id ids.ID, _ uuid.UUID) error {
			_, err := z.UpdateConversation(z.ctx, a, id, ConversationPatch{Priority: ptr(1)})
			return err
		}},
	}
	z.exec(`INSERT INTO message_raw SELECT at, id, 'raw' FROM message`)
	for name, a := range z.agents {
		for _, c := range z.rows {
			if c.Status != Open {
				continue // who sees it does not depend on it
			}
			sees := a.Sees(ids.Of(c.TeamID), ids.Of(c.AssigneeID))
			for _, op := range ops {
				err := op.do(a, c.ID, z.message[c.ID].ID)
				if sees && err != nil {
					t.Errorf("%s may see conversation %s (team %d, assignee %d), but %s: %v", name, c.ID, ids.Of(c.TeamID), ids.Of(c.AssigneeID), op.name, err)
				}
				if !sees && !errs.Is(err, errs.NotFound) {
					t.Errorf("%s may not see conversation %s, but %s: %v", name, c.ID, op.name, err)
				}
			}
		}
	}
	// nothing leaks through the neighbour's address either
	a := z.agents["one all"]
	wantCode(t, op3(z, a, z.rows[0].ID, z.message[z.rows[1].ID].ID), errs.NotFound, "a message of another conversation")
}

func op3(z *zoo, a staff.Access, id ids.ID, m uuid.UUID) error {
	_, err := z.Message(z.ctx, a, id, m)
	return err
}

func TestContactTimelineLeavesOutWhatIsNotVisible(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team, other := o.team(), o.team()
	a := o.agent(staff.Member, staff.ScopeOwn, team)
	boss := o.agent(staff.Admin, staff.ScopeAll)
	p := o.stranger()
	var want []string
	for i, owner := range []struct{ team, assignee ids.ID }{{team, 0}, {other, 0}, {0, a.AgentID}, {0, boss.AgentID}} {
		id := o.openWith(p, Closed, owner.team, owner.assignee)
		o.hear(id, fmt.Sprint("hello ", i))
		if a.Sees(owner.team, owner.assignee) {
			want = append(want, fmt.Sprint("hello ", i))
		}
	}
	got := func(a staff.Access) string {
		tl, err := o.ContactTimeline(o.ctx, a, ids.ID(p.contact), TimelineQuery{})
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, it := range tl.Items {
			s = append(s, it.Text)
		}
		return strings.Join(s, "; ")
	}
	if d := cmp.Diff(strings.Join(want, "; "), got(a)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("hello 0; hello 1; hello 2; hello 3", got(boss)); d != "" {
		t.Error(d)
	}
	list, err := o.ContactConversations(o.ctx, a, ids.ID(p.contact), 10)
	if err != nil || len(list) != 2 {
		t.Errorf("the card shows %d conversations, %v; want 2", len(list), err)
	}
}

func TestAuditorsReadOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.open(Open, 0, 0)
	a := o.agent(staff.Auditor, staff.ScopeAll)
	o.get(a, id)
	_, err := o.UpdateConversation(o.ctx, a, id, ConversationPatch{Assignee: ids.Patch{Set: true, ID: a.AgentID}})
	wantCode(t, err, errs.Forbidden, "take")
	_, err = o.Post(o.ctx, a, id, Draft{ID: uuid.Must(uuid.NewV7()), Text: "x", Note: true})
	wantCode(t, err, errs.Forbidden, "note")
}
