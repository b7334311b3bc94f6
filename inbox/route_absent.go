package inbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	heldSQL = `
SELECT c.id, c.assignee_id, c.team_id, t.offline_grace_s FROM conversation c JOIN team t ON t.id = c.team_id
WHERE c.assignee_id = ANY ($1::bigint[]) AND c.status = 'open' AND c.waiting_since IS NOT NULL ORDER BY c.id LIMIT 500`
	holdersSQL = `SELECT DISTINCT assignee_id FROM conversation WHERE assignee_id IS NOT NULL AND status = 'open' AND waiting_since IS NOT NULL AND team_id IS NOT NULL`
	returnSQL  = `
UPDATE conversation SET assignee_id = NULL, queued_at = coalesce(waiting_since, now()), version = version + 1
WHERE id = $1 AND assignee_id = $2 AND status = 'open' AND waiting_since IS NOT NULL`
	clockSQL = `SELECT now()`
)

// takeBack returns to the queue what customers wait for and somebody holds who has gone: signed off, disabled, absent,
// or without a heartbeat, for longer than the team's grace. Who is busy or away keeps what he has.
func (r *Router) takeBack(ctx context.Context) error {
	rows, err := r.pool.Query(ctx, holdersSQL)
	if err != nil {
		return fmt.Errorf("read holders: %w", err)
	}
	holders, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(holders) == 0 {
		return err
	}
	people, err := staff.DutyOf(ctx, r.pool, ids.From(holders))
	if err != nil {
		return err
	}
	var now time.Time
	if err := r.pool.QueryRow(ctx, clockSQL).Scan(&now); err != nil {
		return err
	}
	gone := map[int64]time.Time{} // agent -> since when
	var agents []int64
	for _, p := range people {
		if since, ok := goneSince(p); ok {
			gone[int64(p.ID)] = since
			agents = append(agents, int64(p.ID))
		}
	}
	if len(agents) == 0 {
		return nil
	}
	type held struct {
		ID, Agent, Team int64
		Grace           int
	}
	if rows, err = r.pool.Query(ctx, heldSQL, agents); err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[held])
	if err != nil {
		return err
	}
	returned := 0
	for _, h := range list {
		if now.Sub(gone[h.Agent]) < time.Duration(h.Grace)*time.Second {
			continue
		}
		err := postgres.InTx(ctx, r.pool, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, returnSQL, h.ID, h.Agent)
			if err != nil || tag.RowsAffected() == 0 {
				return err
			}
			returned++
			return tellRouted(ctx, tx, h.ID, h.Team, h.Agent, line{event: "unassigned", text: "Back in the queue", from: ids.Ptr(ids.ID(h.Agent)), more: map[string]any{"why": "offline"}})
		})
		if err != nil {
			return fmt.Errorf("return conversation %d: %w", h.ID, err)
		}
	}
	if returned > 0 {
		r.Returned.Add(int64(returned))
		events.Wake(r.bus)
	}
	return nil
}

// goneSince tells since when somebody cannot be reached; hours that ended do not count, the shift may run over.
func goneSince(p staff.DutyAgent) (time.Time, bool) {
	switch {
	case p.Why == "disabled" || p.Why == "absent":
		return time.Time{}, true
	case p.Status == staff.Off && p.Why != "":
		return p.Since, true
	case p.Why == "heartbeat" || p.HeartbeatAt.Before(p.Since.Add(-staff.HeartbeatStale)):
		return p.HeartbeatAt, true
	}
	return time.Time{}, false
}

// autoReply answers once per conversation, in the words of the team's settings, when nobody is on duty.
func autoReply(ctx context.Context, tx pgx.Tx, c queuedRow, text string) error {
	key := MessageKey{ID: newMessageID()}
	err := tx.QueryRow(ctx, `
INSERT INTO message (at, id, conversation_id, kind, content, direction, author_kind, text, data, status, in_no)
SELECT clock_timestamp(), $1, id, 'message', 'text', 'out', 'system', $3, '{"event": "auto_reply"}', 'queued', in_count FROM conversation WHERE id = $2
RETURNING at`, key.ID, c.ID, text).Scan(&key.At)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertOutboxSQL, key.ID, c.Channel, c.ID, key.At, key.ID, "send", "{}", nil, 0); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
UPDATE conversation SET auto_replied_at = now(), version = version + 1, message_count = message_count + 1, last_at = $2, last_text = $3,
    last_kind = 'message', last_direction = 'out' WHERE id = $1`, c.ID, key.At, preview(text)); err != nil {
		return err
	}
	items, err := loadItems(ctx, tx, []MessageKey{key})
	if err != nil {
		return err
	}
	convs, err := loadConversations(ctx, tx, []int64{c.ID})
	if err != nil {
		return err
	}
	conv := convs[c.ID]
	return events.Append(ctx, tx,
		conversationEvent(EventConversationUpdated, systemActor, conv, idOf(conv.TeamID), 0),
		itemEvent(EventMessageCreated, systemActor, items[0], conv))
}
