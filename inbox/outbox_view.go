package inbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// Trouble is a message that waits, failed or may not have arrived, with its conversation.
type Trouble struct {
	Item         Item         `json:"item"`
	Conversation Conversation `json:"conversation"`
}

const troubleSQL = `
SELECT o.message_at, o.message_id, o.seq FROM outbox o JOIN conversation c ON c.id = o.conversation_id
WHERE o.state = $4 AND o.op = 'send' AND ($5::bigint = 0 OR o.seq < $5) AND ` + visibleSQL + ` ORDER BY o.seq DESC LIMIT $6`

// Outbox lists what is in that state among the conversations that the caller sees, the newest first. before is the key
// of the last row of the page before, 0 for the first; next is 0 at the end.
func (d *Desk) Outbox(ctx context.Context, a staff.Access, state string, before int64, limit int) (out []Trouble, next int64, err error) {
	switch state {
	case "queued", "failed", "uncertain":
	default:
		return nil, 0, errs.Field("state", "must be queued, failed or uncertain")
	}
	rows, err := d.pool.Query(ctx, troubleSQL, who(a, state, before, limit+1)...)
	if err != nil {
		return nil, 0, fmt.Errorf("read outbox: %w", err)
	}
	var keys []MessageKey
	var k MessageKey
	var seq int64
	_, err = pgx.ForEachRow(rows, []any{&k.At, &k.ID, &seq}, func() error {
		if len(keys) < limit {
			keys, before = append(keys, k), seq
		} else {
			next = before
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read outbox: %w", err)
	}
	items, err := loadItems(ctx, d.pool, keys)
	if err != nil {
		return nil, 0, err
	}
	var convs []int64
	for _, it := range items {
		convs = append(convs, int64(it.ConversationID))
	}
	byID, err := loadConversations(ctx, d.pool, convs)
	if err != nil {
		return nil, 0, err
	}
	out = []Trouble{}
	for _, it := range items {
		out = append(out, Trouble{it, byID[int64(it.ConversationID)]})
	}
	return out, next, nil
}
