package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

const (
	getMessageSQL = `SELECT m.at FROM message m JOIN conversation c ON c.id = m.conversation_id
WHERE m.id = $5 AND c.id = $4 AND ` + visibleSQL

	listRevisionsSQL = `SELECT no, at, text, html FROM message_revision WHERE message_at = $1 AND message_id = $2 ORDER BY no`

	getRawSQL = `SELECT raw FROM message_raw WHERE message_at = $1 AND message_id = $2`
)

// Revision is what a message said before an edit.
type Revision struct {
	No   int       `json:"no"`
	At   time.Time `json:"at"`
	Text string    `json:"text"`
	HTML string    `json:"html"`
}

// findMessage leads to a message of a conversation that the caller sees.
func (d *Desk) findMessage(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) (MessageKey, error) {
	k := MessageKey{ID: message}
	err := d.pool.QueryRow(ctx, getMessageSQL, who(a, int64(conversation), message)...).Scan(&k.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return k, noMessage()
	}
	if err != nil {
		return k, fmt.Errorf("find message %s: %w", message, err)
	}
	return k, nil
}

// Message returns one item with its whole text.
func (d *Desk) Message(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) (Item, error) {
	k, err := d.findMessage(ctx, a, conversation, message)
	if err != nil {
		return Item{}, err
	}
	items, err := loadItems(ctx, d.pool, []MessageKey{k})
	if err != nil {
		return Item{}, err
	}
	if len(items) == 0 {
		return Item{}, noMessage()
	}
	return items[0], nil
}

// Revisions lists what a message said before, oldest first.
func (d *Desk) Revisions(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) ([]Revision, error) {
	k, err := d.findMessage(ctx, a, conversation, message)
	if err != nil {
		return nil, err
	}
	rows, err := d.pool.Query(ctx, listRevisionsSQL, k.At, k.ID)
	if err != nil {
		return nil, fmt.Errorf("revisions of message %s: %w", message, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Revision])
	if err != nil {
		return nil, fmt.Errorf("revisions of message %s: %w", message, err)
	}
	for i := range list {
		list[i].At = list[i].At.UTC()
	}
	return orEmpty(list), nil
}

// Raw returns the provider's bytes of a message as they came.
func (d *Desk) Raw(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) ([]byte, error) {
	k, err := d.findMessage(ctx, a, conversation, message)
	if err != nil {
		return nil, err
	}
	var raw []byte
	err = d.pool.QueryRow(ctx, getRawSQL, k.At, k.ID).Scan(&raw)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errs.New(errs.NotFound, "The channel's own form of this message was not kept.")
	}
	if err != nil {
		return nil, fmt.Errorf("raw of message %s: %w", message, err)
	}
	return raw, nil
}
