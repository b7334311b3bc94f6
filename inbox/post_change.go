package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// sent is a message of ours with its way out, both locked.
type sent struct {
	key      MessageKey
	talk     talk
	kind     string
	author   int64
	status   string
	provider string
	state    string // of the outbox row; "" = there is none (a note, or typed elsewhere)
	deleted  bool
}

// changeSent runs fn on a message of our side that the caller sees, and publishes the message as it is afterwards.
func (d *Desk) changeSent(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID, fn func(ctx context.Context, tx pgx.Tx, m sent) error) (Item, error) {
	if err := may(a, staff.Reply, "change messages"); err != nil {
		return Item{}, err
	}
	var item Item
	var channel int64
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		t, err := lockTalk(ctx, tx, a, int64(conversation))
		if err != nil {
			return nil, err
		}
		m := sent{key: MessageKey{ID: message}, talk: t}
		channel = t.channel
		err = tx.QueryRow(ctx, `
SELECT m.at, m.kind, coalesce(m.author_id, 0), m.status, m.provider_id, m.deleted_at IS NOT NULL FROM message m
WHERE m.id = $1 AND m.conversation_id = $2 AND m.direction = 'out' AND m.kind IN ('message', 'note') FOR UPDATE`, message, t.id).
			Scan(&m.key.At, &m.kind, &m.author, &m.status, &m.provider, &m.deleted)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, noMessage()
		}
		if err != nil {
			return nil, err
		}
		err = tx.QueryRow(ctx, `SELECT state FROM outbox WHERE client_id = $1 FOR UPDATE`, message).Scan(&m.state)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, err
		}
		if err := fn(ctx, tx, m); err != nil {
			return nil, err
		}
		items, err := loadItems(ctx, tx, []MessageKey{m.key})
		if err != nil {
			return nil, err
		}
		convs, err := loadConversations(ctx, tx, []int64{t.id})
		if err != nil {
			return nil, err
		}
		item = items[0]
		return []events.Event{itemEvent(EventMessageUpdated, a.Actor(), item, convs[t.id])}, nil
	})
	if err == nil {
		wakeOutbox(d.bus, channel)
	}
	return item, err
}

// Cancel takes a message back that has not left yet: undo, and send-later that is no longer wanted. The text is in the
// answer, so that it can go back into the composer.
func (d *Desk) Cancel(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) (Item, error) {
	return d.changeSent(ctx, a, conversation, message, func(ctx context.Context, tx pgx.Tx, m sent) error {
		if m.state != "queued" {
			return errs.New(errs.Conflict, "It is on its way already and cannot be taken back.")
		}
		return cancel(ctx, tx, m)
	})
}

func cancel(ctx context.Context, tx pgx.Tx, m sent) error {
	if _, err := tx.Exec(ctx, `UPDATE outbox SET state = 'cancelled', done_at = now() WHERE client_id = $1`, m.key.ID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE message SET deleted_at = now(), data = data || '{"cancelled": true}', version = version + 1 WHERE at = $1 AND id = $2`, m.key.At, m.key.ID)
	return err
}

// Retry queues a failed message again: the same row, so that it is really sent again and never twice.
func (d *Desk) Retry(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) (Item, error) {
	return d.changeSent(ctx, a, conversation, message, func(ctx context.Context, tx pgx.Tx, m sent) error {
		if m.state != "failed" || m.deleted {
			return errs.New(errs.Conflict, "Only a message that failed can be sent again.")
		}
		return requeue(ctx, tx, m)
	})
}

// Resolve decides about a message whose fate is unknown: it arrived, or it shall be sent again.
func (d *Desk) Resolve(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID, arrived bool) (Item, error) {
	return d.changeSent(ctx, a, conversation, message, func(ctx context.Context, tx pgx.Tx, m sent) error {
		if m.state != "uncertain" {
			return errs.New(errs.Conflict, "It is known what became of this message.")
		}
		if !arrived {
			return requeue(ctx, tx, m)
		}
		if _, err := tx.Exec(ctx, `UPDATE outbox SET state = 'sent', error = '', done_at = now() WHERE client_id = $1`, m.key.ID); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE message SET status = 'sent', error = '', version = version + 1 WHERE at = $1 AND id = $2`, m.key.At, m.key.ID)
		return err
	})
}

func requeue(ctx context.Context, tx pgx.Tx, m sent) error {
	if err := refuseGone(ctx, tx, m.talk.channel); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
UPDATE outbox SET state = 'queued', error = '', attempts = 0, not_before = now(), created_at = now(), done_at = NULL WHERE client_id = $1`, m.key.ID); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE message SET status = 'queued', error = '', provider_id = '', version = version + 1 WHERE at = $1 AND id = $2`, m.key.At, m.key.ID)
	return err
}

// EditMessage changes the text of one's own message: in place while it waits, at the customer's too once it left. The
// old text stays as a revision.
func (d *Desk) EditMessage(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID, text, html string) (Item, error) {
	probe := Draft{ID: message, Text: text, HTML: html}
	if err := probe.check(time.Now()); err != nil {
		return Item{}, err
	}
	return d.changeSent(ctx, a, conversation, message, func(ctx context.Context, tx pgx.Tx, m sent) error {
		if err := ownMessage(a, m, "edit"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
INSERT INTO message_revision (message_at, message_id, no, text, html)
SELECT at, id, (SELECT count(*) + 1 FROM message_revision WHERE message_at = $1 AND message_id = $2), text, html FROM message WHERE at = $1 AND id = $2`, m.key.At, m.key.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE message SET text = $3, html = $4, edited_at = now(), version = version + 1 WHERE at = $1 AND id = $2`, m.key.At, m.key.ID, probe.Text, probe.HTML); err != nil {
			return err
		}
		return follow(ctx, tx, m, "edit", nil)
	})
}

// DeleteMessage takes one's own message away: before it left, or at the customer's too where the channel can.
func (d *Desk) DeleteMessage(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) (Item, error) {
	return d.changeSent(ctx, a, conversation, message, func(ctx context.Context, tx pgx.Tx, m sent) error {
		if err := ownMessage(a, m, "delete"); err != nil {
			return err
		}
		if m.state == "queued" || m.state == "failed" { // the customer never got it, and shall not by a retry
			return cancel(ctx, tx, m)
		}
		if _, err := tx.Exec(ctx, `UPDATE message SET deleted_at = now(), version = version + 1 WHERE at = $1 AND id = $2`, m.key.At, m.key.ID); err != nil {
			return err
		}
		return follow(ctx, tx, m, "delete", nil)
	})
}

func ownMessage(a staff.Access, m sent, verb string) error {
	switch {
	case m.deleted:
		return errs.New(errs.Conflict, "This message was deleted.")
	case m.author != int64(a.AgentID):
		return errs.New(errs.Forbidden, "You may only %s your own messages.", verb)
	case m.state == "sending" || m.state == "uncertain":
		return errs.New(errs.Conflict, "Wait until it is known whether the message arrived.")
	}
	return nil
}

// follow queues what a change means for the customer's side; nothing when the message never got there.
func follow(ctx context.Context, tx pgx.Tx, m sent, op string, args map[string]string) error {
	if m.kind != kindMessage || m.provider == "" {
		return nil
	}
	if gone, err := channelGone(ctx, tx, m.talk.channel); err != nil || gone {
		return err
	}
	b, err := json.Marshal(args)
	if err != nil {
		return err
	}
	if args == nil {
		b = []byte(`{}`)
	}
	_, err = tx.Exec(ctx, insertOutboxSQL, newMessageID(), m.talk.channel, m.talk.id, m.key.At, m.key.ID, op, string(b), nil, 0)
	return err
}

// React puts the caller's emoji under a message, or takes it away ("").
func (d *Desk) React(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID, emoji string) (Item, error) {
	if err := may(a, staff.Reply, "react"); err != nil {
		return Item{}, err
	}
	if len(emoji) > 64 || storable(emoji, 64) != emoji {
		return Item{}, errs.Field("emoji", "must be one emoji")
	}
	var item Item
	var channel int64
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		t, err := lockTalk(ctx, tx, a, int64(conversation))
		if err != nil {
			return nil, err
		}
		channel = t.channel
		m := sent{key: MessageKey{ID: message}, talk: t, kind: kindMessage}
		err = tx.QueryRow(ctx, `SELECT at, provider_id FROM message WHERE id = $1 AND conversation_id = $2 AND kind = 'message' AND deleted_at IS NULL FOR UPDATE`, message, t.id).
			Scan(&m.key.At, &m.provider)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, noMessage()
		}
		if err != nil {
			return nil, err
		}
		// towards the customer the house has one reaction: a colleague's is replaced
		if _, err := tx.Exec(ctx, `DELETE FROM reaction WHERE message_at = $1 AND message_id = $2 AND agent_id <> 0`, m.key.At, m.key.ID); err != nil {
			return nil, err
		}
		if emoji != "" {
			if _, err := tx.Exec(ctx, `INSERT INTO reaction (message_at, message_id, agent_id, emoji) VALUES ($1, $2, $3, $4)`, m.key.At, m.key.ID, int64(a.AgentID), emoji); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE message SET version = version + 1 WHERE at = $1 AND id = $2`, m.key.At, m.key.ID); err != nil {
			return nil, err
		}
		if err := follow(ctx, tx, m, "react", map[string]string{"emoji": emoji}); err != nil {
			return nil, err
		}
		items, err := loadItems(ctx, tx, []MessageKey{m.key})
		if err != nil {
			return nil, err
		}
		convs, err := loadConversations(ctx, tx, []int64{t.id})
		if err != nil {
			return nil, err
		}
		item = items[0]
		return []events.Event{itemEvent(EventMessageUpdated, a.Actor(), item, convs[t.id])}, nil
	})
	if err == nil {
		wakeOutbox(d.bus, channel)
	}
	return item, err
}
