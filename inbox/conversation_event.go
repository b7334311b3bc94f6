package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

// A system line is put at the statement's own time, not the transaction's: of two changes that waited for each other
// the later one must stand below.
const addLinesSQL = `INSERT INTO message (at, id, conversation_id, kind, content, direction, author_kind, author_id, text, data, status)
SELECT clock_timestamp(), k.id, $1, 'event', 'event', 'out', $2, $3, k.text, k.data, 'sent'
FROM unnest($4::uuid[], $5::text[], $6::jsonb[]) WITH ORDINALITY k (id, text, data, no) ORDER BY k.no
RETURNING at, id`

// line is something that happened to a conversation, as its timeline shows it. The screen words it from the data; text
// is the English fallback.
type line struct {
	event string // assigned, unassigned, status, team, priority, tags ...
	text  string
	from  any
	to    any
	more  map[string]any
}

func (l line) data(by int64) ([]byte, error) {
	m := map[string]any{"event": l.event, "from": l.from, "to": l.to, "by": nil}
	if by != 0 {
		m["by"] = idPtr(by)
	}
	for k, v := range l.more {
		m[k] = v
	}
	return json.Marshal(m)
}

// addLines writes system lines into a conversation's timeline; agent 0 = the system itself. They count as no message and
// move no conversation up.
func addLines(ctx context.Context, db postgres.DB, conversation, agent int64, lines []line) ([]MessageKey, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	var keys []uuid.UUID
	var texts []string
	var data [][]byte
	for _, l := range lines {
		b, err := l.data(agent)
		if err != nil {
			return nil, fmt.Errorf("encode line %s: %w", l.event, err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make message id: %w", err)
		}
		keys, texts, data = append(keys, id), append(texts, l.text), append(data, b)
	}
	kind, author := "system", (*int64)(nil)
	if agent != 0 {
		kind, author = "agent", &agent
	}
	rows, err := db.Query(ctx, addLinesSQL, conversation, kind, author, keys, texts, data)
	if err != nil {
		return nil, fmt.Errorf("add lines to conversation %d: %w", conversation, err)
	}
	out := make([]MessageKey, 0, len(keys))
	var at time.Time
	var id uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&at, &id}, func() error {
		out = append(out, MessageKey{At: at, ID: id})
		return nil
	}); err != nil {
		return nil, fmt.Errorf("add lines to conversation %d: %w", conversation, err)
	}
	return out, nil
}
