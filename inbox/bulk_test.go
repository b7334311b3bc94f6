package inbox

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// bulk starts a change and lets it work to its end.
func (o *office) bulk(a staff.Access, keys []ids.ID, c BulkChange) Bulk {
	o.t.Helper()
	b, err := o.StartBulk(o.ctx, a, keys, "", c)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.worked(a, b)
}

func (o *office) worked(a staff.Access, b Bulk) Bulk {
	o.t.Helper()
	if n := o.id(`SELECT count(*) FROM river_job WHERE kind = 'bulk' AND (args ->> 'id')::bigint = $1`, int64(b.ID)); n != 1 {
		o.t.Errorf("%d jobs for one change", n)
	}
	if err := o.workBulk(o.ctx, int64(b.ID)); err != nil {
		o.t.Fatal(err)
	}
	list, err := o.Bulks(o.ctx, a)
	if err != nil {
		o.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(x Bulk) bool { return x.ID == b.ID })
	if i < 0 || list[i].State != "done" || list[i].FinishedAt == nil {
		o.t.Fatalf("not done: %+v", list)
	}
	return list[i]
}

func TestBulkChangesManyAndTakesItBack(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	a, ben := o.agent(staff.Member, staff.ScopeAll), o.agent(staff.Member, staff.ScopeAll, team)
	var keys []ids.ID
	for i := range 3*bulkChunk + 5 {
		keys = append(keys, o.open([]Status{Open, Waiting, Snoozed}[i%3], 0, 0))
	}
	o.exec(`UPDATE conversation SET tags = '{old,kept}' WHERE id % 2 = 0`)
	type row struct {
		Status         string
		Tags           []string
		Assignee, Team *int64
	}
	look := func() (out []row) {
		t.Helper()
		for _, id := range keys {
			var r row
			if err := o.pool.QueryRow(o.ctx, `SELECT status, tags, assignee_id, team_id FROM conversation WHERE id = $1`, int64(id)).Scan(&r.Status, &r.Tags, &r.Assignee, &r.Team); err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
		return out
	}
	before := look()
	b := o.bulk(a, append(keys, keys[0]), BulkChange{
		Status: ptr(Closed), Assignee: give(ben.AgentID), Team: give(team), TagsAdd: []string{"done"}, TagsRemove: []string{"old"},
	})
	if b.Total != len(keys) || b.Done != len(keys) || b.Failed != 0 || !b.CanUndo {
		t.Errorf("ended as %+v", b)
	}
	for i, r := range look() {
		if r.Status != "closed" || *r.Assignee != int64(ben.AgentID) || *r.Team != int64(team) || slices.Contains(r.Tags, "old") || !slices.Contains(r.Tags, "done") {
			t.Fatalf("conversation %d is %+v", i, r)
		}
	}
	if lines := o.lines(keys[0]); len(lines) != 4 {
		t.Errorf("its timeline says %q", lines)
	}
	progress := 0
	rows, err := o.pool.Query(o.ctx, `SELECT payload FROM event WHERE kind = $1 ORDER BY id`, EventBulkUpdated)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var raw []byte
		var told Bulk
		if err := errors.Join(rows.Scan(&raw), json.Unmarshal(raw, &told)); err != nil || told.Done < progress || told.AgentID != a.AgentID {
			t.Errorf("progress went from %d to %+v, %v", progress, told, err)
		}
		progress = told.Done
	}
	rows.Close()
	if progress != len(keys) {
		t.Errorf("the last news is %d of %d", progress, len(keys))
	}

	// one is changed by somebody meanwhile: that one stays as he left it, the others go back
	if _, err := o.UpdateConversation(o.ctx, ben, keys[1], ConversationPatch{Status: ptr(Open)}); err != nil {
		t.Fatal(err)
	}
	_, err = o.UndoBulk(o.ctx, ben, b.ID)
	wantCode(t, err, errs.NotFound, "somebody else's change")
	u, err := o.UndoBulk(o.ctx, a, b.ID)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := o.UndoBulk(o.ctx, a, b.ID); err != nil || again.ID != u.ID {
		t.Errorf("undone twice: %+v, %v", again, err)
	}
	u = o.worked(a, u)
	if u.Failed != 1 || u.Done != len(keys)-1 || u.CanUndo {
		t.Errorf("the undo ended as %+v", u)
	}
	after := look()
	if after[1].Status != "open" || *after[1].Assignee != int64(ben.AgentID) {
		t.Errorf("somebody's work was undone: %+v", after[1])
	}
	before[1], after[1] = row{}, row{}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("after the undo (-before +after):\n%s", d)
	}
	failures, err := o.BulkFailures(o.ctx, a, u.ID, 0, 10)
	if err != nil || len(failures) != 1 || failures[0].ConversationID != keys[1] || failures[0].Error == "" || failures[0].Name == "" {
		t.Errorf("failures %+v, %v", failures, err)
	}
}

func TestBulkFailsByRow(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeOwn)
	mine, hidden := o.open(Open, 0, a.AgentID), o.open(Open, 0, o.agent(staff.Member, staff.ScopeAll).AgentID)
	// of one customer only one conversation is open on a channel
	p := o.stranger()
	o.openWith(p, Open, 0, a.AgentID)
	second := o.openWith(p, Closed, 0, a.AgentID)
	b := o.bulk(a, []ids.ID{mine, hidden, second, 99999}, BulkChange{Status: ptr(Open), TagsAdd: []string{"x"}})
	if b.Done != 1 || b.Failed != 3 {
		t.Errorf("ended as %+v", b)
	}
	failures, err := o.BulkFailures(o.ctx, a, b.ID, 0, 10)
	if err != nil || len(failures) != 3 {
		t.Fatalf("%+v, %v", failures, err)
	}
	for _, f := range failures {
		if f.ConversationID == hidden && (f.Name != "" || f.Number != 0) {
			t.Errorf("a failure tells about what is not to be seen: %+v", f)
		}
	}
	if rest, err := o.BulkFailures(o.ctx, a, b.ID, failures[1].No, 10); err != nil || len(rest) != 1 {
		t.Errorf("the next page is %+v, %v", rest, err)
	}
	_, err = o.BulkFailures(o.ctx, o.agent(staff.Admin, staff.ScopeAll), b.ID, 0, 10)
	wantCode(t, err, errs.NotFound, "somebody else's failures")
	// what is so already is no change, and there is nothing to undo of it
	if same := o.bulk(a, []ids.ID{mine}, BulkChange{Status: ptr(Open)}); same.Done != 1 || same.Failed != 0 {
		t.Errorf("ended as %+v", same)
	}
	// whoever was disabled while it ran changes nothing more
	c, err := o.StartBulk(o.ctx, a, []ids.ID{mine}, "", BulkChange{Status: ptr(Closed)})
	if err != nil {
		t.Fatal(err)
	}
	o.exec(`UPDATE agent SET disabled_at = now() WHERE id = $1`, int64(a.AgentID))
	if got := o.worked(a, c); got.Failed != 1 {
		t.Errorf("ended as %+v", got)
	}
}

func TestBulkOfAView(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	a := o.agent(staff.Member, staff.ScopeTeam, team)
	o.open(Open, team, 0)
	o.open(Waiting, team, a.AgentID)
	o.open(Closed, team, 0)
	o.open(Open, o.team(), 0) // not to be seen
	b, err := o.StartBulk(o.ctx, a, nil, ViewAll, BulkChange{SnoozedUntil: ptr(time.Now().Add(time.Hour))})
	if err != nil || b.Total != 2 {
		t.Fatalf("%+v, %v", b, err)
	}
	if b = o.worked(a, b); b.Done != 2 {
		t.Errorf("ended as %+v", b)
	}
	if n := o.id(`SELECT count(*) FROM conversation WHERE status = 'snoozed'`); n != 2 {
		t.Errorf("%d snoozed", n)
	}
	o.exec(`UPDATE bulk SET created_at = now() - interval '1 year'`)
	if err := o.SweepBulks(o.ctx); err != nil || o.id(`SELECT count(*) FROM bulk_item`) != 0 {
		t.Errorf("old ones stay, %v", err)
	}
}

func TestBulkRefuses(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	shut := BulkChange{Status: ptr(Closed)}
	for _, c := range []struct {
		field  string
		keys   []ids.ID
		view   string
		change BulkChange
	}{
		{"ids", nil, "", shut},
		{"ids", []ids.ID{1}, ViewAll, shut},
		{"ids", make([]ids.ID, MaxBulk+1), "", shut},
		{"query.view", nil, "everything", shut},
		{"change", []ids.ID{1}, "", BulkChange{}},
		{"change.status", []ids.ID{1}, "", BulkChange{Status: ptr(Status("gone"))}},
		{"change.snoozed_until", []ids.ID{1}, "", BulkChange{SnoozedUntil: ptr(time.Now().Add(-time.Hour))}},
		{"change.tags_add", []ids.ID{1}, "", BulkChange{TagsAdd: []string{" "}}},
	} {
		_, err := o.StartBulk(o.ctx, a, c.keys, c.view, c.change)
		wantField(t, err, c.field)
	}
	_, err := o.StartBulk(o.ctx, o.agent(staff.Auditor, staff.ScopeAll), []ids.ID{1}, "", shut)
	wantCode(t, err, errs.Forbidden, "somebody who only reads")
}
