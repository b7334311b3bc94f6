package inbox

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const fillMessagesSQL = `INSERT INTO message (at, id, conversation_id, identity_id, kind, direction, author_kind, author_id, text, status, in_no)
SELECT now() - (i * 37) * interval '1 second', gen_random_uuid(), $1::bigint + i % 2000, $2, CASE WHEN i % 10 = 0 THEN 'event' ELSE 'message' END,
	CASE WHEN i % 2 = 0 THEN 'in' ELSE 'out' END, CASE WHEN i % 2 = 0 THEN 'contact' ELSE 'agent' END, CASE WHEN i % 2 = 1 THEN $3::bigint END,
	repeat('hello ', 20), CASE WHEN i % 2 = 0 THEN 'received' ELSE 'sent' END, i
FROM generate_series($4::int, $5::int) i`

// TestTimelinesUseTheirIndex: among 200,000 messages a timeline reads what it shows and nothing else.
func TestTimelinesUseTheirIndex(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 200,000 messages")
	}
	t.Parallel()
	pool, err := postgres.Open(t.Context(), dbtest.URL(t)+"&random_page_cost=1.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	o := officeOn(t, pool)
	a := o.agent(staff.Member, staff.ScopeAll)
	p := o.stranger()
	first := o.openWith(p, Open, 0, 0)
	for i := range 6 { // the person's earlier conversations
		id := o.openWith(p, Closed, 0, 0)
		if i > 0 && id != first+ids.ID(i)+1 {
			t.Fatalf("conversation %s does not follow", id)
		}
	}
	for from := 1; from <= 200_000; from += 20_000 {
		o.exec(fillMessagesSQL, int64(first), p.identity, int64(a.AgentID), from, from+19_999)
	}
	o.exec("VACUUM ANALYZE message")
	deep := place{at: end().at, seq: 0}
	if err := pool.QueryRow(o.ctx, `SELECT at, seq FROM message WHERE conversation_id = $1 ORDER BY at OFFSET 20 LIMIT 1`, int64(first)).Scan(&deep.at, &deep.seq); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, sql string
		args      []any
		most      float64
	}{
		{"newest", timelineBeforeSQL, who(a, int64(first), end().at, end().seq, 51), 51},
		{"deep", timelineBeforeSQL, who(a, int64(first), deep.at, deep.seq, 51), 51},
		{"after", timelineAfterSQL, who(a, int64(first), deep.at, deep.seq, 51), 51},
		{"person", contactBeforeSQL, who(a, p.contact, end().at, end().seq, 51), 7 * 51},
	} {
		root, ms, text := o.explain(tc.sql, tc.args...)
		var read float64
		root.walk(func(n plan) {
			if strings.HasPrefix(n.Relation, "message") {
				read += (n.Read + n.Removed) * n.Loops
				if !strings.HasPrefix(n.Type, "Index") {
					t.Errorf("%s: %s of %s\n%s", tc.name, n.Type, n.Relation, text)
				}
			}
		})
		if read > tc.most {
			t.Errorf("%s: reads %v rows\n%s", tc.name, read, text)
		}
		t.Logf("%-8s %6.2f ms, %v rows", tc.name, ms, read)
	}
	floor := median(func() {
		rows, err := pool.Query(o.ctx, timelineBeforeSQL, who(a, int64(first), end().at, end().seq, 51)...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.CollectRows(rows, scanMessage); err != nil {
			t.Fatal(err)
		}
	})
	one := median(func() {
		if _, err := o.Timeline(o.ctx, a, first, TimelineQuery{}); err != nil {
			t.Fatal(err)
		}
	})
	person := median(func() {
		if _, err := o.ContactTimeline(o.ctx, a, ids.ID(p.contact), TimelineQuery{}); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("one query %v, conversation %v, person %v", floor, one, person)
}
