package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parley-hub/parley/e2e/rig"
)

const (
	// a message has so many words, and the k-th commonest of 20,000 is in about one of k messages
	wordsEach = 10
	// of the clerk who sees one conversation in so many
	clerkSees = 100
)

// searchFillSQL makes $n people with a number each, a conversation for every tenth, and ten messages in each of those
// for every person: as many messages as people. What the follower would make of the messages is made at once; a word of
// these texts is a word to the database too. $clerk sees little.
func searchFillSQL() []string {
	word := `'w' || lpad(floor(power(20000, random()))::int::text, 5, '0')`
	text := word
	for range wordsEach - 1 {
		text += ` || ' ' || ` + word
	}
	return []string{
		`DROP INDEX contact_name_trgm, identity_value_trgm`,
		`INSERT INTO channel (kind, name, enabled) SELECT 'telegram', 'Bulk', false`,
		`INSERT INTO contact (id, name) SELECT i, 'Person No ' || i FROM generate_series(1, $n) i`,
		`INSERT INTO identity (kind, value, contact_id) SELECT 'phone', '+79' || lpad((i::bigint * 7919 % 1000000007)::text, 9, '0'), i
FROM generate_series(1, $n) i`,
		`INSERT INTO conversation (channel_id, contact_id, identity_id, chat, status, closed_at, last_at, assignee_id)
SELECT (SELECT min(id) FROM channel), i, i, i::text, 'closed', now(), now(), CASE WHEN i % ` + fmt.Sprint(clerkSees) + ` = 0 THEN $clerk ELSE 1 END
FROM generate_series(1, $n / 10) i`,
		`INSERT INTO message (at, id, conversation_id, identity_id, kind, direction, author_kind, text, status, in_no)
SELECT now() - i * interval '2 seconds', gen_random_uuid(), c.id, c.identity_id, 'message', 'in', 'contact', ` + text + `, 'received', i
FROM generate_series(1, $n) i CROSS JOIN (SELECT min(id) AS first FROM conversation) x
	JOIN conversation c ON c.id = x.first + i % ($n / 10)`,
		`DROP INDEX message_search_words`,
		`INSERT INTO message_search (at, message_id, conversation_id, words)
SELECT at, id, conversation_id, to_tsvector('simple', text) || array_to_tsvector(ARRAY['by:i' || identity_id]) FROM message`,
		`CREATE INDEX message_search_words ON message_search USING gin (words) WITH (gin_pending_list_limit = 512)`,
		`CREATE INDEX contact_name_trgm ON contact USING gin (name gin_trgm_ops)`,
		`CREATE INDEX identity_value_trgm ON identity USING gin (value gin_trgm_ops, display gin_trgm_ops)`,
		`UPDATE search_fill SET done_at = now()`,
		`VACUUM ANALYZE`,
	}
}

// months splits the past, so that a partition holds about a million messages, as it does where so many are written.
const monthsBack = `DO $$
DECLARE
    m int;
    t text;
    start timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC')::timestamp AT TIME ZONE 'UTC';
BEGIN
    FOREACH t IN ARRAY ARRAY['message', 'message_search'] LOOP
        EXECUTE format('DROP TABLE %I', t || '_past');
        FOR m IN 1..12 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', t || '_back' || m, t,
                start - m * interval '1 month', start - (m - 1) * interval '1 month');
        END LOOP;
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO (%L)', t || '_past', t, start - interval '12 months');
    END LOOP;
END $$`

// search is what the search box costs over HTTP among many messages and people.
func search(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(1_000_000, 20_000)
	err = w.with(ctx, func(h *hub) error {
		clerk, agent, err := h.Invite(ctx, "Clerk", "agent", "own")
		if err != nil {
			return err
		}
		if err := w.fillSearch(ctx, h, n, agent.ID); err != nil {
			return err
		}
		rows, err = w.searches(ctx, h, clerk, n)
		return err
	})
	return rows, err
}

func (w *world) fillSearch(ctx context.Context, h *hub, n int, clerk string) error {
	if err := h.Hub.Stop(ctx); err != nil {
		return err
	}
	admin := w.pg.Admin(h.name)
	if err := rig.Exec(ctx, h.url, monthsBack); err != nil {
		return err
	}
	bulk := "ALTER ROLE postgres IN DATABASE " + h.name + " SET session_replication_role = replica"
	if err := rig.Exec(ctx, admin, bulk); err != nil {
		return err
	}
	for _, sql := range searchFillSQL() {
		if err := rig.Exec(ctx, admin, strings.NewReplacer("$n", strconv.Itoa(n), "$clerk", clerk).Replace(sql)); err != nil {
			return fmt.Errorf("%.60s: %w", sql, err)
		}
	}
	return h.Hub.Start(ctx)
}

func (w *world) searches(ctx context.Context, h *hub, clerk *rig.Client, n int) ([]row, error) {
	most := 60.0
	if w.size > 1 {
		most = 90
	}
	word := func(rank, spread int) func(i int) string {
		return func(i int) string { return fmt.Sprintf("w%05d", rank+i%spread) }
	}
	var rows []row
	for _, c := range []struct {
		what, kind string
		who        *rig.Client
		ask        func(i int) string
		most       float64
	}{
		{"rare word", "messages", h.Admin, word(15_000, 1000), most},
		{"middling word", "messages", h.Admin, word(250, 100), most},
		{"common word", "messages", h.Admin, word(1, 20), most},
		{"two words", "messages", h.Admin, func(i int) string { return word(200, 100)(i) + " " + word(30, 50)(i) }, most},
		{"two words in a row", "messages", h.Admin, func(i int) string { return `"` + word(20, 20)(i) + " " + word(10, 10)(i) + `"` }, most},
		{"beginning of a word", "messages", h.Admin, func(i int) string { return fmt.Sprintf("w%04d", 100+i%100) }, most},
		{"word of one person", "messages", h.Admin, func(i int) string {
			return fmt.Sprintf("%s from:%q", word(1, 5)(i), fmt.Sprintf("+79%09d", i*10*7919%1000000007))
		}, most},
		{"no such word", "messages", h.Admin, func(i int) string { return fmt.Sprintf("nothing%d", i) }, most},
		{"rare word, who sees 1 of 100", "messages", clerk, word(15_000, 1000), most},
		{"common word, who sees 1 of 100", "messages", clerk, word(1, 20), most},
		{"eight digits of a number", "people", h.Admin, func(i int) string { return fmt.Sprintf("%08d", i*7919%1000000007/10%100000000) }, 30},
		{"five digits of a number", "people", h.Admin, func(i int) string { return fmt.Sprintf("%05d", i*104729%100000) }, 30},
		{"a piece of a name", "people", h.Admin, func(i int) string { return fmt.Sprintf("No %d", 1000+i) }, 60},
		{"everything for one word", "", h.Admin, word(250, 100), most},
	} {
		ask := func(ctx context.Context, i int) error {
			v := url.Values{"q": {c.ask(i)}, "limit": {"20"}}
			if c.kind != "" {
				v.Set("kinds", c.kind)
			}
			_, err := c.who.Do(ctx, "GET", "/api/search?"+v.Encode(), nil, nil)
			return err
		}
		if _, err := drive(ctx, 1, 10, ask); err != nil { // the connections prepare
			return rows, err
		}
		l, err := drive(ctx, 1, w.times(200, 60), ask)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", c.what, err)
		}
		rows = append(rows, atMost(fmt.Sprintf("%s, of %d: p95", c.what, n), l.ms(0.95), 0, "ms", c.most, 0))
	}
	same, want, err := w.foundAll(ctx, h)
	return append(rows, exact("all messages with a rare word, page by page", same, want)), err
}

// foundAll counts what all pages of a search hold, and what the table says.
func (w *world) foundAll(ctx context.Context, h *hub) (found, want int, err error) {
	const rare = "w15001"
	want, err = ask[int](ctx, h, `SELECT count(*) FROM message WHERE text LIKE '%'||$1||'%'`, rare)
	if err != nil {
		return 0, 0, err
	}
	for cursor, until := "", time.Now().Add(time.Minute); time.Now().Before(until); {
		var page struct {
			Messages struct {
				Items      []struct{} `json:"items"`
				NextCursor *string    `json:"next_cursor"`
			} `json:"messages"`
		}
		v := url.Values{"q": {rare}, "kinds": {"messages"}, "limit": {"50"}, "cursor": {cursor}}
		if err := h.Admin.Get(ctx, "/api/search?"+v.Encode(), &page); err != nil {
			return found, want, err
		}
		found += len(page.Messages.Items)
		if page.Messages.NextCursor == nil {
			break
		}
		cursor = *page.Messages.NextCursor
	}
	return found, want, nil
}
