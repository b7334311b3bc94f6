package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

// MergeFollower moves conversations with their contact when crm merges people, and back.
type MergeFollower struct{}

var _ crm.Follower = MergeFollower{}

// Room names the follower in the record of moves.
func (MergeFollower) Room() string { return "inbox" }

const (
	// of two open conversations of one channel the younger is closed as merged into the older
	lockMergedSQL = `
SELECT id, channel_id, contact_id, status <> 'closed' AND thread_key IS NULL AS open FROM conversation
WHERE contact_id IN ($1, $2) ORDER BY id FOR UPDATE`
	moveConversationsSQL = `
WITH o AS MATERIALIZED (SELECT * FROM conversation WHERE contact_id = $1 ORDER BY id FOR UPDATE)
UPDATE conversation c SET contact_id = $2, version = c.version + 1 FROM o WHERE c.id = o.id
RETURNING c.id::text, jsonb_build_object('contact_id', o.contact_id)`
	closeMergedSQL = `
WITH o AS MATERIALIZED (SELECT * FROM conversation WHERE id = $1 FOR UPDATE)
UPDATE conversation c SET status = 'closed', closed_at = now(), merged_into = $2, snoozed_until = NULL, queued_at = NULL, waiting_since = NULL,
    version = c.version + 1
FROM o WHERE c.id = o.id
RETURNING c.id::text, jsonb_build_object('status', o.status, 'snoozed_until', o.snoozed_until, 'queued_at', o.queued_at, 'waiting_since', o.waiting_since, 'into', $2::bigint)`
	// where an answer goes changes with every message, after a merge perhaps to the other one's address
	addressSQL = `
SELECT id::text, jsonb_build_object('identity_id', identity_id, 'chat', chat, 'chat_data', chat_data) FROM conversation
WHERE contact_id IN ($1, $2) AND status <> 'closed' ORDER BY id`
	undoMoveSQL  = `UPDATE conversation SET contact_id = $2, version = version + 1 WHERE id = $1 AND contact_id <> $2`
	undoCloseSQL = `
UPDATE conversation c SET status = b.status, closed_at = NULL, merged_into = NULL, snoozed_until = b.snoozed_until, queued_at = b.queued_at,
    waiting_since = b.waiting_since, version = c.version + 1
FROM jsonb_to_record($2::jsonb) AS b (status text, snoozed_until timestamptz, queued_at timestamptz, waiting_since timestamptz)
WHERE c.id = $1 AND c.merged_into IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM conversation o WHERE o.channel_id = c.channel_id AND o.contact_id = c.contact_id AND o.status <> 'closed' AND o.thread_key IS NULL)`
	undoAddressSQL = `
UPDATE conversation c SET identity_id = b.identity_id, chat = b.chat, chat_data = b.chat_data, version = c.version + 1
FROM jsonb_to_record($2::jsonb) AS b (identity_id bigint, chat text, chat_data jsonb), identity i
WHERE c.id = $1 AND i.id = c.identity_id AND i.contact_id <> c.contact_id`
	// what the person of a conversation that opens again wrote meanwhile into the one that stayed
	undoMessagesSQL = `
WITH own AS (
    SELECT m.at, m.id, count(*) FILTER (WHERE m.direction = 'in' AND m.kind = 'message') OVER (ORDER BY m.seq) AS n, m.direction = 'in' AND m.kind = 'message' AS counts
    FROM message m JOIN conversation c ON c.id = $1 JOIN identity i ON i.id = m.identity_id AND i.contact_id = c.contact_id
    WHERE m.conversation_id = $2 AND m.created_at > $3
), gone AS (
    UPDATE message m SET conversation_id = $1, in_no = (SELECT in_count FROM conversation WHERE id = $1) + own.n, version = m.version + 1
    FROM own WHERE m.at = own.at AND m.id = own.id RETURNING m.at, m.id, own.counts
), files AS (
    UPDATE attachment f SET conversation_id = $1 FROM gone WHERE f.message_at = gone.at AND f.message_id = gone.id
), n AS (SELECT count(*) AS messages, count(*) FILTER (WHERE counts) AS counted FROM gone)
UPDATE conversation c SET message_count = message_count + CASE c.id WHEN $1 THEN n.messages ELSE -n.messages END,
    in_count = in_count + CASE c.id WHEN $1 THEN n.counted ELSE 0 END, version = version + 1
FROM n WHERE c.id IN ($1, $2) AND n.messages > 0`
)

// Move implements crm.Follower.
func (MergeFollower) Move(ctx context.Context, tx pgx.Tx, from, into int64) ([]crm.Move, error) {
	type row struct {
		ID, Channel, Contact int64
		Open                 bool
	}
	rows, err := tx.Query(ctx, lockMergedSQL, from, into)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, err
	}
	moves, err := moved(ctx, tx, "conversation_address", addressSQL, from, into)
	if err != nil {
		return nil, err
	}
	older := map[int64]int64{} // channel -> the open conversation that stays
	for _, c := range list {
		if !c.Open {
			continue
		}
		stays, two := older[c.Channel]
		if !two {
			older[c.Channel] = c.ID
			continue
		}
		m, err := moved(ctx, tx, "conversation_closed", closeMergedSQL, c.ID, stays)
		if err != nil {
			return nil, err
		}
		moves = append(moves, m...)
		if err := passOn(ctx, tx, c.ID, stays, m); err != nil {
			return nil, err
		}
	}
	m, err := moved(ctx, tx, "conversation", moveConversationsSQL, from, into)
	if err != nil {
		return nil, err
	}
	moves = append(moves, m...)
	return moves, publishMoved(ctx, tx, moves)
}

// passOn lets the conversation that stays wait for its customer as long as the closed one did; it wakes if the other was
// open, for it carries on its matter. closing is the record of the closed one as it was.
func passOn(ctx context.Context, tx postgres.DB, closed, stays int64, closing []crm.Move) error {
	was := "{}"
	if len(closing) > 0 {
		was = string(closing[0].Before)
	}
	_, err := tx.Exec(ctx, `
UPDATE conversation s SET waiting_since = least(s.waiting_since, b.waiting_since),
    status = CASE WHEN b.status = 'open' THEN 'open' ELSE s.status END,
    snoozed_until = CASE WHEN b.status = 'open' THEN NULL ELSE s.snoozed_until END,
    version = s.version + 1, last_at = greatest(s.last_at, c.last_at),
    last_text = CASE WHEN c.last_at > s.last_at THEN c.last_text ELSE s.last_text END,
    last_kind = CASE WHEN c.last_at > s.last_at THEN c.last_kind ELSE s.last_kind END,
    last_direction = CASE WHEN c.last_at > s.last_at THEN c.last_direction ELSE s.last_direction END
FROM conversation c, jsonb_to_record($3::jsonb) AS b (status text, waiting_since timestamptz) WHERE s.id = $2 AND c.id = $1`, closed, stays, was)
	return err
}

// Undo implements crm.Follower: recorded rows go back, and conversations made since through an identity that went back
// follow it. A closed one opens again unless another one of that channel is open by now.
func (MergeFollower) Undo(ctx context.Context, tx pgx.Tx, u crm.Undone, moves []crm.Move) error {
	follow, err := moved(ctx, tx, "conversation", `
WITH o AS MATERIALIZED (SELECT * FROM conversation WHERE contact_id = $1 AND identity_id = ANY ($3::bigint[]) AND created_at > $4 ORDER BY id FOR UPDATE)
UPDATE conversation c SET contact_id = $2, version = c.version + 1 FROM o WHERE c.id = o.id
RETURNING c.id::text, '{}'::jsonb`, u.Into, u.From, u.Identities, u.At)
	if err != nil {
		return err
	}
	for _, m := range moves {
		id, err := strconv.ParseInt(m.RowID, 10, 64)
		if err != nil {
			return err
		}
		switch m.Table {
		case "conversation":
			_, err = tx.Exec(ctx, undoMoveSQL, id, u.From)
		case "conversation_closed":
			err = reopenMerged(ctx, tx, u, id, m.Before)
		case "conversation_address":
			_, err = tx.Exec(ctx, undoAddressSQL, id, string(m.Before))
		default:
			err = fmt.Errorf("unknown table %q in the record of a merge", m.Table)
		}
		if err != nil {
			return fmt.Errorf("%s %d: %w", m.Table, id, err)
		}
	}
	return publishMoved(ctx, tx, append(follow, moves...))
}

func reopenMerged(ctx context.Context, tx postgres.DB, u crm.Undone, id int64, before json.RawMessage) error {
	var b struct {
		Into int64 `json:"into"`
	}
	if err := json.Unmarshal(before, &b); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, undoCloseSQL, id, string(before)); err != nil {
		return err
	}
	if err := lockIndex(ctx, tx); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, undoMessagesSQL, id, b.Into, u.At); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, moveSearchSQL, id)
	return err
}

func moved(ctx context.Context, tx postgres.DB, table, sql string, args ...any) ([]crm.Move, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (crm.Move, error) {
		m := crm.Move{Table: table}
		var before json.RawMessage
		err := row.Scan(&m.RowID, &before)
		m.Before = before
		return m, err
	})
}

func publishMoved(ctx context.Context, tx postgres.DB, moves []crm.Move) error {
	seen := map[int64]bool{}
	var list []int64
	for _, m := range moves {
		id, err := strconv.ParseInt(m.RowID, 10, 64)
		if err != nil {
			return err
		}
		if !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	if len(list) == 0 {
		return nil
	}
	convs, err := loadConversations(ctx, tx, list)
	if err != nil {
		return err
	}
	var evs []events.Event
	for _, id := range list {
		if c, ok := convs[id]; ok {
			evs = append(evs, conversationEvent(EventConversationUpdated, systemActor, c, idOf(c.TeamID), idOf(c.AssigneeID)))
		}
	}
	return events.Append(ctx, tx, evs...)
}
