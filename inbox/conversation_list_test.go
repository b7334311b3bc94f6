package inbox

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

func TestListRefusesByField(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	for field, q := range map[string]ListQuery{
		"query.view":     {View: "everything"},
		"query.status":   {Status: "gone"},
		"query.assignee": {Assignee: "anna"},
		"query.limit":    {Limit: 201},
		"query.cursor":   {Cursor: "nonsense"},
		"query.tag":      {Tag: strings.Repeat("x", 51)},
		"query.q":        {Search: strings.Repeat("x", 201)},
	} {
		_, _, err := o.Conversations(o.ctx, a, q)
		wantField(t, err, field)
	}
	for _, view := range []string{"team:", "team:x", "team:-1"} {
		_, _, err := o.Conversations(o.ctx, a, ListQuery{View: view})
		wantField(t, err, "query.view")
	}
}

func TestListStaysStableWhileItMoves(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeTeam, o.team())
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	var want []ids.ID
	for range 40 {
		id := o.open(Open, 0, a.AgentID)
		o.exec(`UPDATE conversation SET last_at = $2 WHERE id = $1`, int64(id), at) // all at the same time: only the id orders them
		want = append([]ids.ID{id}, want...)
	}
	var got []ids.ID
	q := ListQuery{Limit: 7}
	for page := 0; ; page++ {
		items, next, err := o.Conversations(o.ctx, a, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range items {
			got = append(got, c.ID)
		}
		if next == "" {
			break
		}
		q.Cursor = next
		// news: one that was shown moves to the top, a new one comes in; neither may shift what is still to come
		o.hear(got[page], "again")
		o.hear(o.open(Open, 0, 0), "new")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("something was left out or shown twice (-want +got):\n%s", d)
	}
}

func TestSearchFindsPeopleByAnyPiece(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	a := o.agent(staff.Member, staff.ScopeAll)
	sara := o.openWith(o.person("Sara Ö. Berg", "phone", "+79161234567"), Open, 0, 0)
	bob := o.openWith(o.person("Bob 100%", "email", "bob_b@example.org"), Closed, 0, a.AgentID)
	for q, want := range map[string][]ids.ID{
		"berg": {sara}, "ö. b": {sara}, "sa": {sara}, "916 123-45": {sara}, "+7 (916) 123": {sara}, "8 916 123 45 67": {sara}, "4567": {sara},
		"b": {bob, sara}, "bob_": {bob}, "100%": {bob}, "0%": {}, "b_b@": {bob}, "example": {bob}, "x_b": {}, "zzz": {}, "%": {}, "ara%": {}, `\`: {},
	} {
		got := o.pages(a, ListQuery{Search: q}, 10)
		slices.Sort(got)
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("search %q (-want +got)\n%s", q, d)
		}
	}
	if got := o.pages(a, ListQuery{Search: "b", Status: Open}, 10); !cmp.Equal(got, []ids.ID{sara}) {
		t.Errorf("open ones: %v", got)
	}
}

const fillConversationsSQL = `INSERT INTO conversation (channel_id, contact_id, identity_id, status, team_id, assignee_id, last_at, closed_at, snoozed_until, in_count, tags, last_text)
SELECT $3, i, i, s, CASE WHEN d % 5 = 0 THEN NULL ELSE $4::bigint + d % 20 END, CASE WHEN d % 3 = 0 THEN NULL ELSE $5::bigint + (d / 7) % 200 END,
	now() - i * interval '7 seconds', CASE WHEN s = 'closed' THEN now() END, CASE WHEN s = 'snoozed' THEN now() + interval '1 day' END, 3,
	CASE WHEN d % 50 = 0 THEN ARRAY['rare' || i % 100] ELSE '{}' END, 'hello'
FROM (SELECT i, abs(hashint4(i + 7)::bigint) AS d, CASE abs(hashint4(i)::bigint) % 100
	WHEN 0 THEN 'waiting' WHEN 1 THEN 'open' WHEN 2 THEN 'open' WHEN 3 THEN 'open' WHEN 4 THEN 'snoozed' ELSE 'closed' END AS s
	FROM generate_series($1::int, $2::int) i) x`

// fill makes n conversations of n people, one in twenty open, over 20 teams and 200 agents; it is quick because it is
// done by the database.
func (o *office) fill(n int) (teams []ids.ID, agents []staff.Access) {
	o.t.Helper()
	for range 20 {
		teams = append(teams, o.team())
	}
	for i := range 200 {
		a := o.agent(staff.Member, staff.ScopeTeam, teams[i%20])
		agents = append(agents, a)
	}
	// in pieces, since a statement may not take long
	const piece = 20_000
	for from := 1000; from < 1000+n; from += piece {
		to := min(from+piece, 1000+n) - 1
		o.exec(`INSERT INTO contact (id, name) SELECT i, initcap(left(md5(i::text), 6)) || ' ' || initcap(right(md5(i::text), 8)) FROM generate_series($1::int, $2::int) i`, from, to)
		o.exec(`INSERT INTO identity (id, kind, value, contact_id) SELECT i, 'phone', '+4930' || (10000000 + i), i FROM generate_series($1::int, $2::int) i`, from, to)
		o.exec(fillConversationsSQL, from, to, o.channel, int64(teams[0]), int64(agents[0].AgentID))
	}
	o.exec(`INSERT INTO read_marker (agent_id, conversation_id, in_no) SELECT $1::bigint + c.id % 200, c.id, 2 FROM conversation c WHERE c.status <> 'closed'`, int64(agents[0].AgentID))
	for _, table := range []string{"contact", "identity", "conversation", "read_marker"} {
		o.exec("VACUUM ANALYZE " + table)
	}
	return teams, agents
}

// plan is what EXPLAIN (FORMAT JSON) tells of a node.
type plan struct {
	Type     string  `json:"Node Type"`
	Index    string  `json:"Index Name"`
	Relation string  `json:"Relation Name"`
	Read     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Plans    []plan  `json:"Plans"`
}

func (p plan) walk(fn func(plan)) {
	fn(p)
	for _, c := range p.Plans {
		c.walk(fn)
	}
}

func (o *office) explain(sql string, args ...any) (p plan, ms float64, text string) {
	o.t.Helper()
	var raw []byte
	if err := o.pool.QueryRow(o.ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...).Scan(&raw); err != nil {
		o.t.Fatalf("%v\n%s", err, sql)
	}
	var out []struct {
		Plan plan
		Time float64 `json:"Execution Time"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		o.t.Fatal(err)
	}
	return out[0].Plan, out[0].Time, string(raw)
}

// TestListsUseTheirIndexes: with 100,000 conversations no list reads much more than it shows, and none sorts more than
// the pages that it merges.
func TestListsUseTheirIndexes(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 100,000 conversations")
	}
	t.Parallel()
	// as the embedded server is set: with the default for spinning disks the planner avoids indexes
	pool, err := postgres.Open(t.Context(), dbtest.URL(t)+"&random_page_cost=1.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	o := officeOn(t, pool)
	n := 100_000
	if s := os.Getenv("PARLEY_TEST_CONVERSATIONS"); s != "" {
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	teams, agents := o.fill(n)
	all, some, own := agents[0], agents[1], agents[2]
	all.Scope, own.Scope = staff.ScopeAll, staff.ScopeOwn
	half := listCursor{time.Now().Add(-time.Duration(n) * 7 / 2 * time.Second), 1 << 40}.String()
	views := []struct {
		q    ListQuery
		read float64 // rows that may be looked at per row shown
	}{
		{ListQuery{View: ViewAll}, 2},
		{ListQuery{View: ViewMine}, 2},
		{ListQuery{View: ViewUnassigned}, 2},
		{ListQuery{View: ViewWaiting}, 4}, // one in four of the active ones
		{ListQuery{View: ViewSnoozed}, 4},
		{ListQuery{View: ViewClosed}, 2},
		{ListQuery{View: viewTeam + teams[1].String()}, 2},
		{ListQuery{View: ViewMine, Status: Closed}, 2},
		{ListQuery{View: ViewAll, Cursor: half}, 2},
		{ListQuery{View: ViewClosed, Cursor: half}, 2},
		{ListQuery{Tag: "rare7"}, 4},
		{ListQuery{Assignee: agents[50].AgentID.String()}, 4},
	}
	for _, a := range []staff.Access{all, some, own} {
		for _, v := range views {
			name := fmt.Sprintf("%s %+v", a.Scope, v.q)
			q, at, err := v.q.check()
			if err != nil {
				t.Fatal(err)
			}
			l, err := newList(a, q, at)
			if err != nil {
				t.Fatal(err)
			}
			p, ms, text := o.explain(l.sql(), l.args...)
			var read float64
			p.walk(func(n plan) {
				if n.Relation == "conversation" {
					read += (n.Read + n.Removed) * n.Loops
				}
				switch {
				case n.Type == "Seq Scan" && n.Relation == "conversation":
					t.Errorf("%s: reads the whole table\n%s", name, text)
				case strings.HasSuffix(n.Type, "Sort") && n.Read > float64(len(l.branches)+len(a.Teams))*51+1:
					t.Errorf("%s: sorts %v rows\n%s", name, n.Read, text)
				}
			})
			// every branch reads its own page, and the page's rows are read once more by their ids
			if limit := v.read*51*float64(len(l.branches)+len(a.Teams)+1) + 51; a.Scope == staff.ScopeAll && read > v.read*51+51 || read > 8*limit {
				t.Errorf("%s: looks at %v rows\n%s", name, read, text)
			}
			t.Logf("%-70s %6.2f ms, %5.0f rows read", strings.NewReplacer("Team:0 ", "", "Assignee: ", "", "Status: ", "", "Channel:0 ", "", "Tag: ", "", "Search: ", "", "Limit:0 ", "").Replace(name), ms, read)
		}
	}
	p, ms, text := o.explain(loadConversationsSQL, []int64{5000, 6000})
	p.walk(func(n plan) {
		if n.Type == "Seq Scan" && n.Relation == "conversation" {
			t.Errorf("loading by id reads the whole table: %s", text)
		}
	})
	t.Logf("load by id %.2f ms", ms)
	o.measure(t, all, some, own)
}

// plainSQL is the least that a first page of the open inbox can be: what PERFORMANCE calls its floor.
const plainSQL = `SELECT ` + conversationViewColumns + `, coalesce(r.in_no, 0) FROM conversation c JOIN contact p ON p.id = c.contact_id
	JOIN channel h ON h.id = c.channel_id LEFT JOIN read_marker r ON r.conversation_id = c.id AND r.agent_id = $1
WHERE c.status IN ('open', 'waiting') ORDER BY c.last_at DESC, c.id DESC LIMIT 51`

// measure prints how the lists stand to the floor; speed is judged by the benchmark, not by a test on a busy machine.
func (o *office) measure(t *testing.T, agents ...staff.Access) {
	t.Helper()
	floor := median(func() {
		rows, err := o.pool.Query(o.ctx, plainSQL, int64(agents[0].AgentID))
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			if _, err := scanConversation(rows); err != nil {
				t.Fatal(err)
			}
		}
		rows.Close()
	})
	t.Logf("floor %v", floor)
	for _, a := range agents {
		for _, q := range []ListQuery{
			{View: ViewAll}, {View: ViewMine}, {View: ViewUnassigned}, {View: ViewClosed}, {Search: "abc"}, {Search: "1020"}, {Search: "a"}, {Search: "c de"}, {Tag: "rare7"}, {Channel: ids.ID(o.channel)},
		} {
			d := median(func() {
				if _, _, err := o.Conversations(o.ctx, a, q); err != nil && !errs.Is(err, errs.Unavailable) {
					t.Fatal(err)
				}
			})
			t.Logf("%-6s %-60s %10v %5.1fx", a.Scope, fmt.Sprintf("%+v", q), d, float64(d)/float64(floor))
		}
	}
}

func median(fn func()) time.Duration {
	var all []time.Duration
	for range 60 {
		began := time.Now()
		fn()
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
