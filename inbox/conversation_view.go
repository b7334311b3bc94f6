package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// What a row of the list shows: conversation c, its contact p, its channel h, and the caller's read marker r.
const (
	conversationViewColumns = `c.id, c.number, c.version, c.status, c.priority, c.contact_id, p.name, c.channel_id, h.kind,
	c.assignee_id, c.team_id, c.tags, c.in_count, c.waiting_since, c.snoozed_until, c.subject, c.last_at, c.last_text,
	c.last_kind, c.last_direction, c.message_count, c.created_at, c.closed_at`

	loadConversationsSQL = `SELECT ` + conversationViewColumns + `, 0
FROM conversation c JOIN contact p ON p.id = c.contact_id JOIN channel h ON h.id = c.channel_id
WHERE c.id = ANY ($1::bigint[])`

	getConversationSQL = `SELECT ` + conversationViewColumns + `, coalesce(r.in_no, 0)
FROM conversation c JOIN contact p ON p.id = c.contact_id JOIN channel h ON h.id = c.channel_id
	LEFT JOIN read_marker r ON r.agent_id = $2 AND r.conversation_id = c.id
WHERE c.id = $4 AND ` + visibleSQL

	contactConversationsSQL = `SELECT ` + conversationViewColumns + `, coalesce(r.in_no, 0)
FROM conversation c JOIN contact p ON p.id = c.contact_id JOIN channel h ON h.id = c.channel_id
	LEFT JOIN read_marker r ON r.agent_id = $2 AND r.conversation_id = c.id
WHERE c.contact_id = $4 AND ` + visibleSQL + `
ORDER BY c.last_at DESC, c.id DESC LIMIT $5`
)

// scanConversation reads conversationViewColumns and the read marker's in_no (0 where it is nobody's view).
func scanConversation(row pgx.CollectableRow) (Conversation, error) {
	var c Conversation
	err := row.Scan(&c.ID, &c.Number, &c.Version, &c.Status, &c.Priority, &c.Contact.ID, &c.Contact.Name, &c.ChannelID,
		&c.ChannelKind, &c.AssigneeID, &c.TeamID, &c.Tags, &c.InCount, &c.WaitingSince, &c.SnoozedUntil, &c.Subject,
		&c.LastAt, &c.LastText, &c.LastKind, &c.LastDirection, &c.MessageCount, &c.CreatedAt, &c.ClosedAt, &c.ReadInNo)
	if err != nil {
		return c, err
	}
	c.Unread = max(0, c.InCount-c.ReadInNo)
	c.LastAt, c.CreatedAt = c.LastAt.UTC(), c.CreatedAt.UTC()
	utc(c.WaitingSince, c.SnoozedUntil, c.ClosedAt)
	return c, nil
}

// utc turns times to UTC in place: pgx gives them in the machine's zone, the edge speaks UTC only.
func utc(times ...*time.Time) {
	for _, t := range times {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// loadConversations reads whole rows in the form of events: nobody's unread. Ids that do not exist are left out.
func loadConversations(ctx context.Context, db postgres.DB, keys []int64) (map[int64]Conversation, error) {
	out := make(map[int64]Conversation, len(keys))
	if len(keys) == 0 {
		return out, nil
	}
	rows, err := db.Query(ctx, loadConversationsSQL, keys)
	if err != nil {
		return nil, fmt.Errorf("load conversations: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanConversation)
	if err != nil {
		return nil, fmt.Errorf("load conversations: %w", err)
	}
	for _, c := range list {
		c.Unread, c.ReadInNo = 0, 0
		out[int64(c.ID)] = c
	}
	return out, nil
}

// Conversation returns one conversation as the caller sees it.
func (d *Desk) Conversation(ctx context.Context, a staff.Access, id ids.ID) (Conversation, error) {
	return getConversation(ctx, d.pool, a, id)
}

func getConversation(ctx context.Context, db postgres.DB, a staff.Access, id ids.ID) (Conversation, error) {
	rows, err := db.Query(ctx, getConversationSQL, who(a, int64(id))...)
	if err != nil {
		return Conversation{}, fmt.Errorf("get conversation %s: %w", id, err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanConversation)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, noConversation()
	}
	if err != nil {
		return c, fmt.Errorf("get conversation %s: %w", id, err)
	}
	return c, nil
}

// ContactConversations returns the newest conversations of one contact that the caller may see, whatever their status.
func (d *Desk) ContactConversations(ctx context.Context, a staff.Access, contact ids.ID, limit int) ([]Conversation, error) {
	rows, err := d.pool.Query(ctx, contactConversationsSQL, who(a, int64(contact), limit)...)
	if err != nil {
		return nil, fmt.Errorf("list conversations of contact %s: %w", contact, err)
	}
	list, err := pgx.CollectRows(rows, scanConversation)
	if err != nil {
		return nil, fmt.Errorf("list conversations of contact %s: %w", contact, err)
	}
	return list, nil
}
