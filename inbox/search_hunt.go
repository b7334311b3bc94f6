package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A hunt looks for the newest hits. Two ways lead there and each is hopeless where the other one shines: walking from the
// newest message backwards meets a common word at once and a rare one never; an index of words gives a rare word at once,
// and of a common one hundreds of thousands of places that must all be looked at before the newest is known. The planner
// bets on the wrong one (it knows nothing of a word's frequency in the newest month, nor of who may see what), so the
// statements leave it no choice, and the choice is made from what a short walk has met.
const (
	// the walk's steps, in rows of the index: a common word needs few, and each hit among them costs a look at who may
	// see it
	firstStep = 400
	nextStep  = 4000
	laterStep = 16_000
	// walking one row costs about a quarter of fetching one hit out of the index's order
	hitCost = 4
	// more hits in one month are not fetched; so common a word is soon met by walking there
	mostHits = 20_000
	// monthsKept is how long the list of months is believed
	monthsKept = time.Minute
)

const (
	// $1-$3 are who's; $4 the words, $5 the files' names, $6 channels, $7 teams, $8 $9 the place to begin before, $10 the
	// oldest time, $11 how many hits. $month stands for the table, $only for a part of it.
	huntSQL = `, v AS MATERIALIZED (SELECT h.at, h.message_id FROM h JOIN conversation c ON c.id = h.conversation_id WHERE ` + visibleSQL + `
	AND ($6::bigint[] IS NULL OR c.channel_id = ANY ($6)) AND ($7::bigint[] IS NULL OR c.team_id = ANY ($7))
	ORDER BY h.at DESC, h.message_id DESC LIMIT $11)
SELECT (SELECT count(*) FROM h), ARRAY(SELECT v.at FROM v ORDER BY v.at DESC, v.message_id DESC),
	ARRAY(SELECT v.message_id FROM v ORDER BY v.at DESC, v.message_id DESC)`

	// $5 is only cast here; $like asks for each of its patterns by itself, for no index knows LIKE ALL
	matchSQL = `($4 = '' OR words @@ $4::tsquery) AND $5::text[] IS NOT NULL $like`

	// the walk: rows first, condition then
	walkSQL = `WITH w AS MATERIALIZED (SELECT at, message_id, conversation_id, words, files FROM message_search
	WHERE $only at <= $8 AND (at, message_id) < ($8, $9::uuid) AND at >= $10 ORDER BY at DESC, message_id DESC LIMIT $step),
h AS MATERIALIZED (SELECT at, message_id, conversation_id FROM w WHERE ` + matchSQL + `)` + huntSQL + `,
	(SELECT count(*) FROM w), (SELECT min(at) FROM w), (SELECT w.message_id FROM w ORDER BY w.at, w.message_id LIMIT 1)`

	// the index: condition first. What bounds the time is hidden from the planner, which would walk it
	pickSQL = `WITH h AS MATERIALIZED (SELECT at, message_id, conversation_id FROM $month
	WHERE $only ` + matchSQL + ` AND (at + interval '0', message_id) < ($8, $9::uuid) AND at + interval '0' >= $10 LIMIT $most)` + huntSQL

	// a row takes some 300 bytes; the statistics of a month that fills up lag behind
	monthsSQL = `SELECT c.relname, greatest(c.reltuples, pg_relation_size(c.oid) / 600)::bigint, b.from IS NULL, coalesce(b.from, '0001-01-01')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	CROSS JOIN LATERAL (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']+)''\)')::timestamptz) b ("from")
WHERE i.inhparent = 'message_search'::regclass ORDER BY 4 DESC`
)

// month is one partition of the index.
type month struct {
	table string
	rows  int64
	first bool // it has no lower bound
	from  time.Time
}

// hunt is one search of the index of messages, for words or for names of files.
type hunt struct {
	s        *search
	words    string // tsquery, "" = any
	patterns []string
	files    bool // only messages that have files with names
	indexed  bool // words or patterns hold something that an index knows
	lo       time.Time

	at      spot // what is newer was looked at
	found   []MessageKey
	walked  int64
	hits    int64 // met by the walk, seen by the caller or not
	partial bool
	over    bool // nothing older is left
}

// run fills found with up to need keys.
func (h *hunt) run(ctx context.Context, f *Finder, need int) error {
	err := h.search(ctx, f, need)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "57014" && len(h.found) > 0 {
		h.partial = true // the statement's time was up, but there is something to show
		return nil
	}
	return err
}

func (h *hunt) search(ctx context.Context, f *Finder, need int) error {
	months, err := f.monthsOf(ctx)
	if err != nil {
		return err
	}
	for step := firstStep; ; step = longer(step) {
		if err := h.walk(ctx, f, step, need-len(h.found)); err != nil || h.over || len(h.found) >= need {
			return err
		}
		if h.indexed && h.pickIsCheaper(months, need) {
			return h.pick(ctx, f, months, need)
		}
		if time.Now().After(h.s.until) {
			h.partial = true
			return nil
		}
	}
}

func longer(step int) int {
	if step == firstStep {
		return nextStep
	}
	return laterStep
}

// pickIsCheaper compares what the rest would cost either way, in rows walked, by what the walk has met so far.
func (h *hunt) pickIsCheaper(months []month, need int) bool {
	var rows int64
	for _, m := range months {
		rows = max(rows, m.rows)
	}
	hits := rows * h.hits / max(1, h.walked)
	if hits > mostHits {
		return false
	}
	if len(h.found) == 0 {
		return true
	}
	walk := int64(need-len(h.found)) * h.walked / int64(len(h.found))
	return hits*hitCost < walk
}

func (h *hunt) args(more int) []any {
	patterns := h.patterns
	if patterns == nil {
		patterns = []string{}
	}
	return who(h.s.a, h.words, patterns, h.s.channels, h.s.teams, h.at.at, h.at.id, h.lo, more)
}

// sql fills in what is no value. There are as many statements as a question may have words.
func (h *hunt) sql(sql string, more ...string) string {
	only, like := "", strings.Builder{}
	if h.files {
		only = "files <> '' AND"
	}
	for i := range h.patterns {
		fmt.Fprintf(&like, " AND files LIKE ($5::text[])[%d]", i+1)
	}
	return strings.NewReplacer(append(more, "$only", only, "$like", like.String())...).Replace(sql)
}

func (h *hunt) walk(ctx context.Context, f *Finder, step, more int) error {
	sql := h.sql(walkSQL, "$step", strconv.Itoa(step))
	var hits, walked int64
	var at []time.Time
	var id []uuid.UUID
	var lastAt *time.Time
	var lastID *uuid.UUID
	err := f.pool.QueryRow(ctx, sql, h.args(more)...).Scan(&hits, &at, &id, &walked, &lastAt, &lastID)
	if err != nil {
		return fmt.Errorf("search messages: %w", err)
	}
	h.take(at, id)
	h.hits, h.walked = h.hits+hits, h.walked+walked
	if walked < int64(step) {
		h.over = true
		return nil
	}
	h.at = spot{lastAt.UTC(), *lastID}
	return nil
}

// pick goes through the months' indexes, newest first.
func (h *hunt) pick(ctx context.Context, f *Finder, months []month, need int) error {
	for i, m := range months {
		if i > 0 && !months[i-1].from.After(h.lo) {
			break // all of this one is too old
		}
		if m.from.After(h.at.at) {
			continue
		}
		if err := h.pickMonth(ctx, f, m, need); err != nil || h.over || h.partial || len(h.found) >= need {
			return err
		}
	}
	h.over = true
	return nil
}

func (h *hunt) pickMonth(ctx context.Context, f *Finder, m month, need int) error {
	sql := h.sql(pickSQL, "$month", pgx.Identifier{m.table}.Sanitize(), "$most", strconv.Itoa(mostHits+1))
	var hits int64
	var at []time.Time
	var id []uuid.UUID
	if err := f.pool.QueryRow(ctx, sql, h.args(need-len(h.found))...).Scan(&hits, &at, &id); err != nil {
		return fmt.Errorf("search messages: %w", err)
	}
	if hits <= mostHits {
		h.take(at, id)
		if len(h.found) < need && !m.first {
			h.at = spot{m.from, uuid.Nil}
			h.partial = time.Now().After(h.s.until)
		}
		return nil
	}
	// too many, and perhaps not the newest of them
	for h.at.at.After(m.from) || m.first {
		if err := h.walk(ctx, f, laterStep, need-len(h.found)); err != nil || h.over || len(h.found) >= need {
			return err
		}
		if time.Now().After(h.s.until) {
			h.partial = true
			return nil
		}
	}
	return nil
}

func (h *hunt) take(at []time.Time, id []uuid.UUID) {
	for i := range id {
		h.found = append(h.found, MessageKey{At: at[i].UTC(), ID: id[i]})
	}
}

// page cuts what was found to the limit and makes the cursor of the rest, nil when there is none.
func (h *hunt) page(limit int) (keys []MessageKey, next *string) {
	if len(h.found) > limit {
		last := h.found[limit-1]
		c := spot{last.At, last.ID}.String()
		h.partial = false
		return h.found[:limit], &c
	}
	if h.partial {
		c := h.at.String()
		return h.found, &c
	}
	return h.found, nil
}

// monthsOf lists the partitions of the index; new ones are made once a month, days ahead.
func (f *Finder) monthsOf(ctx context.Context) ([]month, error) {
	f.mu.Lock()
	list, age := f.months, time.Since(f.readAt)
	f.mu.Unlock()
	if len(list) > 0 && age < monthsKept {
		return list, nil
	}
	rows, err := f.pool.Query(ctx, monthsSQL)
	if err != nil {
		return nil, fmt.Errorf("list the months of the search: %w", err)
	}
	list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (month, error) {
		var m month
		err := row.Scan(&m.table, &m.rows, &m.first, &m.from)
		m.from = m.from.UTC()
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the months of the search: %w", err)
	}
	list = slices.DeleteFunc(list, func(m month) bool { return m.rows == 0 && m.from.After(time.Now().AddDate(0, 0, 1)) })
	f.mu.Lock()
	f.months, f.readAt = list, time.Now()
	f.mu.Unlock()
	return list, nil
}
