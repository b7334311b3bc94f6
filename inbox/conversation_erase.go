package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/events"
)

var _ crm.Eraser = MergeFollower{}

const (
	// every conversation of the erased, closed: nobody is left to answer to
	eraseConversationsSQL = `UPDATE conversation SET version = version + 1, status = 'closed', closed_at = coalesce(closed_at, now()),
	snoozed_until = NULL, waiting_since = NULL, queued_at = NULL, subject = '', last_text = '', chat = '', chat_data = '{}'
WHERE id = ANY ($1::bigint[])`

	erasableSQL = `SELECT id FROM conversation WHERE contact_id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE`

	// notes and system lines tell of the person too
	eraseMessagesSQL = `UPDATE message SET version = version + 1, text = '', html = '', subject = '', data = '{}', error = '', provider_id = '',
	deleted_at = coalesce(deleted_at, now()) WHERE conversation_id = ANY ($1::bigint[])`

	eraseRawSQL = `DELETE FROM message_raw w USING message m
WHERE m.conversation_id = ANY ($1::bigint[]) AND w.message_at = m.at AND w.message_id = m.id`
	eraseRevisionsSQL = `DELETE FROM message_revision v USING message m
WHERE m.conversation_id = ANY ($1::bigint[]) AND v.message_at = m.at AND v.message_id = m.id`
	eraseReactionsSQL = `DELETE FROM reaction r USING message m
WHERE m.conversation_id = ANY ($1::bigint[]) AND r.message_at = m.at AND r.message_id = m.id`
	// the files themselves go when nothing names them any more
	eraseAttachmentsSQL = `DELETE FROM attachment a USING message m
WHERE m.conversation_id = ANY ($1::bigint[]) AND a.message_at = m.at AND a.message_id = m.id`
	// what colleagues were about to write, and what they were told
	eraseDraftsSQL        = `DELETE FROM draft WHERE conversation_id = ANY ($1::bigint[])`
	eraseMentionsSQL      = `DELETE FROM mention WHERE conversation_id = ANY ($1::bigint[])`
	eraseNotificationsSQL = `DELETE FROM notification WHERE conversation_id = ANY ($1::bigint[])`
	// what was gathered for the person goes with him; one being gathered finds nothing to finish
	eraseExportsSQL = `UPDATE contact_export SET state = 'expired', blob = '', size = 0 WHERE contact_id = ANY ($1::bigint[])`

	eraseOutboxSQL = `UPDATE outbox SET state = 'cancelled', args = '{}', error = '', done_at = coalesce(done_at, now())
WHERE conversation_id = ANY ($1::bigint[]) AND state IN ('queued', 'failed', 'uncertain')`
)

// Erase removes what was said with the people from whom nothing may be kept. The rows stay empty: counters, and the
// places that answers and links point at, hold. A send that is on the network just now is not called back.
func (MergeFollower) Erase(ctx context.Context, tx pgx.Tx, by events.Actor, contacts []int64) error {
	rows, err := tx.Query(ctx, erasableSQL, contacts)
	if err != nil {
		return fmt.Errorf("find conversations: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, eraseExportsSQL, contacts); err != nil {
		return fmt.Errorf("take exports away: %w", err)
	}
	if len(keys) == 0 {
		return nil
	}
	before, err := loadConversations(ctx, tx, keys)
	if err != nil {
		return err
	}
	if err := lockIndex(ctx, tx); err != nil {
		return err
	}
	for _, sql := range []string{
		eraseRawSQL, eraseRevisionsSQL, eraseReactionsSQL, eraseAttachmentsSQL, eraseOutboxSQL,
		eraseDraftsSQL, eraseMentionsSQL, eraseNotificationsSQL, eraseMessagesSQL, eraseSearchSQL, eraseConversationsSQL,
	} {
		_, err1 := tx.Exec(ctx, sql, keys)
		err = errors.Join(err, err1)
	}
	if err != nil {
		return fmt.Errorf("empty conversations: %w", err)
	}
	after, err := loadConversations(ctx, tx, keys)
	if err != nil {
		return err
	}
	var evs []events.Event
	for _, id := range keys {
		b := before[id]
		evs = append(evs, conversationEvent(EventConversationUpdated, by, after[id], idOf(b.TeamID), idOf(b.AssigneeID)))
	}
	return events.Append(ctx, tx, evs...)
}
