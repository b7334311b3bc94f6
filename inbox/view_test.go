package inbox

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func TestSavedViewListsWhatItSays(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	a, other := o.agent(staff.Member, staff.ScopeTeam, team), o.agent(staff.Member, staff.ScopeAll)
	plain := o.open(Open, team, 0)
	mine := o.open(Waiting, team, a.AgentID)
	late := o.open(Open, team, 0)
	o.exec(`UPDATE conversation SET priority = 3, tags = '{vip}', waiting_since = now() - interval '1 hour' WHERE id = $1`, int64(late))
	read := o.open(Open, team, 0)
	k := o.hear(read, "hello")
	if err := o.MarkRead(o.ctx, a, read, k.ID); err != nil {
		t.Fatal(err)
	}
	unread := o.open(Open, team, 0)
	o.hear(unread, "hello")
	closed := o.open(Closed, team, 0)
	o.exec(`INSERT INTO channel (id, kind, name) VALUES (900, 'email', 'Mail')`)
	mail := o.open(Open, team, 0)
	o.exec(`UPDATE conversation SET channel_id = 900 WHERE id = $1`, int64(mail))
	o.open(Open, o.team(), other.AgentID) // not to be seen
	for _, c := range []struct {
		f    ViewFilter
		want []ids.ID
	}{
		{ViewFilter{}, []ids.ID{plain, mine, late, read, unread, mail}},
		{ViewFilter{Status: "waiting"}, []ids.ID{mine}},
		{ViewFilter{Status: "closed"}, []ids.ID{closed}},
		{ViewFilter{Assignee: "me"}, []ids.ID{mine}},
		{ViewFilter{Assignee: "none", TeamID: &team}, []ids.ID{plain, late, read, unread, mail}},
		{ViewFilter{Tag: "vip"}, []ids.ID{late}},
		{ViewFilter{Priority: 1}, []ids.ID{late}},
		{ViewFilter{WaitingMinutes: 30}, []ids.ID{late}},
		{ViewFilter{WaitingMinutes: 90}, nil},
		{ViewFilter{Unread: true}, []ids.ID{unread}},
		{ViewFilter{ChannelID: ptr(ids.ID(900))}, []ids.ID{mail}},
		{ViewFilter{TeamID: ptr(ids.ID(12345))}, nil},
	} {
		v, err := o.CreateView(o.ctx, a, ViewInput{Name: "x", Filter: c.f})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 50} {
			got := o.pages(a, ListQuery{View: viewSaved + v.ID.String()}, size)
			slices.Sort(got)
			want := slices.Sorted(slices.Values(c.want))
			if !slices.Equal(want, got) {
				t.Errorf("%+v by pages of %d: %v, want %v", c.f, size, got, want)
			}
		}
	}
}

func TestViewsAreOwnOrShared(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b, boss := o.agent(staff.Member, staff.ScopeAll), o.agent(staff.Member, staff.ScopeAll), o.agent(staff.Supervisor, staff.ScopeAll)
	save := func(name string, shared bool) View {
		t.Helper()
		v, err := o.CreateView(o.ctx, a, ViewInput{Name: name, Shared: shared})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	own, shared := save("own", false), save("shared", true)
	if own.Filter.Status != "active" {
		t.Errorf("a view without a status shows %q", own.Filter.Status)
	}
	names := func(who staff.Access) (out []string) {
		t.Helper()
		list, err := o.Views(o.ctx, who)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			out = append(out, v.Name)
		}
		return out
	}
	if d := cmp.Diff([]string{"own", "shared"}, names(a)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"shared"}, names(b)); d != "" {
		t.Error(d)
	}
	_, _, err := o.Conversations(o.ctx, b, ListQuery{View: viewSaved + own.ID.String()})
	wantCode(t, err, errs.NotFound, "somebody else's view")
	_, _, err = o.Conversations(o.ctx, b, ListQuery{View: viewSaved + "x"})
	wantField(t, err, "query.view")
	in := ViewInput{Name: "renamed", Shared: true}
	_, err = o.UpdateView(o.ctx, b, own.ID, 1, in)
	wantCode(t, err, errs.NotFound, "changing somebody's own")
	_, err = o.UpdateView(o.ctx, b, shared.ID, 1, in)
	wantCode(t, err, errs.Forbidden, "changing a shared one of somebody else")
	_, err = o.UpdateView(o.ctx, a, shared.ID, 7, in)
	wantCode(t, err, errs.Conflict, "over another version")
	if _, err := o.UpdateView(o.ctx, boss, shared.ID, 1, in); err != nil {
		t.Errorf("who manages teams: %v", err)
	}
	if _, err := o.UpdateView(o.ctx, a, shared.ID, 2, ViewInput{Name: "mine again"}); err != nil {
		t.Fatal(err)
	}
	// the others are told that it is gone before its maker is told what it is now
	rows, err := o.pool.Query(o.ctx, `SELECT kind, payload FROM event WHERE subject_kind = 'view' AND subject_id = $1 ORDER BY id DESC LIMIT 2`, shared.ID.String())
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var kinds []string
	for rows.Next() {
		var kind string
		var raw json.RawMessage
		if err := rows.Scan(&kind, &raw); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, kind)
	}
	if d := cmp.Diff([]string{EventViewUpdated, EventViewDeleted}, kinds); d != "" {
		t.Error(d)
	}
	auditor := o.agent(staff.Auditor, staff.ScopeAll)
	_, err = o.CreateView(o.ctx, auditor, in)
	wantCode(t, err, errs.Forbidden, "sharing by somebody who only reads")
	if _, err := o.CreateView(o.ctx, auditor, ViewInput{Name: "his own"}); err != nil {
		t.Error(err)
	}
	if err := o.DeleteView(o.ctx, a, own.ID); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"mine again"}, names(a)); d != "" {
		t.Error(d)
	}
}

func TestViewRefusesByField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	for field, in := range map[string]ViewInput{
		"name":                   {Name: "  "},
		"filter.status":          {Name: "x", Filter: ViewFilter{Status: "gone"}},
		"filter.assignee":        {Name: "x", Filter: ViewFilter{Assignee: "anna"}},
		"filter.tag":             {Name: "x", Filter: ViewFilter{Tag: "  "}},
		"filter.priority":        {Name: "x", Filter: ViewFilter{Priority: 4}},
		"filter.waiting_minutes": {Name: "x", Filter: ViewFilter{WaitingMinutes: -1}},
	} {
		_, err := o.CreateView(o.ctx, a, in)
		wantField(t, err, field)
	}
}
