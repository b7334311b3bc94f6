package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	// indexLock ("srch") lets one transaction at a time write the index: whoever erases or moves messages must not be
	// overtaken by somebody who has read them before.
	indexLock int64 = 0x73726368
	// searchPace: what was said can be found so much later at most, and a busy second costs five commits
	searchPace = 200 * time.Millisecond
	// fillChunk messages take well below 200 ms, so that the spine's horizon is not held up.
	fillChunk = 400
	// fillRest between chunks leaves the machine to those who work.
	fillRest = 5 * time.Millisecond
	fillHour = time.Hour
)

const (
	lockIndexSQL = `SELECT pg_advisory_xact_lock($1)`

	// what a message is found by; system lines are not
	searchableColumns = `m.at, m.id, m.conversation_id, m.kind IN ('message', 'note', 'call') AND m.deleted_at IS NULL,
	m.author_kind, coalesce(m.author_id, 0), coalesce(m.identity_id, 0), m.subject, m.text, m.html ~* '<a ',
	ARRAY(SELECT f.kind FROM attachment f WHERE f.message_id = m.id ORDER BY f.position, f.id),
	ARRAY(SELECT f.name FROM attachment f WHERE f.message_id = m.id ORDER BY f.position, f.id)`

	readSearchableSQL = `SELECT ` + searchableColumns + `
FROM unnest($1::timestamptz[], $2::uuid[]) k (at, id) JOIN message m ON m.at = k.at AND m.id = k.id`

	readOlderSQL = `SELECT ` + searchableColumns + ` FROM message m
WHERE m.at <= $1 AND (m.at, m.id) < ($1, $2) ORDER BY m.at DESC, m.id DESC LIMIT $3`

	indexMessagesSQL = `INSERT INTO message_search AS s (at, message_id, conversation_id, words, files)
SELECT n.at, n.id, n.conversation_id, n.words::tsvector, n.files
FROM unnest($1::timestamptz[], $2::uuid[], $3::bigint[], $4::text[], $5::text[]) n (at, id, conversation_id, words, files)
ON CONFLICT (at, message_id) DO UPDATE SET conversation_id = excluded.conversation_id, words = excluded.words, files = excluded.files
WHERE (s.conversation_id, s.words, s.files) IS DISTINCT FROM (excluded.conversation_id, excluded.words, excluded.files)`

	unindexMessagesSQL = `DELETE FROM message_search s USING unnest($1::timestamptz[], $2::uuid[]) k (at, id)
WHERE s.at = k.at AND s.message_id = k.id`

	// of the erased; the messages themselves are there, empty
	eraseSearchSQL = `DELETE FROM message_search s USING message m
WHERE m.conversation_id = ANY ($1::bigint[]) AND s.at = m.at AND s.message_id = m.id`

	// after messages went to another conversation
	moveSearchSQL = `UPDATE message_search s SET conversation_id = m.conversation_id FROM message m
WHERE m.conversation_id = $1 AND s.at = m.at AND s.message_id = m.id AND s.conversation_id <> m.conversation_id`

	fillPlaceSQL = `SELECT at, message_id FROM search_fill WHERE done_at IS NULL`
	fillMoveSQL  = `UPDATE search_fill SET at = $1, message_id = $2, done_at = CASE WHEN $3 THEN now() END`
)

// SearchFollower keeps the index of words beside the messages. It reads each message as it is now, so that edits and
// deletions that follow each other end in the same row whatever came between.
func SearchFollower() events.Follower {
	return events.Follower{Name: "search", Kinds: []string{"message."}, FromStart: true, Pace: searchPace, Handle: indexEvents}
}

func indexEvents(ctx context.Context, tx pgx.Tx, evs []events.Event) error {
	keys := make([]MessageKey, 0, len(evs))
	seen := map[MessageKey]bool{}
	for i := range evs {
		if evs[i].SubjectKind != "message" {
			continue
		}
		var it struct {
			At time.Time `json:"at"`
		}
		id, err := uuid.Parse(evs[i].SubjectID)
		if err == nil {
			err = json.Unmarshal(evs[i].Raw, &it)
		}
		if err != nil {
			return fmt.Errorf("read event of message %s: %w", evs[i].SubjectID, err)
		}
		k := MessageKey{At: it.At.UTC(), ID: id}
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := lockIndex(ctx, tx); err != nil {
		return err
	}
	at, id := splitKeys(keys)
	rows, err := tx.Query(ctx, readSearchableSQL, at, id)
	if err != nil {
		return fmt.Errorf("read messages for the search: %w", err)
	}
	_, err = indexRows(ctx, tx, rows)
	return err
}

func lockIndex(ctx context.Context, tx postgres.DB) error {
	if _, err := tx.Exec(ctx, lockIndexSQL, indexLock); err != nil {
		return fmt.Errorf("lock the search: %w", err)
	}
	return nil
}

// searchable is what a message is found by.
type searchable struct {
	key           MessageKey
	conversation  int64
	shown         bool
	authorKind    string
	agent         int64
	identity      int64
	subject, text string
	link          bool
	kinds, names  []string
}

func scanSearchable(row pgx.CollectableRow) (searchable, error) {
	var m searchable
	err := row.Scan(&m.key.At, &m.key.ID, &m.conversation, &m.shown, &m.authorKind, &m.agent, &m.identity, &m.subject, &m.text, &m.link, &m.kinds, &m.names)
	return m, err
}

// indexRows writes what rows hold and returns the last of them, zero when there was none.
func indexRows(ctx context.Context, tx pgx.Tx, rows pgx.Rows) (last MessageKey, err error) {
	list, err := pgx.CollectRows(rows, scanSearchable)
	if err != nil {
		return last, fmt.Errorf("read messages for the search: %w", err)
	}
	if len(list) == 0 {
		return last, nil
	}
	last = list[len(list)-1].key
	// in the order of the table's key, so that the tree is filled page by page
	slices.SortFunc(list, func(a, b searchable) int { return a.key.At.Compare(b.key.At) })
	var at, goneAt []time.Time
	var id, gone []uuid.UUID
	var conversations []int64
	var vectors, files []string
	for i := range list {
		m := &list[i]
		if !m.shown {
			goneAt, gone = append(goneAt, m.key.At), append(gone, m.key.ID)
			continue
		}
		at, id, conversations = append(at, m.key.At), append(id, m.key.ID), append(conversations, m.conversation)
		vectors, files = append(vectors, m.vector()), append(files, m.files())
	}
	b := &pgx.Batch{}
	if len(id) > 0 {
		b.Queue(indexMessagesSQL, at, id, conversations, vectors, files)
	}
	if len(gone) > 0 {
		b.Queue(unindexMessagesSQL, goneAt, gone)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return last, fmt.Errorf("write the search: %w", err)
	}
	return last, nil
}

// vector is the tsvector in writing. Its words hold letters and digits only, so that nothing needs to be escaped.
func (m *searchable) vector() string {
	places := map[string][]byte{}
	var order []string
	put := func(w string, place int) {
		if _, ok := places[w]; !ok {
			order = append(order, w)
			places[w] = nil
		}
		if place > 0 {
			if len(places[w]) > 0 {
				places[w] = append(places[w], ',')
			}
			places[w] = strconv.AppendInt(places[w], int64(place), 10)
		}
	}
	for w := range words(m.subject + "\n" + m.text) {
		put(w.text, w.place)
	}
	for _, mark := range m.marks() {
		put(mark, 0)
	}
	var b strings.Builder
	for i, w := range order {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('\'')
		b.WriteString(w)
		b.WriteByte('\'')
		if p := places[w]; len(p) > 0 {
			b.WriteByte(':')
			b.Write(p)
		}
	}
	return b.String()
}

// marks are what filters ask for. No text can hold one: a colon is in no word.
func (m *searchable) marks() []string {
	var out []string
	switch {
	case m.authorKind == "contact" && m.identity != 0:
		out = append(out, markOfIdentity(m.identity))
	case m.authorKind == "agent" && m.agent != 0:
		out = append(out, markOfAgent(m.agent))
	}
	if m.link || strings.Contains(m.text, "http://") || strings.Contains(m.text, "https://") || strings.Contains(m.text, "www.") {
		out = append(out, "has:link")
	}
	for _, kind := range m.kinds {
		switch kind {
		case "photo", "voice", "video":
			out = append(out, "has:"+kind)
		}
		if kind != "sticker" {
			out = append(out, "has:file")
		}
	}
	return out
}

func markOfIdentity(id int64) string { return "by:i" + strconv.FormatInt(id, 10) }
func markOfAgent(id int64) string    { return "by:a" + strconv.FormatInt(id, 10) }

func (m *searchable) files() string {
	var out []string
	for _, name := range m.names {
		if name != "" {
			out = append(out, folded(strings.ReplaceAll(name, "\n", " ")))
		}
	}
	return strings.Join(out, "\n")
}

type searchFill struct{}

func (searchFill) Kind() string { return "search_fill" }

// SearchWorkers put the messages into the index that were there before it, newest first, in small steps; once that is
// done they have nothing to do.
func SearchWorkers(pool *pgxpool.Pool, log *slog.Logger) []jobs.Worker {
	return []jobs.Worker{jobs.Every(fillHour, searchFill{}, func(ctx context.Context) error { return FillSearch(ctx, pool, log) })}
}

// FillSearch does the work of SearchWorkers until everything is in. It may be stopped anywhere and goes on from there.
func FillSearch(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) error {
	for n := 0; ; n += fillChunk {
		done, err := fillSome(ctx, pool)
		if err != nil {
			return fmt.Errorf("fill the search: %w", err)
		}
		if done {
			if n > 0 {
				log.InfoContext(ctx, "earlier messages can be searched", "component", "search", "about", n)
			}
			return nil
		}
		pause(ctx, fillRest)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func fillSome(ctx context.Context, pool *pgxpool.Pool) (done bool, err error) {
	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		done = false
		if err := lockIndex(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, fillPlaceSQL)
		if err != nil {
			return err
		}
		places, err := pgx.CollectRows(rows, pgx.RowToStructByPos[MessageKey])
		if err != nil {
			return err
		}
		if len(places) == 0 {
			done = true
			return nil
		}
		rows, err = tx.Query(ctx, readOlderSQL, places[0].At, places[0].ID, fillChunk)
		if err != nil {
			return err
		}
		last, err := indexRows(ctx, tx, rows)
		if err != nil {
			return err
		}
		over := last == MessageKey{}
		if over {
			last = places[0]
		}
		_, err = tx.Exec(ctx, fillMoveSQL, last.At, last.ID, over)
		return err
	})
	return done, err
}
