package inbox

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/events"
)

// applyChange carries out an event that is about a message which exists by now: an edit, a deletion, a reaction, a
// delivery status, or the readable form of what could not be decrypted before.
func (r *ingestRun) applyChange(ctx context.Context, tx pgx.Tx, e *inEvent) error {
	if e.conv != nil { // it was stored as a message of its own
		return nil
	}
	if e.Fingerprint != "" && !e.first {
		return r.copied(ctx, tx, e)
	}
	target := e.TargetID
	if (e.Kind == channels.Message || e.Kind == channels.Undecryptable) && !e.first {
		target = e.ProviderID
	}
	key, ok := r.targets[refKey{e.ch.ID, target}]
	if !ok || target == "" {
		return nil
	}
	var changed bool
	var err error
	switch e.Kind {
	case channels.Message:
		changed, err = r.replaceUndecryptable(ctx, tx, e, key)
	case channels.Edit:
		changed, err = r.edit(ctx, tx, e, key)
	case channels.Revoke:
		changed, err = execChanged(ctx, tx, `UPDATE message SET deleted_at = now(), version = version + 1 WHERE at = $1 AND id = $2 AND deleted_at IS NULL`, key.At, key.ID)
	case channels.Reaction:
		changed, err = r.react(ctx, tx, e, key)
	case channels.Status:
		changed, err = r.status(ctx, tx, e, key)
	}
	if err != nil || !changed {
		return err
	}
	return publishMessage(ctx, tx, e.actor(), key)
}

func (e *inEvent) actor() events.Actor {
	if e.sender.ContactID != 0 {
		return events.Actor{Kind: "contact", ID: e.sender.ContactID}
	}
	return systemActor
}

// edit keeps the old text as a revision: what the customer said first is never lost.
func (r *ingestRun) edit(ctx context.Context, tx pgx.Tx, e *inEvent, key MessageKey) (bool, error) {
	changed, err := execChanged(ctx, tx, `
WITH old AS MATERIALIZED (SELECT at, id, text, html FROM message WHERE at = $1 AND id = $2 FOR UPDATE), kept AS (
    INSERT INTO message_revision (message_at, message_id, no, text, html)
    SELECT at, id, (SELECT count(*) + 1 FROM message_revision WHERE message_at = $1 AND message_id = $2), text, html FROM old
    WHERE text <> $3 OR html <> $4)
UPDATE message m SET text = $3, html = $4, edited_at = $5, version = version + 1 FROM old
WHERE m.at = old.at AND m.id = old.id AND (m.text <> $3 OR m.html <> $4)`, key.At, key.ID, e.Text, e.HTML, e.at)
	if err != nil {
		return false, err
	}
	if changed {
		if err := refreshPreview(ctx, tx, systemActor, key); err != nil {
			return false, err
		}
	}
	more, err := r.editFiles(ctx, tx, e, key)
	if err != nil || !more || changed {
		return changed, err
	}
	return execChanged(ctx, tx, `UPDATE message SET edited_at = $3, version = version + 1 WHERE at = $1 AND id = $2`, key.At, key.ID, e.at)
}

const editFilesSQL = `
INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, position, kind, name, type, size, width, height, duration_ms, ref, state, error)
SELECT $1, $2, m.conversation_id, m.at, m.id, (SELECT count(*) FROM attachment a WHERE a.message_id = m.id), $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13, $14
FROM message m WHERE m.at = $3 AND m.id = $4
  AND NOT EXISTS (SELECT FROM attachment a WHERE a.message_id = m.id AND (a.ref = $12::jsonb OR a.ref->>'unique' = $12::jsonb->>'unique'))`

// editFiles adds the files that an edit brings and the message had not; those that it had stay, for they were said too.
func (r *ingestRun) editFiles(ctx context.Context, tx pgx.Tx, e *inEvent, key MessageKey) (added bool, err error) {
	for _, f := range e.Media {
		row := newFileRow(e.ch.ID, f)
		ok, err := execChanged(ctx, tx, editFilesSQL, row.id, row.channel, key.At, key.ID, row.kind, row.name, row.typ, row.size, row.width, row.height,
			row.dur, row.ref, row.state, row.err)
		if err != nil {
			return false, err
		}
		added = added || ok
	}
	if added {
		r.media[e.ch.ID] = true
	}
	return added, nil
}

// react makes the sender's reactions on the message exactly those of the event.
func (r *ingestRun) react(ctx context.Context, tx pgx.Tx, e *inEvent, key MessageKey) (bool, error) {
	if e.sender.IdentityID == 0 {
		return false, nil
	}
	emojis := slices.Compact(slices.Sorted(slices.Values(e.Emojis)))
	emojis = slices.DeleteFunc(emojis, func(s string) bool { return s == "" || len(s) > 64 })
	gone, err := execChanged(ctx, tx, `DELETE FROM reaction WHERE message_at = $1 AND message_id = $2 AND identity_id = $3 AND emoji <> ALL ($4::text[])`, key.At, key.ID, e.sender.IdentityID, emojis)
	if err != nil {
		return false, err
	}
	added, err := execChanged(ctx, tx, `
INSERT INTO reaction (message_at, message_id, identity_id, emoji) SELECT $1, $2, $3, unnest($4::text[]) ON CONFLICT DO NOTHING`, key.At, key.ID, e.sender.IdentityID, emojis)
	if err != nil || !gone && !added {
		return false, err
	}
	return execChanged(ctx, tx, `UPDATE message SET version = version + 1 WHERE at = $1 AND id = $2`, key.At, key.ID)
}

// status moves the message forward and never back, however the reports arrive. What the provider knows of was sent: the
// outbox no longer asks anybody about it.
func (r *ingestRun) status(ctx context.Context, tx pgx.Tx, e *inEvent, key MessageKey) (bool, error) {
	if e.Status == channels.Bounced {
		changed, err := execChanged(ctx, tx, `UPDATE message SET status = 'failed', error = $3, version = version + 1 WHERE at = $1 AND id = $2 AND direction = 'out' AND status IN ('sent', 'uncertain', 'sending')`, key.At, key.ID, e.Text)
		if err != nil || !changed {
			return changed, err
		}
		_, err = tx.Exec(ctx, `UPDATE outbox SET state = 'failed', error = $2, done_at = now() WHERE message_id = $1 AND op = 'send' AND state IN ('sent', 'uncertain')`, key.ID, storable(e.Text, 1000))
		return true, err
	}
	changed, err := execChanged(ctx, tx, `
UPDATE message SET status = $3, error = '', version = version + 1 WHERE at = $1 AND id = $2 AND direction = 'out'
  AND array_position(ARRAY['queued', 'sending', 'uncertain', 'failed', 'sent', 'delivered', 'read'], status)
    < array_position(ARRAY['queued', 'sending', 'uncertain', 'failed', 'sent', 'delivered', 'read'], $3)`, key.At, key.ID, string(e.Status))
	if err != nil || !changed {
		return changed, err
	}
	_, err = tx.Exec(ctx, `UPDATE outbox SET state = 'sent', error = '', done_at = now() WHERE message_id = $1 AND op = 'send' AND state IN ('uncertain', 'failed')`, key.ID)
	return true, err
}

func (r *ingestRun) replaceUndecryptable(ctx context.Context, tx pgx.Tx, e *inEvent, key MessageKey) (bool, error) {
	return execChanged(ctx, tx, `
UPDATE message SET content = $3, text = $4, html = $5, data = $6, version = version + 1 WHERE at = $1 AND id = $2 AND content = 'undecryptable'`,
		key.At, key.ID, e.Content, e.Text, e.HTML, jsonOrEmpty(e.Data))
}

func execChanged(ctx context.Context, tx pgx.Tx, sql string, args ...any) (bool, error) {
	tag, err := tx.Exec(ctx, sql, args...)
	return tag.RowsAffected() > 0, err
}

// publishMessage appends the event that carries the message as it is now.
func publishMessage(ctx context.Context, tx pgx.Tx, by events.Actor, key MessageKey) error {
	items, err := loadItems(ctx, tx, []MessageKey{key})
	if err != nil || len(items) == 0 {
		return err
	}
	convs, err := loadConversations(ctx, tx, []int64{int64(items[0].ConversationID)})
	if err != nil {
		return err
	}
	return events.Append(ctx, tx, itemEvent(EventMessageUpdated, by, items[0], convs[int64(items[0].ConversationID)]))
}

// refreshPreview renews the list's last line when the changed message is the one shown there.
func refreshPreview(ctx context.Context, tx pgx.Tx, by events.Actor, key MessageKey) error {
	var conv int64
	var at time.Time
	var text string
	err := tx.QueryRow(ctx, `SELECT conversation_id, at, text FROM message WHERE at = $1 AND id = $2`, key.At, key.ID).Scan(&conv, &at, &text)
	if err != nil {
		return err
	}
	changed, err := execChanged(ctx, tx, `UPDATE conversation SET last_text = $3, version = version + 1 WHERE id = $1 AND last_at = $2 AND last_text <> $3`, conv, at, preview(text))
	if err != nil || !changed {
		return err
	}
	convs, err := loadConversations(ctx, tx, []int64{conv})
	if err != nil {
		return err
	}
	c := convs[conv]
	return events.Append(ctx, tx, conversationEvent(EventConversationUpdated, by, c, idOf(c.TeamID), idOf(c.AssigneeID)))
}

// readQuotes reads what the replies of the batch quote, for their events.
func (r *ingestRun) readQuotes(ctx context.Context, tx pgx.Tx) error {
	var at []time.Time
	var id []uuid.UUID
	for _, e := range r.all {
		if k, ok := r.targets[refKey{e.ch.ID, e.ReplyTo}]; ok && e.ReplyTo != "" && e.conv != nil {
			at, id = append(at, k.At), append(id, k.ID)
		}
	}
	if len(id) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
SELECT m.at, m.id, left(m.text, 200), CASE m.author_kind WHEN 'agent' THEN coalesce(a.name, '') WHEN 'contact' THEN coalesce(p.name, '') ELSE '' END FROM unnest($1::timestamptz[], $2::uuid[]) k (at, id)
JOIN message m ON m.at = k.at AND m.id = k.id LEFT JOIN agent a ON m.author_kind = 'agent' AND a.id = m.author_id
LEFT JOIN identity i ON i.id = m.identity_id LEFT JOIN contact p ON p.id = i.contact_id`, at, id)
	if err != nil {
		return err
	}
	var k MessageKey
	var text, author string
	_, err = pgx.ForEachRow(rows, []any{&k.At, &k.ID, &text, &author}, func() error {
		r.quotes[MessageKey{k.At.UTC(), k.ID}] = Quote{ID: k.ID, Author: author, Text: text}
		return nil
	})
	return err
}
