package notify

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	boss, anna, ben := o.hire(staff.ScopeAll), o.hire(staff.ScopeTeam, team), o.hire(staff.ScopeOwn, team)
	asleep := o.hire(staff.ScopeTeam, team)
	o.exec(`UPDATE agent_status SET status = 'off' WHERE agent_id = $1`, int64(asleep.AgentID))
	check := func(what string, want map[*staff.Access][]string) {
		t.Helper()
		o.catchUp()
		for who, list := range want {
			if d := cmp.Diff(list, o.bell(*who)); d != "" {
				t.Errorf("%s, %s (-want +got):\n%s", what, who.Name, d)
			}
		}
	}
	mine := o.open(team, anna.AgentID)
	o.hears(mine, "hello")
	check("in my conversation", map[*staff.Access][]string{&anna: {"message 1 hello"}, &ben: {}, &boss: {}})
	o.hears(mine, "are you there?")
	check("again before it was read", map[*staff.Access][]string{&anna: {"message 2 are you there?"}})

	queue := o.open(team, 0)
	o.hears(queue, "anybody?")
	check("in my team's queue", map[*staff.Access][]string{
		&ben: {"queue 1 anybody?"}, &asleep: {}, &boss: {}, &anna: {"queue 1 anybody?", "message 2 are you there?"},
	})

	given := o.open(0, 0)
	if _, err := o.desk.UpdateConversation(o.ctx, boss, given, inbox.ConversationPatch{Assignee: ids.Patch{Set: true, ID: ben.AgentID}}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.desk.UpdateConversation(o.ctx, boss, o.open(0, 0), inbox.ConversationPatch{Assignee: ids.Patch{Set: true, ID: boss.AgentID}}); err != nil {
		t.Fatal(err)
	}
	check("given by somebody, and taken by oneself", map[*staff.Access][]string{&ben: {"assigned 1 ", "queue 1 anybody?"}, &boss: {}})

	if _, err := o.desk.Post(o.ctx, boss, mine, inbox.Draft{
		ID: uuid.New(), Note: true, Text: "@Team look", Mentions: []inbox.Mention{{Kind: "team", ID: team}},
	}); err != nil {
		t.Fatal(err)
	}
	check("named by a note", map[*staff.Access][]string{
		&anna: {"mention 1 @Team look", "queue 1 anybody?", "message 2 are you there?"},
		&ben:  {"assigned 1 ", "queue 1 anybody?"}, // may not see it
	})
	list, err := o.List(o.ctx, anna, Key{}, 1)
	if err != nil || list[0].Title != "Sara Bekele" || list[0].Actor != boss.Name {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestNobodyIsToldWhatHeSees(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	anna := o.hire(staff.ScopeAll)
	conv := o.open(0, anna.AgentID)
	o.looking[[2]int64{int64(anna.AgentID), int64(conv)}] = true
	o.hears(conv, "seen at once")
	o.catchUp()
	if got := o.bell(anna); len(got) != 0 {
		t.Errorf("told %q while looking", got)
	}
	if _, err := o.SetSettings(o.ctx, anna, Settings{Assigned: Off, Message: Off, Mention: Off, Queue: Off}); err != nil {
		t.Fatal(err)
	}
	o.looking = map[[2]int64]bool{}
	o.hears(conv, "not wanted")
	o.catchUp()
	if got := o.bell(anna); len(got) != 0 {
		t.Errorf("told %q although it is switched off", got)
	}
}

func TestReading(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	anna, ben := o.hire(staff.ScopeAll), o.hire(staff.ScopeAll)
	one, two, three := o.open(0, anna.AgentID), o.open(0, anna.AgentID), o.open(0, anna.AgentID)
	for _, c := range []ids.ID{one, two, three} {
		o.hears(c, "hi")
	}
	o.catchUp()
	unread := func(want int) {
		t.Helper()
		if n, err := o.Unread(o.ctx, anna); err != nil || n != want {
			t.Errorf("%d unread, %v; want %d", n, err, want)
		}
	}
	unread(3)
	list, err := o.List(o.ctx, anna, Key{}, 2)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	rest, err := o.List(o.ctx, anna, Key{list[1].At, list[1].ID}, 10)
	if err != nil || len(rest) != 1 || rest[0].ConversationID != one {
		t.Errorf("the next page is %+v, %v", rest, err)
	}
	if err := o.Read(o.ctx, ben, ReadWhat{IDs: []ids.ID{list[0].ID}, All: true}); err != nil {
		t.Fatal(err)
	}
	unread(3) // somebody else's reading is his
	if err := o.Read(o.ctx, anna, ReadWhat{IDs: []ids.ID{list[0].ID}}); err != nil {
		t.Fatal(err)
	}
	unread(2)
	// reading the conversation itself, anywhere, is enough
	o.exec(`INSERT INTO event (epoch, kind, actor_kind, actor_id, subject_kind, subject_id, conversation_id, payload)
VALUES (1, 'read.updated', 'agent', $1, 'conversation', '1', $2, '{}')`, int64(anna.AgentID), int64(two))
	o.catchUp()
	unread(1)
	o.hears(two, "once more")
	o.catchUp()
	unread(2) // a new line, for the old one was read
	before := o.id(`SELECT count(*) FROM event WHERE kind = $1`, EventRead)
	for range 2 {
		if err := o.Read(o.ctx, anna, ReadWhat{All: true}); err != nil {
			t.Fatal(err)
		}
	}
	unread(0)
	if n := o.id(`SELECT count(*) FROM event WHERE kind = $1`, EventRead); n != before+1 {
		t.Errorf("%d events for one reading done twice", n-before)
	}
	o.exec(`UPDATE notification SET at = now() - interval '1 year'`)
	if err := o.sweep(o.ctx); err != nil || len(o.bell(anna)) != 0 {
		t.Errorf("old ones stay, %v", err)
	}
}

func TestSettingsRefuseByField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.hire(staff.ScopeAll)
	for field, change := range map[string]func(*Settings){
		"assigned": func(s *Settings) { s.Assigned = "" }, "message": func(s *Settings) { s.Message = "loud" },
		"mention": func(s *Settings) { s.Mention = "x" }, "queue": func(s *Settings) { s.Queue = "x" },
	} {
		s := DefaultSettings()
		change(&s)
		_, err := o.SetSettings(o.ctx, a, s)
		var e *errs.E
		if !errors.As(err, &e) || e.Field != field {
			t.Errorf("got %v, want field %s refused", err, field)
		}
	}
	want := Settings{Assigned: Bell, Message: Off, Mention: Push, Queue: Off}
	if _, err := o.SetSettings(o.ctx, a, want); err != nil {
		t.Fatal(err)
	}
	if got, err := o.Settings(o.ctx, a); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}
