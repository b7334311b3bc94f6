package crm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// desk is the room with one agent.
type desk struct {
	*Service
	t     *testing.T
	ctx   context.Context
	agent ids.ID
	by    events.Actor
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{Service: newService(t, dbtest.DB(t)), t: t, ctx: t.Context()}
	d.agent = ids.ID(count(t, d.pool, `INSERT INTO agent (email, name, role, scope, password_hash) VALUES ('a@example.org', 'Anna', 'agent', 'all', 'x') RETURNING id`))
	d.by = events.Actor{Kind: "agent", ID: int64(d.agent)}
	return d
}

func (d *desk) create(n NewContact) Contact {
	d.t.Helper()
	c, err := d.CreateContact(d.ctx, d.by, n, "")
	if err != nil {
		d.t.Fatalf("create %q: %v", n.Name, err)
	}
	return c
}

func refused(t *testing.T, err error, code errs.Code, field string) *errs.E {
	t.Helper()
	var e *errs.E
	if !errs.Is(err, code) || !errors.As(err, &e) || e.Field != field {
		t.Errorf("got %v, want code %s, field %q", err, code, field)
		return &errs.E{}
	}
	return e
}

func TestContactByHand(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.create(NewContact{
		Name: " Sara  Ö ", Owner: d.agent, Tags: []string{"vip", "VIP"}, Fields: map[string]any{"city": "Riga", "age": 30.0},
		Identities: []Typed{{"phone", "+371 2000-0001"}, {"email", "Sara@EXAMPLE.org"}, {"phone", "+37120000001"}},
	})
	type shown struct{ Kind, Value, Trust string }
	var got []shown
	for _, i := range c.Identities {
		got = append(got, shown{i.Kind, i.Value, i.Trust})
	}
	if d := cmp.Diff([]shown{{"email", "sara@example.org", "agent"}, {"phone", "+37120000001", "agent"}}, got); d != "" {
		t.Error(d)
	}
	if c.Name != "Sara  Ö" || ids.Of(c.OwnerID) != d.agent || !cmp.Equal(c.Tags, []string{"vip"}) || c.Fields["city"] != "Riga" || c.Version != 1 {
		t.Errorf("contact %+v", c)
	}
	// what belongs to somebody is a conflict that names him, and nothing is made
	_, err := d.CreateContact(d.ctx, d.by, NewContact{Name: "Another", Identities: []Typed{{"telegram", "42"}, {"phone", "+371 20 000 001"}}}, "")
	if e := refused(t, err, errs.Conflict, ""); e.Extra["contact_id"] != c.ID {
		t.Errorf("the conflict names %v", e.Extra)
	}
	if n := count(t, d.pool, `SELECT count(*) FROM identity WHERE kind = 'telegram'`); n != 0 {
		t.Errorf("%d identities are left of a refused contact", n)
	}
	if n := count(t, d.pool, `SELECT count(*) FROM event WHERE kind = 'contact.created'`); n != 1 {
		t.Errorf("%d events", n)
	}
	// a customer who writes from the address is this contact
	claimed := claimOne(t, d.Service, Claim{Addresses: []Address{tel("+37120000001")}, Name: "pushed"})
	if claimed[0].ContactID != int64(c.ID) {
		t.Errorf("the phone leads to contact %d", claimed[0].ContactID)
	}
	if c, err = d.Contact(d.ctx, int64(c.ID)); err != nil || c.Name != "Sara  Ö" {
		t.Errorf("a typed name was overwritten: %q, %v", c.Name, err)
	}
}

func TestContactInputIsRefusedByField(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	long := strings.Repeat("x", 201)
	for _, tc := range []struct {
		field string
		n     NewContact
	}{
		{"name", NewContact{}},
		{"name", NewContact{Name: long}},
		{"name", NewContact{Name: "a\x00b"}},
		{"identities[0].kind", NewContact{Name: "x", Identities: []Typed{{"pigeon", "1"}}}},
		{"identities[1].value", NewContact{Name: "x", Identities: []Typed{{"email", "a@b.c"}, {"email", "nobody"}}}},
		{"identities[0].value", NewContact{Name: "x", Identities: []Typed{{"phone", "12345"}}}},
		{"identities[0].value", NewContact{Name: "x", Identities: []Typed{{"phone", "20000001"}}}}, // no country
		{"identities[0].value", NewContact{Name: "x", Identities: []Typed{{"telegram", "@sara"}}}},
		{"identities", NewContact{Name: "x", Identities: make([]Typed, 21)}},
		{"owner_id", NewContact{Name: "x", Owner: 1 << 40}},
		{"tags", NewContact{Name: "x", Tags: []string{strings.Repeat("x", 51)}}},
		{"fields", NewContact{Name: "x", Fields: map[string]any{"": 1}}},
		{"fields", NewContact{Name: "x", Fields: map[string]any{"a": strings.Repeat("x", 17<<10)}}},
		{"fields", NewContact{Name: "x", Fields: map[string]any{"a": "\x00"}}},
	} {
		_, err := d.CreateContact(d.ctx, d.by, tc.n, "")
		refused(t, err, errs.Invalid, tc.field)
	}
	if _, err := d.CreateContact(d.ctx, d.by, NewContact{Name: "x", Identities: []Typed{{"phone", "20000001"}}}, "LV"); err != nil {
		t.Errorf("a national number with the installation's region: %v", err)
	}
}

func TestContactUpdate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.create(NewContact{Name: "Sara", Fields: map[string]any{"city": "Riga", "age": 30.0}, Identities: []Typed{{"email", "s@example.org"}}})
	other := d.create(NewContact{Name: "Bob", Identities: []Typed{{"email", "b@example.org"}}})
	name := "Sara Berg"
	c2, err := d.UpdateContact(d.ctx, d.by, int64(c.ID), ContactPatch{
		Version: 1, Name: &name, Owner: ids.Patch{Set: true, ID: d.agent}, Fields: map[string]any{"age": nil, "vip": true},
		IdentitiesAdd: []Typed{{"phone", "+37120000002"}}, IdentitiesRemove: []ids.ID{c.Identities[0].ID},
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c2.Version != 2 || c2.Name != name || len(c2.Identities) != 1 || c2.Identities[0].Kind != "phone" {
		t.Errorf("contact %+v", c2)
	}
	if diff := cmp.Diff(map[string]any{"city": "Riga", "vip": true}, c2.Fields); diff != "" {
		t.Error(diff)
	}
	// the address that nobody used is free again
	if _, err := d.UpdateContact(d.ctx, d.by, int64(other.ID), ContactPatch{Version: 1, IdentitiesAdd: []Typed{{"email", "s@example.org"}}}, ""); err != nil {
		t.Error(err)
	}
	_, err = d.UpdateContact(d.ctx, d.by, int64(c.ID), ContactPatch{Version: 1, Name: &name}, "")
	if e := refused(t, err, errs.Conflict, ""); e.Extra["version"] != 2 {
		t.Errorf("conflict %v", e.Extra)
	}
	_, err = d.UpdateContact(d.ctx, d.by, int64(c.ID), ContactPatch{Version: 2, IdentitiesAdd: []Typed{{"email", "b@example.org"}}}, "")
	if e := refused(t, err, errs.Conflict, ""); e.Extra["contact_id"] != other.ID {
		t.Errorf("conflict %v", e.Extra)
	}
	_, err = d.UpdateContact(d.ctx, d.by, int64(c.ID), ContactPatch{Version: 2, IdentitiesRemove: []ids.ID{other.Identities[0].ID}}, "")
	refused(t, err, errs.Invalid, "identities_remove")
	_, err = d.UpdateContact(d.ctx, d.by, 1<<40, ContactPatch{Version: 1}, "")
	refused(t, err, errs.NotFound, "")
	if n := count(t, d.pool, `SELECT version FROM contact WHERE id = $1`, int64(c.ID)); n != 2 {
		t.Errorf("a refused change left version %d", n)
	}
	// one that history came through stays, closed
	claimed := claimOne(t, d.Service, Claim{Addresses: []Address{tg("7")}, Name: "Tom"})
	tom, err := d.Contact(d.ctx, claimed[0].ContactID)
	if err != nil {
		t.Fatal(err)
	}
	if tom, err = d.UpdateContact(d.ctx, d.by, int64(tom.ID), ContactPatch{Version: 1, IdentitiesRemove: []ids.ID{tom.Identities[0].ID}}, ""); err != nil || len(tom.Identities) != 0 {
		t.Errorf("%+v, %v", tom.Identities, err)
	}
	if again := claimOne(t, d.Service, Claim{Addresses: []Address{tg("7")}, Name: "Tom"}); again[0].ContactID != int64(tom.ID) {
		t.Error("he wrote again and became somebody else")
	}
}

func TestContactSearchAndPages(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var all []ids.ID
	for i := range 25 {
		c := d.create(NewContact{Name: fmt.Sprintf("Person %02d", i), Identities: []Typed{{"phone", fmt.Sprintf("+4930123456%02d", i)}}})
		all = append([]ids.ID{c.ID}, all...)
	}
	d.create(NewContact{Name: "Анна 100%", Identities: []Typed{{"email", "anna_b@example.org"}, {"phone", "+79161234567"}}})
	find := func(q string) int {
		t.Helper()
		list, err := d.Contacts(d.ctx, q, ContactKey{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for q, want := range map[string]int{
		"person": 25, "Person 07": 1, "анна": 1, "100%": 1, "1%": 0, "a_b": 1, "nna_": 1, "xa_b": 0, "ан": 1, "pe": 25, "zz": 0,
		"030 123456 07": 1, "(030) 12-34-56-07": 1, "+49 30 12345607": 1, "34560": 10, "8 916 123-45-67": 1, "916123": 1, "%": 0, "": 26,
	} {
		if got := find(q); got != want {
			t.Errorf("search %q: %d, want %d", q, got, want)
		}
	}
	var got []ids.ID
	var after ContactKey
	for {
		list, err := d.Contacts(d.ctx, "person", after, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			got = append(got, c.ID)
			after = ContactKey{At: c.UpdatedAt, ID: c.ID}
		}
		if len(list) < 7 {
			break
		}
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Error(diff)
	}
}

func TestMergedContactsRedirectAndUndoEither(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var c [3]Contact
	for i := range c {
		c[i] = d.create(NewContact{Name: fmt.Sprint("Person ", i), Identities: []Typed{{"telegram", fmt.Sprint(100 + i)}}})
	}
	m, err := d.Merge(d.ctx, d.by, int64(c[0].ID), []int64{int64(c[1].ID), int64(c[2].ID)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Contact(d.ctx, int64(c[2].ID))
	if err != nil || got.ID != c[0].ID || len(got.Identities) != 3 || len(got.Merges) != 2 {
		t.Fatalf("the merged id shows %+v, %v", got, err)
	}
	if !got.Merges[0].Undoable || got.Merges[1].Undoable {
		t.Errorf("merges %+v: only the latest can be undone", got.Merges)
	}
	if alone, err := d.UndoEither(d.ctx, d.by, m.Merges[1]); err != nil || alone != int64(c[2].ID) {
		t.Errorf("undo of one merge: %d, %v", alone, err)
	}
	if alone, err := d.UndoEither(d.ctx, d.by, m.Batch); err != nil || alone != int64(c[1].ID) {
		t.Errorf("undo of the rest: %d, %v", alone, err)
	}
	_, err = d.UndoEither(d.ctx, d.by, m.Batch)
	refused(t, err, errs.NotFound, "")
	for i := range c {
		if got, err := d.Contact(d.ctx, int64(c[i].ID)); err != nil || got.ID != c[i].ID || len(got.Identities) != 1 {
			t.Errorf("contact %d after undo: %+v, %v", i, got, err)
		}
	}
}

func TestEraseForgetsAndFreesTheAddress(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.create(NewContact{Name: "Sara", Tags: []string{"x"}, Fields: map[string]any{"a": "b"}, Identities: []Typed{{"telegram", "5"}}})
	twin := d.create(NewContact{Name: "Sara too", Identities: []Typed{{"email", "s@example.org"}}})
	if _, err := d.Merge(d.ctx, d.by, int64(c.ID), []int64{int64(twin.ID)}); err != nil {
		t.Fatal(err)
	}
	if err := d.EraseContact(d.ctx, d.by, int64(twin.ID)); err != nil { // the merged id means the survivor
		t.Fatal(err)
	}
	got, err := d.Contact(d.ctx, int64(c.ID))
	if err != nil || got.Name != "Erased" || len(got.Tags)+len(got.Fields)+len(got.Identities)+len(got.Merges) != 0 {
		t.Errorf("left: %+v, %v", got, err)
	}
	left := count(t, d.pool, `SELECT count(*) FROM contact WHERE name LIKE 'Sara%'`) + count(t, d.pool, `SELECT count(*) FROM identity WHERE value IN ('5', 's@example.org')`) +
		count(t, d.pool, `SELECT count(*) FROM merge_move`)
	if left != 0 {
		t.Errorf("%d rows still tell of her", left)
	}
	if again := claimOne(t, d.Service, Claim{Addresses: []Address{tg("5")}, Name: "Sara"}); again[0].ContactID == int64(c.ID) || !again[0].Created {
		t.Errorf("a new message made %+v", again[0])
	}
}

func TestLeadsByHand(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	c := d.create(NewContact{Name: "Sara"})
	lines, err := d.Pipelines(d.ctx)
	if err != nil || len(lines) != 1 || len(lines[0].Stages) != 6 {
		t.Fatalf("pipelines %+v, %v", lines, err)
	}
	stages := lines[0].Stages
	l, err := d.CreateLead(d.ctx, d.by, NewLead{Contact: c.ID, Title: "Bicycles", Owner: d.agent})
	if err != nil || l.StageID != stages[0].ID || l.Contact.Name != "Sara" || l.Source != "manual" {
		t.Fatalf("lead %+v, %v", l, err)
	}
	_, err = d.CreateLead(d.ctx, d.by, NewLead{Contact: c.ID})
	refused(t, err, errs.Conflict, "")
	_, err = d.CreateLead(d.ctx, d.by, NewLead{Contact: 1 << 40})
	refused(t, err, errs.Invalid, "contact_id")
	_, err = d.CreateLead(d.ctx, d.by, NewLead{Contact: c.ID, Pipeline: 1 << 40})
	refused(t, err, errs.Invalid, "pipeline_id")
	move := func(version, stage int) (Lead, error) {
		return d.UpdateLead(d.ctx, d.by, int64(l.ID), LeadPatch{Version: version, Stage: &stages[stage].ID})
	}
	won, err := move(1, 4)
	if err != nil || won.Outcome == nil || *won.Outcome != "won" || won.ClosedAt == nil {
		t.Errorf("won: %+v, %v", won, err)
	}
	_, err = move(1, 2)
	refused(t, err, errs.Conflict, "")
	second, err := d.CreateLead(d.ctx, d.by, NewLead{Contact: c.ID})
	if err != nil {
		t.Fatal(err)
	}
	_, err = move(2, 2) // the second is open
	refused(t, err, errs.Conflict, "")
	nowhere := ids.ID(1 << 40)
	_, err = d.UpdateLead(d.ctx, d.by, int64(second.ID), LeadPatch{Version: 1, Stage: &nowhere})
	refused(t, err, errs.Invalid, "stage_id")
	list := func(contact, stage ids.ID) []ids.ID {
		t.Helper()
		leads, err := d.Leads(d.ctx, LeadFilter{Contact: int64(contact), Stage: int64(stage)}, LeadKey{}, 50)
		if err != nil {
			t.Fatal(err)
		}
		out := []ids.ID{}
		for _, l := range leads {
			out = append(out, l.ID)
		}
		return out
	}
	if d := cmp.Diff([]ids.ID{second.ID, l.ID}, list(c.ID, 0)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]ids.ID{l.ID}, list(0, stages[4].ID)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]ids.ID{second.ID}, list(c.ID, stages[0].ID)); d != "" {
		t.Error(d)
	}
	if n := count(t, d.pool, `SELECT count(*) FROM event WHERE kind LIKE 'lead.%'`); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}
