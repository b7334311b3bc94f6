package crm

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

func newService(t *testing.T, pool *pgxpool.Pool) *Service {
	t.Helper()
	b, err := bus.Embedded(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return New(pool, b, slog.New(slog.DiscardHandler))
}

func claimOne(t *testing.T, s *Service, claims ...Claim) []Claimed {
	t.Helper()
	var out []Claimed
	err := postgres.InTx(context.Background(), s.pool, func(tx pgx.Tx) (err error) {
		out, err = s.Claim(context.Background(), tx, claims)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tg(id string) Address  { return Address{Kind: KindTelegram, Value: id, Raw: id} }
func tel(nr string) Address { return Address{Kind: KindPhone, Value: nr, Raw: nr} }

func count(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestClaimFindsTheSamePerson(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	first := claimOne(t, s, Claim{Addresses: []Address{tg("7")}, Name: "Sara", Display: "@sara"})[0]
	if !first.Created || first.Name != "Sara" {
		t.Fatalf("got %+v, want a new contact called Sara", first)
	}
	again := claimOne(t, s, Claim{Addresses: []Address{tg("7")}, Name: "Sara M"})[0]
	if again.Created || again.ContactID != first.ContactID || again.IdentityID != first.IdentityID {
		t.Fatalf("got %+v, want the contact of %+v", again, first)
	}
	if again.Name != "Sara M" {
		t.Errorf("got name %q, want the newly pushed one", again.Name)
	}
	if _, err := s.pool.Exec(context.Background(), `UPDATE contact SET name = 'Boss', name_source = 'manual'`); err != nil {
		t.Fatal(err)
	}
	if kept := claimOne(t, s, Claim{Addresses: []Address{tg("7")}, Name: "Sara X"})[0]; kept.Name != "Boss" {
		t.Errorf("got name %q, want the one given by hand", kept.Name)
	}
}

func TestClaimOfOneBatchJoinsWhatSharesAnAddress(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	out := claimOne(t, s,
		Claim{Addresses: []Address{tg("1")}, Name: "A"},
		Claim{Addresses: []Address{tel("+79123456789")}, Name: "B"},
		Claim{Addresses: []Address{tg("1"), tel("+79123456789")}, Name: "A"},
		Claim{Addresses: []Address{tg("2")}, Name: "C"})
	if out[0].ContactID != out[1].ContactID || out[0].ContactID != out[2].ContactID || out[0].ContactID == out[3].ContactID {
		t.Fatalf("got contacts %+v, want three times the same and another", out)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM contact`); n != 2 {
		t.Errorf("got %d contacts, want 2", n)
	}
}

// The race of CRM 4.3: 200 people, 8 events each (number only, id only, both), each delivered twice, 16 at a time.
func TestClaimRaceWithProviderLinks(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	ctx := context.Background()
	const people = 60
	for p := range people {
		id, nr := tg(fmt.Sprint(1000+p)), tel(fmt.Sprintf("+7912%07d", p))
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				addresses := [][]Address{{nr}, {nr}, {nr}, {id}, {id}, {id}, {id, nr}, {nr, id}}[i%8]
				err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
					c, err := s.Claim(ctx, tx, []Claim{{Addresses: addresses, Name: "P"}})
					if err != nil {
						return err
					}
					_, err = OpenLeads(ctx, tx, []LeadWant{{ContactID: c[0].ContactID, ContactName: c[0].Name, Source: "telegram"}})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := count(t, s.pool, `SELECT count(*) FROM contact WHERE merged_into IS NULL`); n != people {
		t.Errorf("got %d live contacts, want %d", n, people)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM lead WHERE closed_at IS NULL`); n != people {
		t.Errorf("got %d open leads, want %d", n, people)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM identity i JOIN contact c ON c.id = i.contact_id WHERE c.merged_into IS NOT NULL`); n != 0 {
		t.Errorf("got %d identities on merged contacts, want 0", n)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM lead l JOIN contact c ON c.id = l.contact_id WHERE c.merged_into IS NOT NULL`); n != 0 {
		t.Errorf("got %d leads on merged contacts, want 0", n)
	}
}

func TestMergeAndUndoRestoreEverything(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	ctx := context.Background()
	by := events.Actor{Kind: "agent", ID: 1}
	const pairs = 100
	var into, from []int64
	for i := range pairs {
		c := claimOne(t, s, Claim{Addresses: []Address{tg(fmt.Sprint(i))}, Name: fmt.Sprint("left ", i), Language: "en"},
			Claim{Addresses: []Address{tel(fmt.Sprintf("+7912%07d", i))}, Name: fmt.Sprint("right ", i)})
		into, from = append(into, c[0].ContactID), append(from, c[1].ContactID)
		err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
			_, err := OpenLeads(ctx, tx, []LeadWant{{ContactID: c[0].ContactID}, {ContactID: c[1].ContactID}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const dump = `
SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (
    SELECT concat_ws(',', 'c', id, name, name_source, owner_id, language, tags, fields, attribution, merged_into) AS x FROM contact
    UNION ALL SELECT concat_ws(',', 'i', id, kind, value, contact_id) FROM identity
    UNION ALL SELECT concat_ws(',', 'l', id, contact_id, pipeline_id, stage_id, outcome, closed_at) FROM lead) d`
	var before, after string
	if err := s.pool.QueryRow(ctx, dump).Scan(&before); err != nil {
		t.Fatal(err)
	}
	var batches []int64
	for i := range pairs {
		m, err := s.Merge(ctx, by, into[i], []int64{from[i]})
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, m.Batch)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM contact WHERE merged_into IS NULL`); n != pairs {
		t.Fatalf("got %d live contacts after the merges, want %d", n, pairs)
	}
	if n := count(t, s.pool, `SELECT count(*) FROM lead WHERE closed_at IS NULL`); n != pairs {
		t.Errorf("got %d open leads after the merges, want %d", n, pairs)
	}
	for _, b := range batches {
		if _, err := s.UndoBatch(ctx, by, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.pool.QueryRow(ctx, dump).Scan(&after); err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Error("the undone merges left something different")
	}
}

func TestUndoKeepsWhatCameAfterTheMerge(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	ctx := context.Background()
	by := events.Actor{Kind: "agent", ID: 1}
	c := claimOne(t, s, Claim{Addresses: []Address{tg("1")}, Name: "A"}, Claim{Addresses: []Address{tg("2")}, Name: "B"}, Claim{Addresses: []Address{tg("3")}, Name: "C"})
	m, err := s.Merge(ctx, by, c[0].ContactID, []int64{c[1].ContactID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(ctx, `UPDATE contact SET name = 'Renamed', name_source = 'manual' WHERE id = $1`, c[0].ContactID); err != nil {
		t.Fatal(err)
	}
	if found := claimOne(t, s, Claim{Addresses: []Address{tg("2")}, Name: "B"})[0]; found.ContactID != c[0].ContactID {
		t.Errorf("got contact %d for a merged identity, want the survivor %d", found.ContactID, c[0].ContactID)
	}
	later, err := s.Merge(ctx, by, c[2].ContactID, []int64{c[0].ContactID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Undo(ctx, by, m.Merges[0]); err == nil {
		t.Error("undoing an earlier merge of the same contact must wait for the later one")
	}
	for _, id := range []int64{later.Merges[0], m.Merges[0]} {
		if _, err := s.Undo(ctx, by, id); err != nil {
			t.Fatal(err)
		}
	}
	var name string
	if err := s.pool.QueryRow(ctx, `SELECT name FROM contact WHERE id = $1`, c[0].ContactID).Scan(&name); err != nil {
		t.Fatal(err)
	}
	if name != "Renamed" {
		t.Errorf("got name %q, want what was changed after the merge", name)
	}
	if found := claimOne(t, s, Claim{Addresses: []Address{tg("2")}})[0]; found.ContactID != c[1].ContactID {
		t.Errorf("got contact %d, want %d standing alone again", found.ContactID, c[1].ContactID)
	}
}

func TestLeadsSucceedEachOther(t *testing.T) {
	t.Parallel()
	s := newService(t, dbtest.DB(t))
	ctx := context.Background()
	c := claimOne(t, s, Claim{Addresses: []Address{tg("1")}, Name: "A"})[0]
	open := func() []Lead {
		var out []Lead
		err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) (err error) {
			out, err = OpenLeads(ctx, tx, []LeadWant{{ContactID: c.ContactID, Source: "telegram"}})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := open()
	if len(first) != 1 || len(open()) != 0 {
		t.Fatal("want one lead and no second beside it")
	}
	closeAs := func(outcome, ago string) {
		if _, err := s.pool.Exec(ctx, `UPDATE lead SET outcome = $1, closed_at = now() - $2::interval WHERE closed_at IS NULL`, outcome, ago); err != nil {
			t.Fatal(err)
		}
	}
	closeAs("lost", "10 days")
	if l := open(); len(l) != 1 || l[0].ID != first[0].ID {
		t.Errorf("got %+v, want the lead lost ten days ago opened again", l)
	}
	closeAs("lost", "40 days")
	second := open()
	if len(second) != 1 || second[0].ID == first[0].ID {
		t.Fatalf("got %+v, want a new lead 40 days later", second)
	}
	closeAs("won", "1 day")
	third := open()
	if len(third) != 1 || third[0].PreviousLead == nil || *third[0].PreviousLead != second[0].ID {
		t.Errorf("got %+v, want a successor of the won lead %v", third, second[0].ID)
	}
}
