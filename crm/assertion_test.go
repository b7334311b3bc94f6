package crm

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

// said is a claim of somebody who types into a form that these are his addresses.
func said(key, name string, addresses ...Address) Claim {
	return Claim{
		Addresses: []Address{{Kind: KindAnonymous, Value: key}}, Asserted: addresses, Unproven: true, Name: name, Source: "webform",
		Attribution: map[string]string{"utm_source": "first-" + name, "last_utm_source": name},
	}
}

func mail(a string) Address { return Address{Kind: KindEmail, Value: a, Raw: a} }

// card reads what an agent sees.
func card(t *testing.T, s *Service, id int64) Contact {
	t.Helper()
	c, err := s.Contact(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// R10: whoever types a known number stands beside the known person, who is neither shown nor changed.
func TestUnprovenClaimLeavesTheKnownPersonAlone(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	known := claimOne(t, s, Claim{Addresses: []Address{tg("7"), tel("+79123456789"), mail("sara@x.test")}, Name: "Sara", Source: "telegram"})[0]
	before := card(t, s, known.ContactID)

	stranger := claimOne(t, s, said("k1", "Mallory", tel("+79123456789"), mail("mallory@evil.test")))[0]
	if !stranger.Created || stranger.ContactID == known.ContactID || stranger.Name != "Mallory" || stranger.OwnerID != 0 {
		t.Fatalf("got %+v, want a contact of its own beside %d", stranger, known.ContactID)
	}
	after := card(t, s, known.ContactID)
	if after.Version != before.Version || after.Name != before.Name || len(after.Identities) != 3 || len(after.Attribution) != 0 {
		t.Errorf("the known person changed: %+v", after)
	}
	if len(after.AssertedBy) != 1 || int64(after.AssertedBy[0].ID) != stranger.ContactID {
		t.Errorf("got asserted_by %+v, want the stranger", after.AssertedBy)
	}
	c := card(t, s, stranger.ContactID)
	if len(c.Identities) != 0 {
		t.Errorf("got identities %+v: nothing of this is proven", c.Identities)
	}
	if len(c.Asserted) != 2 || c.Asserted[0].Kind != KindEmail && c.Asserted[0].Kind != KindPhone {
		t.Fatalf("got asserted %+v", c.Asserted)
	}
	for _, a := range c.Asserted {
		if claimsToBe := a.Known != nil; claimsToBe != (a.Kind == KindPhone) {
			t.Errorf("got %+v, want only the number to be known", a)
		}
		if a.Known != nil && a.Known.Name != "Sara" {
			t.Errorf("claims to be %q, want Sara", a.Known.Name)
		}
	}
}

// The next proven message goes to a contact of its own: what a form said about the number adopts nobody.
func TestProvenPersonIsNotAdoptedByAForm(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	form := claimOne(t, s, said("k1", "Mallory", tel("+79123456789"), mail("mallory@evil.test")))[0]
	caller := claimOne(t, s, Claim{Addresses: []Address{tel("+79123456789")}, Source: "sip"})[0]
	if !caller.Created || caller.ContactID == form.ContactID {
		t.Fatalf("got %+v, want a contact apart from the form's %d", caller, form.ContactID)
	}
	if c := card(t, s, form.ContactID); len(c.Asserted) != 2 {
		t.Errorf("got asserted %+v", c.Asserted)
	}
}

func TestSameUnprovenWordsAreOneContactUntilItIsKnown(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	first := claimOne(t, s, said("k1", "Tom", tel("+79123456789")))[0]
	again := claimOne(t, s, said("k1", "Tim", tel("+79123456789")))[0]
	if again.ContactID != first.ContactID || again.Name != "Tom" {
		t.Fatalf("got %+v, want contact %d, still called Tom", again, first.ContactID)
	}
	if c := card(t, s, first.ContactID); c.Attribution["utm_source"] != "first-Tom" || c.Attribution["last_utm_source"] != "Tim" {
		t.Errorf("got attribution %v, want the first touch kept and the last one renewed", c.Attribution)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM identity WHERE trust = 'form'`); n != 1 {
		t.Errorf("got %d identities of trust form, want 1", n)
	}
	// an agent says that both are one person: the next who types the same is again nobody we know
	known := claimOne(t, s, Claim{Addresses: []Address{tg("7"), tel("+79123456789")}, Name: "Sara"})[0]
	ctx, by := context.Background(), events.Actor{Kind: "agent", ID: 1}
	merged, err := s.Merge(ctx, by, known.ContactID, []int64{first.ContactID})
	if err != nil {
		t.Fatal(err)
	}
	if c := card(t, s, known.ContactID); len(c.Asserted) != 0 || len(c.Identities) != 2 {
		t.Errorf("after the merge: asserted %+v, identities %+v", c.Asserted, c.Identities)
	}
	third := claimOne(t, s, said("k1", "Mallory", tel("+79123456789")))[0]
	if !third.Created || third.ContactID == known.ContactID || third.ContactID == first.ContactID {
		t.Errorf("got %+v, want a new contact", third)
	}
	if _, err := s.Undo(ctx, by, merged.Merges[0]); err != nil {
		t.Fatal(err)
	}
	if c := card(t, s, first.ContactID); len(c.Asserted) != 1 || c.Asserted[0].Known == nil {
		t.Errorf("after the undo: asserted %+v", c.Asserted)
	}
}

func TestLastTouchIsNotedOnTheOpenLead(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	ctx := context.Background()
	open := func(attribution map[string]string) (leads []Lead) {
		c := claimOne(t, s, said("k1", "Tom", tel("+79123456789")))[0]
		err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
			leads, err = OpenLeads(ctx, tx, []LeadWant{{ContactID: c.ContactID, Source: "webform", Attribution: attribution}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return leads
	}
	first := open(map[string]string{"utm_source": "ad", "last_utm_source": "ad", "last_page": "/a"})
	again := open(map[string]string{"utm_source": "other", "last_utm_source": "mail"})
	if len(first) != 1 || len(again) != 1 || again[0].ID != first[0].ID {
		t.Fatalf("got %+v and %+v, want one lead", first, again)
	}
	got := again[0].Attribution
	if got["utm_source"] != "ad" || got["last_utm_source"] != "mail" || got["last_page"] != "" {
		t.Errorf("got %v, want the first touch as it was and the last one whole", got)
	}
	if same := open(map[string]string{"last_utm_source": "mail"}); len(same) != 0 {
		t.Errorf("got %+v for a touch that changes nothing", same)
	}
}

func TestAssertedAddressIsFoundAndErased(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	ctx := context.Background()
	c := claimOne(t, s, said("k1", "Tom", tel("+79123456789"), mail("tom@x.test")))[0]
	for _, q := range []string{"912 345", "tom@x"} {
		if found, err := s.Contacts(ctx, q, ContactKey{}, 10); err != nil || len(found) != 1 {
			t.Errorf("search %q: got %d people, %v", q, len(found), err)
		}
	}
	if err := s.EraseContact(ctx, events.Actor{Kind: "agent", ID: 1}, c.ContactID); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM assertion`); n != 0 {
		t.Errorf("%d assertions outlive the person", n)
	}
}
