package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// Draft is what an agent sends: a message to the customer, or a note to the colleagues.
type Draft struct {
	ID          uuid.UUID // made by the client: the same id is the same message, however often it is posted
	Text        string
	HTML        string
	Attachments []uuid.UUID
	ChannelID   *ids.ID // another channel of the same person; nil = the conversation's
	Note        bool
	ReplyTo     *uuid.UUID
	SendAt      *time.Time
	Seen        *uuid.UUID // the newest item on the agent's screen: something newer refuses the send once
	Close       bool
	Mentions    []Mention // of a note: who is told
	// DraftVersion is the newest version of the saved draft that the sender knows; that draft ends with the send. 0 = none.
	DraftVersion int

	// Subject, recipients and what is forwarded, on a channel that has them. Without recipients it goes to whoever is
	// answered.
	Subject     string
	To, Cc, Bcc []channels.Mailbox
	ForwardOf   *uuid.UUID

	content   string // "" = by its files
	data      []byte
	quoteAt   int
	forwarded *MessageKey
}

// The limits of what an agent may send at once.
const (
	maxSendText    = 100_000 // characters; the channel splits what its provider does not take at once
	maxSendFiles   = 10
	maxSendAhead   = 365 * 24 * time.Hour
	maxUnseenItems = 20
)

func (d *Draft) check(now time.Time) error {
	d.Text, d.HTML = storable(d.Text, 4*maxSendText), storable(d.HTML, 4*maxSendText)
	switch {
	case d.ID == uuid.Nil:
		return errs.Field("id", "must be a UUID made by the client")
	case d.Text == "" && len(d.Attachments) == 0 && d.ForwardOf == nil:
		return errs.Field("text", "is empty: write something or attach a file")
	case utf8.RuneCountInString(d.Text) > maxSendText:
		return errs.Field("text", "has more than %d characters", maxSendText)
	case len(d.Attachments) > maxSendFiles:
		return errs.Field("attachments", "has more than %d files", maxSendFiles)
	case d.SendAt != nil && (d.SendAt.Before(now.Add(-time.Minute)) || d.SendAt.After(now.Add(maxSendAhead))):
		return errs.Field("send_at", "must lie in the future, within a year")
	case len(d.Mentions) > 0 && !d.Note:
		return errs.Field("mentions", "go with a note: the customer must not read them")
	case len(d.Mentions) > maxMentions:
		return errs.Field("mentions", "names more than %d", maxMentions)
	case d.Note && d.ChannelID != nil:
		return errs.Field("channel_id", "a note goes to no channel")
	case d.Note && d.addressed():
		return errs.Field("to", "a note goes to colleagues only")
	}
	return d.checkMail()
}

// talk is the conversation that a message goes into, locked.
type talk struct {
	id, channel, contact, assignee, team int64
	status                               Status
	inCount                              int
}

const (
	lockTalkSQL = `
SELECT c.id, c.channel_id, c.contact_id, coalesce(c.assignee_id, 0), coalesce(c.team_id, 0), c.status, c.in_count
FROM conversation c WHERE c.id = $4 AND ` + visibleSQL + ` FOR UPDATE`
	insertPostSQL = `
INSERT INTO message (at, id, conversation_id, kind, content, direction, author_kind, author_id, text, html, status, reply_to_at, reply_to_id, in_no, send_at,
    subject, data)
VALUES (clock_timestamp(), $1, $2, $3, $4, 'out', 'agent', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING at`
	insertOutboxSQL = `
INSERT INTO outbox (client_id, channel_id, conversation_id, message_at, message_id, op, args, not_before)
VALUES ($1, $2, $3, $4, $5, $6, $7, coalesce($8, now() + make_interval(secs => $9)))`
	postedSQL = `
UPDATE conversation SET version = version + 1, message_count = message_count + 1, last_at = $2, last_text = $3, last_kind = $4, last_direction = 'out',
    waiting_since = CASE WHEN $5 THEN waiting_since END, assignee_id = coalesce(assignee_id, $6), queued_at = NULL,
    status = CASE WHEN $7 THEN 'closed' ELSE status END, closed_at = CASE WHEN $7 THEN now() ELSE closed_at END,
    snoozed_until = CASE WHEN $7 THEN NULL ELSE snoozed_until END
WHERE id = $1`
	notedSQL = `UPDATE conversation SET version = version + 1, message_count = message_count + 1 WHERE id = $1`
)

// Post stores a message and queues it for delivery, in one transaction; the answer is the item as everybody sees it.
// Posting the same id again answers the same item and sends nothing twice. A conversation without an owner is taken by
// whoever answers first. errs.Conflict: the conversation is closed, or (with Extra "unseen") something came in that the
// agent has not seen.
func (d *Desk) Post(ctx context.Context, a staff.Access, conversation ids.ID, m Draft) (Item, error) {
	if err := may(a, staff.Reply, "answer"); err != nil {
		return Item{}, err
	}
	if err := m.check(time.Now()); err != nil {
		return Item{}, err
	}
	caps, err := d.capabilitiesFor(ctx, int64(conversation), m)
	if err != nil {
		return Item{}, err
	}
	if m.addressed() && !caps.Recipients {
		return Item{}, errs.Field("to", "this channel writes to one person, without a subject")
	}
	var item Item
	var channel int64
	err = d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var people []crm.Claimed
		if caps.Recipients {
			var err error
			if people, err = d.claimRecipients(ctx, tx, m, ""); err != nil {
				return nil, err
			}
		}
		t, err := lockTalk(ctx, tx, a, int64(conversation))
		if err != nil {
			return nil, err
		}
		if done, err := postedBefore(ctx, tx, m.ID, t.contact); err != nil || done != nil {
			if done != nil {
				item = *done
			}
			return nil, err
		}
		if t, err = d.pickTalk(ctx, tx, a, t, m, caps); err != nil {
			return nil, err
		}
		if err := refuseUnseen(ctx, tx, t, m.Seen); err != nil {
			return nil, err
		}
		channel = t.channel
		m := m // a transaction that is tried again starts from what was posted
		if caps.Recipients && !m.Note {
			if err := asMail(ctx, tx, a, t, &m); err != nil {
				return nil, err
			}
			if err := joined(ctx, tx, t.id, people); err != nil {
				return nil, err
			}
		}
		var evs []events.Event
		if item, evs, err = put(ctx, tx, a, t, m); err != nil {
			return nil, err
		}
		ended, err := draftSent(ctx, tx, a, int64(conversation), m.DraftVersion)
		return append(evs, ended...), err
	})
	if err != nil {
		return Item{}, err
	}
	if channel != 0 && !m.Note {
		wakeOutbox(d.bus, channel)
	}
	return item, nil
}

func lockTalk(ctx context.Context, tx pgx.Tx, a staff.Access, id int64) (talk, error) {
	var t talk
	err := tx.QueryRow(ctx, lockTalkSQL, who(a, id)...).Scan(&t.id, &t.channel, &t.contact, &t.assignee, &t.team, &t.status, &t.inCount)
	if errors.Is(err, pgx.ErrNoRows) {
		return t, noConversation()
	}
	return t, err
}

// postedBefore finds the message that an earlier, equal request made. An id that stands for somebody else's message is
// refused.
func postedBefore(ctx context.Context, tx pgx.Tx, id uuid.UUID, contact int64) (*Item, error) {
	var at time.Time
	var owner int64
	err := tx.QueryRow(ctx, `
SELECT m.at, c.contact_id FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE m.id = $1 LIMIT 1`, id).Scan(&at, &owner)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if owner != contact {
		return nil, errs.Field("id", "belongs to another message: make a new one")
	}
	items, err := loadItems(ctx, tx, []MessageKey{{at, id}})
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return &items[0], nil
}

// refuseUnseen is the send guard: it refuses once when somebody wrote what the sender has not on the screen.
func refuseUnseen(ctx context.Context, tx pgx.Tx, t talk, seen *uuid.UUID) error {
	if seen == nil {
		return nil
	}
	rows, err := tx.Query(ctx, `
SELECT m.at, m.id FROM message m, (SELECT seq FROM message WHERE id = $2 AND conversation_id = $1 LIMIT 1) s
WHERE m.conversation_id = $1 AND m.seq > s.seq AND m.kind IN ('message', 'note', 'call') AND m.deleted_at IS NULL ORDER BY m.seq LIMIT $3`, t.id, *seen, maxUnseenItems)
	if err != nil {
		return err
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[MessageKey])
	if err != nil || len(keys) == 0 {
		return err
	}
	items, err := loadItems(ctx, tx, keys)
	if err != nil {
		return err
	}
	return &errs.E{
		Code: errs.Conflict, Msg: "Something new came in while you were writing. Look at it, then send again.",
		Extra: map[string]any{"reason": "unseen", "items": items},
	}
}

// put writes the message, its files and its way out, and moves the conversation on.
func put(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, m Draft) (Item, []events.Event, error) {
	kind, status := kindMessage, "queued"
	if m.Note {
		kind, status = kindNote, "sent"
	}
	reply, err := replyKey(ctx, tx, t, m.ReplyTo)
	if err != nil {
		return Item{}, nil, err
	}
	content, err := contentOf(ctx, tx, a, m.Attachments)
	if err != nil {
		return Item{}, nil, err
	}
	named, err := resolveMentions(ctx, tx, a, t, m.Mentions)
	if err != nil {
		return Item{}, nil, err
	}
	data := jsonOrEmpty(m.data)
	if m.Note {
		if data, err = named.data(); err != nil {
			return Item{}, nil, err
		}
	}
	content = cmp.Or(m.content, content)
	key := MessageKey{ID: m.ID}
	if err := tx.QueryRow(ctx, insertPostSQL, m.ID, t.id, kind, content, int64(a.AgentID), m.Text, m.HTML, status, reply.at(), reply.id(), t.inCount, m.SendAt,
		m.Subject, data).Scan(&key.At); err != nil {
		return Item{}, nil, fmt.Errorf("store message: %w", err)
	}
	if err := named.store(ctx, tx, t.id, key); err != nil {
		return Item{}, nil, err
	}
	if err := bindUploads(ctx, tx, t, key, m.Attachments); err != nil {
		return Item{}, nil, err
	}
	if m.forwarded != nil {
		if err := copyFiles(ctx, tx, t, *m.forwarded, key, len(m.Attachments)); err != nil {
			return Item{}, nil, err
		}
	}
	if m.Note {
		_, err = tx.Exec(ctx, notedSQL, t.id)
	} else {
		err = queueOut(ctx, tx, a, t, key, m, content)
	}
	if err != nil {
		return Item{}, nil, fmt.Errorf("queue message: %w", err)
	}
	item, evs, err := publishPost(ctx, tx, a, t, key)
	if err != nil {
		return Item{}, nil, err
	}
	read, err := readByAnswering(ctx, tx, a, t, key)
	return item, append(evs, read...), err
}

// readByAnswering: whoever answers has read what came before.
func readByAnswering(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, key MessageKey) ([]events.Event, error) {
	tag, err := tx.Exec(ctx, moveMarkerSQL, int64(a.AgentID), t.id, t.inCount, key.ID)
	if err != nil || tag.RowsAffected() == 0 {
		return nil, err
	}
	return []events.Event{readEvent(a, t.id, t.team, t.assignee, t.inCount)}, nil
}

func queueOut(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, key MessageKey, m Draft, content string) error {
	if err := refuseGone(ctx, tx, t.channel); err != nil {
		return err
	}
	if err := refuseOneWay(ctx, tx, t.channel); err != nil {
		return err
	}
	settings, err := staff.ReadSettings(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertOutboxSQL, m.ID, t.channel, t.id, key.At, key.ID, "send", "{}", m.SendAt, settings.UndoSeconds); err != nil {
		return err
	}
	if content == contentText || content == contentEmail {
		content = kindMessage
	}
	keepWaiting := m.SendAt != nil
	_, err = tx.Exec(ctx, postedSQL, t.id, key.At, preview(m.Text), content, keepWaiting, int64(a.AgentID), m.Close)
	return err
}

// refuseGone: what is queued for a removed channel would wait for ever.
func refuseGone(ctx context.Context, tx pgx.Tx, channel int64) error {
	gone, err := channelGone(ctx, tx, channel)
	if err == nil && gone {
		err = &errs.E{Code: errs.Conflict, Msg: "The channel of this conversation was removed: nothing can be sent there.", Extra: map[string]any{"reason": "channel_removed"}}
	}
	return err
}

// refuseOneWay: a form has no way back; the person is answered on another channel.
func refuseOneWay(ctx context.Context, tx pgx.Tx, channel int64) error {
	var oneWay bool
	err := tx.QueryRow(ctx, `SELECT receive_only FROM channel WHERE id = $1`, channel).Scan(&oneWay)
	if err == nil && oneWay {
		err = &errs.E{Code: errs.Conflict, Msg: "Nothing can be sent through this channel: answer on another one.", Extra: map[string]any{"reason": "receive_only"}}
	}
	return err
}

func publishPost(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, key MessageKey) (Item, []events.Event, error) {
	items, err := loadItems(ctx, tx, []MessageKey{key})
	if err != nil {
		return Item{}, nil, err
	}
	convs, err := loadConversations(ctx, tx, []int64{t.id})
	if err != nil {
		return Item{}, nil, err
	}
	c := convs[t.id]
	return items[0], []events.Event{
		conversationEvent(EventConversationUpdated, a.Actor(), c, t.team, t.assignee),
		itemEvent(EventMessageCreated, a.Actor(), items[0], c),
	}, nil
}

type optionalKey struct{ key *MessageKey }

func (o optionalKey) at() *time.Time {
	if o.key == nil {
		return nil
	}
	return &o.key.At
}

func (o optionalKey) id() *uuid.UUID {
	if o.key == nil {
		return nil
	}
	return &o.key.ID
}

func replyKey(ctx context.Context, db postgres.DB, t talk, reply *uuid.UUID) (optionalKey, error) {
	if reply == nil {
		return optionalKey{}, nil
	}
	k := MessageKey{ID: *reply}
	err := db.QueryRow(ctx, `SELECT at FROM message WHERE id = $1 AND conversation_id = $2 AND kind = 'message' LIMIT 1`, *reply, t.id).Scan(&k.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return optionalKey{}, errs.Field("reply_to", "is no message of this conversation")
	}
	return optionalKey{&k}, err
}
