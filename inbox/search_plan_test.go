package inbox

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/staff"
)

// what SearchFollower makes of the same text; the words have no beginnings in common
const fillIndexSQL = `INSERT INTO message_search (at, message_id, conversation_id, words, files)
SELECT m.at, m.id, m.conversation_id, to_tsvector('simple', m.text) || array_to_tsvector(ARRAY['by:i' || m.identity_id]),
	CASE WHEN m.in_no % 50 = 0 THEN 'scan ' || m.in_no || '.pdf' ELSE '' END FROM message m`

const fillWordsSQL = `INSERT INTO message (at, id, conversation_id, identity_id, kind, direction, author_kind, text, status, in_no)
SELECT now() - i * interval '20 seconds', gen_random_uuid(), $1::bigint + i % $3, $2, 'message', 'in', 'contact',
	'common here number x' || i || CASE WHEN i % 4000 = 0 THEN ' rare' ELSE '' END || CASE WHEN i % 200 = 0 THEN ' middling' ELSE '' END
	|| CASE WHEN i > 30000 THEN ' ancient' ELSE '' END, 'received', i
FROM generate_series(1, 60000) i`

// TestSearchesUseTheirIndexes: no question reads the table of messages, nor its index from end to end.
func TestSearchesUseTheirIndexes(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 60,000 messages")
	}
	t.Parallel()
	s := newSearcher(t)
	boss, clerk := s.agent(staff.Admin, staff.ScopeAll), s.agent(staff.Member, staff.ScopeOwn)
	p := s.stranger()
	const talks = 1000
	first := s.openWith(p, Closed, 0, boss.AgentID)
	for range talks - 2 {
		s.openWith(p, Closed, 0, boss.AgentID)
	}
	mine := s.openWith(p, Closed, 0, clerk.AgentID)
	if int(mine-first) != talks-1 {
		t.Fatalf("conversations %s to %s are not in a row", first, mine)
	}
	s.exec(fillWordsSQL, int64(first), p.identity, talks)
	s.exec(fillIndexSQL)
	s.exec(`INSERT INTO attachment (id, message_at, message_id, name) SELECT gen_random_uuid(), at, message_id, files FROM message_search WHERE files <> ''`)
	s.patience = time.Minute // however busy the machine is
	for _, table := range []string{"message", "message_search", "conversation", "attachment"} {
		s.exec("VACUUM ANALYZE " + table)
	}
	plans := &office{Desk: &Desk{pool: s.Finder.pool}, t: t, ctx: s.ctx}
	check := func(name string, sql func(h *hunt) string, h *hunt, most float64) {
		root, ms, text := plans.explain(sql(h), h.args(21)...)
		var read float64
		root.walk(func(n plan) {
			if !strings.HasPrefix(n.Relation, "message") {
				return
			}
			read += (n.Read + n.Removed) * n.Loops
			if n.Type == "Seq Scan" {
				t.Errorf("%s: %s of %s\n%s", name, n.Type, n.Relation, text)
			}
		})
		if read > most {
			t.Errorf("%s: reads %v rows, at most %v are allowed\n%s", name, read, most, text)
		}
		t.Logf("%-28s %7.2f ms, %v rows", name, ms, read)
	}
	whole := func(words string) *hunt {
		return &hunt{s: &search{a: boss}, at: spot{end().at, uuid.Max}, words: words}
	}
	months, err := s.monthsOf(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	var biggest month
	for _, m := range months {
		if m.rows > biggest.rows {
			biggest = m
		}
	}
	if biggest.rows < 20_000 {
		t.Fatalf("the biggest month of %+v", months)
	}
	walk := func(h *hunt) string { return h.sql(walkSQL, "$step", strconv.Itoa(firstStep)) }
	pick := func(h *hunt) string {
		return h.sql(pickSQL, "$month", biggest.table, "$most", strconv.Itoa(mostHits+1))
	}
	check("walk, common", walk, whole("'common'"), firstStep)
	check("walk, rare", walk, whole("'rare'"), firstStep)
	check("pick, rare", pick, whole("'rare'"), 2*16)
	check("pick, beginning", pick, whole("'rar':*"), 2*16)
	check("pick, two", pick, whole("'middling' & 'common'"), 2*301)
	check("pick, author", pick, whole("'rare' & ('by:i"+fmt.Sprint(p.identity)+"')"), 2*16)
	files := whole("")
	files.files, files.patterns = true, []string{"%60000.pdf%"}
	check("pick, file", pick, files, 2*20)
	check("walk, files", walk, files, firstStep)

	for _, tc := range []struct {
		name  string
		a     staff.Access
		ask   string
		items int
	}{
		{"rare", boss, "rare", 15},
		{"middling", boss, "middling", 20},
		{"common", boss, "common", 20},
		{"two", boss, "rare common", 15},
		{"old", boss, "ancient", 20},
		{"nothing", boss, "absent", 0},
		{"excluded", boss, "-common has:link", 0},
		{"a file", boss, "scan 100", 20},
		{"common, sees little", clerk, "common", 20},
		{"rare, sees nothing", clerk, "rare", 0},
	} {
		var n int
		took := median(func() {
			found := s.find(tc.a, tc.ask, FindMessages, FindFiles)
			n = max(len(found.Messages.Items), len(found.Files.Items))
			if found.Messages.Partial {
				t.Errorf("%s: partial", tc.name)
			}
		})
		if n != tc.items {
			t.Errorf("%s: %d found, want %d", tc.name, n, tc.items)
		}
		t.Logf("%-28s %7.2f ms", tc.name, float64(took.Microseconds())/1000)
	}
}

// TestSearchHasConnectionsOfItsOwn: searches that hang keep nobody else waiting, and end with a word to the searcher.
func TestSearchHasConnectionsOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newSearcher(t)
	a := s.agent(staff.Admin, staff.ScopeAll)
	if s.Finder.pool == s.office.pool || s.Finder.pool.Config().MaxConns != searchConns {
		t.Fatal("the search shares its connections")
	}
	var timeout string
	if err := s.Finder.pool.QueryRow(s.ctx, "SHOW statement_timeout").Scan(&timeout); err != nil || timeout != "1500ms" {
		t.Errorf("statements may take %s, %v", timeout, err)
	}
	_, err := s.Finder.pool.Exec(s.ctx, "SET statement_timeout = 20; SELECT pg_sleep(1)")
	if err = slow(s.ctx, err); errCode(err) != "search_slow" {
		t.Errorf("a statement that took too long: %v", err)
	}
	var taken []*pgxpool.Conn
	for range searchConns {
		c, err := s.Finder.pool.Acquire(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, c)
	}
	began := time.Now()
	_, err = s.Search(s.ctx, a, SearchQuery{Text: "x"})
	if errCode(err) != "search_slow" || time.Since(began) > searchBudget+2*time.Second {
		t.Errorf("with all connections taken: %v after %v", err, time.Since(began))
	}
	for _, c := range taken {
		c.Release()
	}
	s.find(a, "x")
}
