package inbox

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

func TestUnreadIsMyOwn(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.agent(staff.Member, staff.ScopeAll), o.agent(staff.Member, staff.ScopeAll)
	id := o.open(Open, 0, 0)
	var keys []MessageKey
	for range 5 {
		keys = append(keys, o.hear(id, "hello"))
	}
	unread := func(who staff.Access) [2]int {
		t.Helper()
		c := o.get(who, id)
		list, _, err := o.Conversations(o.ctx, who, ListQuery{})
		if err != nil || len(list) != 1 || !cmp.Equal(list[0], c) {
			t.Fatalf("list %+v, %v; by id %+v", list, err, c)
		}
		return [2]int{c.Unread, c.ReadInNo}
	}
	mark := func(who staff.Access, k MessageKey) {
		t.Helper()
		if err := o.MarkRead(o.ctx, who, id, k.ID); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what string, who staff.Access, want [2]int) {
		t.Helper()
		if got := unread(who); got != want {
			t.Errorf("%s: unread and marker %v, want %v", what, got, want)
		}
	}
	check("at first", a, [2]int{5, 0})
	mark(a, keys[2])
	check("read three", a, [2]int{2, 3})
	check("a colleague", b, [2]int{5, 0})
	mark(a, keys[0])
	check("going back", a, [2]int{2, 3})
	// assigning and tagging make nothing unread, nor read for others (R6)
	if _, err := o.UpdateConversation(o.ctx, b, id, ConversationPatch{Assignee: give(b.AgentID), Tags: &[]string{"x"}}); err != nil {
		t.Fatal(err)
	}
	check("after a colleague's change", a, [2]int{2, 3})
	answer := o.say(b, id, "hi")
	mark(a, answer)
	check("read up to an answer", a, [2]int{0, 5})
	// it was sent before the answer but came in late, and so stands above it
	o.hearAt(id, "late", answer.At.Add(-time.Second))
	check("a late delivery", a, [2]int{1, 5})
	mark(a, answer)
	check("read with what stands above", a, [2]int{0, 6})
	if n := len(o.spine(EventReadUpdated, id)); n != 3 {
		t.Errorf("%d events, want 3: only a marker that moved is news", n)
	}
	ev := o.spine(EventReadUpdated, id)[0]
	var got ReadUpdated
	if err := json.Unmarshal(ev.Payload, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(ReadUpdated{ConversationID: id, AgentID: a.AgentID, InNo: 3}, got); d != "" || ev.Actor != int64(a.AgentID) {
		t.Error(d, ev.Actor)
	}
	wantCode(t, o.MarkRead(o.ctx, a, id, uuid.New()), errs.NotFound, "read what is not there")
	note, err := o.Post(o.ctx, b, id, Draft{ID: uuid.Must(uuid.NewV7()), Text: "look @anna", Note: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.MarkRead(o.ctx, b, id, note.ID); err != nil {
		t.Fatal(err)
	}
	check("read up to a note", b, [2]int{0, 6})
}

func TestReadMarkerOnlyMovesForward(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	id := o.open(Open, 0, 0)
	var wg sync.WaitGroup
	for range 20 {
		k := o.hear(id, "hello")
		for range 2 {
			wg.Go(func() {
				if err := o.MarkRead(o.ctx, a, id, k.ID); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if c := o.get(a, id); c.Unread != 0 || c.ReadInNo != 20 {
		t.Errorf("unread %d, marker %d", c.Unread, c.ReadInNo)
	}
	at := 0
	for _, e := range o.spine(EventReadUpdated, id) {
		var r ReadUpdated
		if err := json.Unmarshal(e.Payload, &r); err != nil || r.InNo <= at {
			t.Fatalf("event %+v after %d, %v", r, at, err)
		}
		at = r.InNo
	}
}

func TestNoteIsForColleagues(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	id := o.open(Open, 0, 0)
	o.exec(`UPDATE conversation SET waiting_since = now() WHERE id = $1`, int64(id))
	draft := Draft{ID: uuid.Must(uuid.NewV7()), Text: "he calls\nback tomorrow", Note: true}
	note, err := o.Post(o.ctx, a, id, draft)
	if err != nil || note.Kind != "note" || note.Text != draft.Text || note.Author.Name != a.Name {
		t.Errorf("note %+v, %v", note, err)
	}
	again, err := o.Post(o.ctx, a, id, draft)
	if d := cmp.Diff(note, again); d != "" || err != nil {
		t.Error(d, err)
	}
	if c := o.get(a, id); c.WaitingSince == nil || c.AssigneeID != nil || c.Version != 2 {
		t.Errorf("a note answers nobody and takes nothing: %+v", c)
	}
	if n := o.id(`SELECT count(*) FROM outbox`); n != 0 {
		t.Errorf("%d sends", n)
	}
	if n := len(o.spine(EventMessageCreated, id)); n != 1 {
		t.Errorf("%d events", n)
	}
}
