package inbox

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func (o *office) draft(a staff.Access, conversation ids.ID, base int, text string) SavedDraft {
	o.t.Helper()
	s, err := o.SaveDraft(o.ctx, a, conversation, base, DraftText{Text: text})
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

func TestDraftBelongsToOneAgentAndOneConversation(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, b := o.agent(staff.Member, staff.ScopeAll), o.agent(staff.Member, staff.ScopeAll)
	one, two := o.open(Open, 0, 0), o.open(Open, 0, 0)
	said := o.hear(one, "How much is it?")
	first := o.draft(a, one, 0, "It is")
	if first.Version != 1 {
		t.Errorf("version %d, want 1", first.Version)
	}
	saved, err := o.SaveDraft(o.ctx, a, one, 1, DraftText{Text: "It is 5", HTML: "It is <b>5</b>", Note: true, ReplyTo: &said.ID})
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.DraftOf(o.ctx, a, one)
	if err != nil || !cmp.Equal(saved, got) {
		t.Errorf("%v, %s", err, cmp.Diff(saved, got))
	}
	if got.ReplyTo == nil || got.ReplyTo.Text != "How much is it?" || !got.Note || got.Version != 2 {
		t.Errorf("read back %+v", got)
	}
	o.draft(a, two, 0, "other")
	for who, want := range map[*staff.Access]int{&a: 2, &b: 0} {
		if list, err := o.Drafts(o.ctx, *who); err != nil || len(list) != want {
			t.Errorf("agent %s has %d drafts, %v; want %d", who.AgentID, len(list), err, want)
		}
	}
	if other, err := o.DraftOf(o.ctx, b, one); err != nil || other.Text != "" || other.Version != 0 {
		t.Errorf("a colleague reads %+v, %v", other, err)
	}
}

func TestDraftOfTwoDevices(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	id := o.open(Open, 0, 0)
	o.draft(a, id, 0, "on the desk")
	_, err := o.SaveDraft(o.ctx, a, id, 0, DraftText{Text: "on the phone"})
	wantCode(t, err, errs.Conflict, "a device that knows of none")
	var e *errs.E
	if asE(err, &e) {
		if d, ok := e.Extra["draft"].(SavedDraft); !ok || d.Text != "on the desk" || d.Version != 1 {
			t.Errorf("the loser is told %+v", e.Extra)
		}
	}
	if again := o.draft(a, id, 0, "on the desk"); again.Version != 1 {
		t.Errorf("the same text made version %d", again.Version)
	}
	if merged := o.draft(a, id, 1, "on the desk, on the phone"); merged.Version != 2 {
		t.Errorf("version %d", merged.Version)
	}
	events := o.spine(EventDraftUpdated, id)
	if len(events) != 2 {
		t.Fatalf("%d events, want one per change", len(events))
	}
	var told SavedDraft
	if err := json.Unmarshal(events[1].Payload, &told); err != nil || told.Text != "on the desk, on the phone" || told.AgentID != a.AgentID {
		t.Errorf("the other device is told %+v, %v", told, err)
	}
	// both write at the same moment: one wins, the other one is told
	var wg sync.WaitGroup
	codes := make([]errs.Code, 8)
	fresh := o.open(Open, 0, 0)
	for i := range codes {
		wg.Go(func() {
			_, err := o.SaveDraft(o.ctx, a, fresh, 0, DraftText{Text: strings.Repeat("x", i+1)})
			codes[i] = errs.CodeOf(err)
		})
	}
	wg.Wait()
	won := 0
	for _, c := range codes {
		if c == "" {
			won++
		} else if c != errs.Conflict {
			t.Errorf("a loser got %q", c)
		}
	}
	if won != 1 {
		t.Errorf("%d of 8 won", won)
	}
}

func TestDraftEndsWhenSentOrEmptied(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	send := func(version int) {
		t.Helper()
		if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Text: "sent", DraftVersion: version}); err != nil {
			t.Fatal(err)
		}
	}
	text := func() string {
		t.Helper()
		d, err := p.DraftOf(p.ctx, p.me, p.conv)
		if err != nil {
			t.Fatal(err)
		}
		return d.Text
	}
	one := p.draft(p.me, p.conv, 0, "hello")
	send(one.Version)
	if got := text(); got != "" {
		t.Errorf("after the send there is %q", got)
	}
	// a save that was on its way while the message went out comes too late
	_, err := p.SaveDraft(p.ctx, p.me, p.conv, one.Version, DraftText{Text: "hello"})
	wantCode(t, err, errs.Conflict, "late save")
	// what another device typed since is not thrown away by a send from here
	two := p.draft(p.me, p.conv, 2, "from here")
	three := p.draft(p.me, p.conv, two.Version, "from there, newer")
	send(two.Version)
	if got := text(); got != "from there, newer" {
		t.Errorf("after a send that knew an older one there is %q", got)
	}
	if gone := p.draft(p.me, p.conv, three.Version, ""); gone.Version != three.Version+1 || text() != "" {
		t.Errorf("emptied: %+v", gone)
	}
	if list, err := p.Drafts(p.ctx, p.me); err != nil || len(list) != 0 {
		t.Errorf("%d drafts are listed, %v", len(list), err)
	}
	p.exec(`UPDATE draft SET updated_at = now() - interval '30 days'`)
	if err := p.SweepDrafts(p.ctx); err != nil {
		t.Fatal(err)
	}
	if n := p.id(`SELECT count(*) FROM draft`); n != 0 {
		t.Errorf("%d rows of ended drafts are left", n)
	}
	if again := p.draft(p.me, p.conv, three.Version+1, "new"); again.Version <= three.Version+1 {
		t.Errorf("the version went back to %d", again.Version)
	}
}

func TestDraftKeepsItsUploads(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	mine, other := p.upload(f, p.me, "a.txt", "mine"), p.agent(staff.Member, staff.ScopeAll)
	foreign := p.upload(f, other, "b.txt", "foreign")
	_, err := p.SaveDraft(p.ctx, p.me, p.conv, 0, DraftText{Attachments: []uuid.UUID{foreign.ID}})
	wantField(t, err, "attachments")
	saved, err := p.SaveDraft(p.ctx, p.me, p.conv, 0, DraftText{Attachments: []uuid.UUID{mine.ID}})
	if err != nil || len(saved.Attachments) != 1 || saved.Attachments[0].Name != "a.txt" {
		t.Fatalf("%+v, %v", saved, err)
	}
	p.exec(`UPDATE attachment SET created_at = now() - interval '9 days'`)
	if err := f.Sweep(p.ctx); err != nil {
		t.Fatal(err)
	}
	if n := p.id(`SELECT count(*) FROM attachment WHERE id = $1`, mine.ID); n != 1 {
		t.Error("a file that a draft holds was swept away")
	}
	if n := p.id(`SELECT count(*) FROM attachment WHERE id = $1`, foreign.ID); n != 0 {
		t.Error("an upload that nothing names was kept")
	}
}

func TestDraftRefuses(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a, auditor := o.agent(staff.Member, staff.ScopeOwn), o.agent(staff.Auditor, staff.ScopeAll)
	seen, hidden := o.open(Open, 0, a.AgentID), o.open(Open, 0, o.agent(staff.Member, staff.ScopeAll).AgentID)
	_, err := o.SaveDraft(o.ctx, a, hidden, 0, DraftText{Text: "x"})
	wantCode(t, err, errs.NotFound, "a conversation that is not visible")
	_, err = o.DraftOf(o.ctx, a, hidden)
	wantCode(t, err, errs.NotFound, "reading there")
	_, err = o.SaveDraft(o.ctx, auditor, seen, 0, DraftText{Text: "x"})
	wantCode(t, err, errs.Forbidden, "somebody who only reads")
	_, err = o.SaveDraft(o.ctx, a, seen, 0, DraftText{Text: strings.Repeat("x", maxSendText+1)})
	wantField(t, err, "text")
	// what is too long for an event is told without its words
	long := o.draft(a, seen, 0, strings.Repeat("x", 20_000))
	var told SavedDraft
	evs := o.spine(EventDraftUpdated, seen)
	if err := json.Unmarshal(evs[0].Payload, &told); err != nil || !told.Truncated || told.Text != "" || told.Version != long.Version {
		t.Errorf("told %+v, %v", told, err)
	}
	// it goes where the caller sees it no more
	o.exec(`UPDATE conversation SET assignee_id = NULL, team_id = $2 WHERE id = $1`, int64(seen), int64(o.team()))
	if list, err := o.Drafts(o.ctx, a); err != nil || len(list) != 0 {
		t.Errorf("%d drafts of conversations that are not visible, %v", len(list), err)
	}
}
