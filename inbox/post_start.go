package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// NewTalk is a first message of ours. It goes to To, or to the contact's own address.
type NewTalk struct {
	Draft
	ContactID *ids.ID
}

const (
	startChannelSQL = `SELECT kind, team_id, enabled FROM channel WHERE id = $1 AND deleted_at IS NULL FOR SHARE`
	contactMailSQL  = `
SELECT i.id, i.value, p.name FROM identity i JOIN contact p ON p.id = i.contact_id
WHERE i.contact_id = $1 AND i.kind = 'email' AND p.merged_into IS NULL ORDER BY i.id LIMIT 1`
	startTalkSQL = `
INSERT INTO conversation (channel_id, contact_id, identity_id, chat, chat_data, thread_key, subject, team_id, assignee_id, last_direction)
VALUES ($1, $2, $3, $4, jsonb_build_object('name', $5::text), $6, $7, $8, $9, 'out') RETURNING id`
)

// Start writes to somebody first, in a new conversation that belongs to whoever writes. The contact is found or made by
// the address; a lead is not made: writing to somebody does not make him a prospect. Posting the same id again answers
// the same conversation. errs.Conflict: the channel cannot write first.
func (d *Desk) Start(ctx context.Context, a staff.Access, n NewTalk) (Conversation, error) {
	if err := may(a, staff.Reply, "write"); err != nil {
		return Conversation{}, err
	}
	if err := n.check(time.Now()); err != nil {
		return Conversation{}, err
	}
	if n.ChannelID == nil {
		return Conversation{}, errs.Field("channel_id", "is needed")
	}
	caps, err := d.capabilities(ctx, int64(*n.ChannelID))
	if err != nil {
		return Conversation{}, err
	}
	if !caps.FirstContact || !caps.Recipients {
		return Conversation{}, &errs.E{Code: errs.Conflict, Msg: "This channel cannot write first: the customer has to begin.", Extra: map[string]any{"reason": "cannot_begin"}}
	}
	var out Conversation
	err = d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var evs []events.Event
		out, evs, err = d.start(ctx, tx, a, n)
		return evs, err
	})
	if err == nil {
		wakeOutbox(d.bus, int64(*n.ChannelID))
	}
	return out, err
}

func (d *Desk) start(ctx context.Context, tx pgx.Tx, a staff.Access, n NewTalk) (Conversation, []events.Event, error) {
	var out Conversation
	t := talk{channel: int64(*n.ChannelID), assignee: int64(a.AgentID)}
	if err := n.toContact(ctx, tx); err != nil {
		return out, nil, err
	}
	var kind string
	var team *int64
	var enabled bool
	err := tx.QueryRow(ctx, startChannelSQL, t.channel).Scan(&kind, &team, &enabled)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !enabled {
		return out, nil, errs.Field("channel_id", "is no channel that is in use")
	}
	if err != nil {
		return out, nil, err
	}
	people, err := d.claimRecipients(ctx, tx, n.Draft, kind)
	if err != nil {
		return out, nil, err
	}
	to := people[0]
	t.contact, t.team = to.ContactID, valueOf(team)
	if done, err := postedBefore(ctx, tx, n.ID, t.contact); err != nil || done != nil {
		if err == nil {
			var convs map[int64]Conversation
			convs, err = loadConversations(ctx, tx, []int64{int64(done.ConversationID)})
			out = convs[int64(done.ConversationID)]
		}
		return out, nil, err
	}
	first := append(append(n.To, n.Cc...), n.Bcc...)[0]
	subject := n.Subject
	err = tx.QueryRow(ctx, startTalkSQL, t.channel, t.contact, to.IdentityID, first.Address, first.Name, "ours:"+n.ID.String(), subject, team, int64(a.AgentID)).Scan(&t.id)
	if err != nil {
		return out, nil, fmt.Errorf("open conversation: %w", err)
	}
	if err := joined(ctx, tx, t.id, people); err != nil {
		return out, nil, err
	}
	m := n.Draft
	m.ChannelID = nil
	if err := asMail(ctx, tx, a, t, &m); err != nil {
		return out, nil, err
	}
	_, evs, err := put(ctx, tx, a, t, m)
	if err != nil {
		return out, nil, err
	}
	convs, err := loadConversations(ctx, tx, []int64{t.id})
	for i := range evs {
		if evs[i].Kind == EventConversationUpdated {
			evs[i].Kind = EventConversationCreated
		}
	}
	return convs[t.id], evs, err
}

// noSubject stands where the writer has given none.
const noSubject = "(no subject)"

// toContact fills in the address of a contact who is given by his id.
func (n *NewTalk) toContact(ctx context.Context, tx pgx.Tx) error {
	if len(n.To)+len(n.Cc)+len(n.Bcc) > 0 {
		return nil
	}
	if n.ContactID == nil {
		return errs.Field("to", "name somebody to write to")
	}
	var b channels.Mailbox
	var identity int64
	err := tx.QueryRow(ctx, contactMailSQL, int64(*n.ContactID)).Scan(&identity, &b.Address, &b.Name)
	if errors.Is(err, pgx.ErrNoRows) {
		return errs.Field("contact_id", "this contact has no e-mail address")
	}
	n.To = []channels.Mailbox{b}
	return err
}

// mailTalk opens a conversation with the person of another one, at his address; pgx.ErrNoRows when he has none.
func mailTalk(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, m Draft) (id int64, err error) {
	var identity int64
	var b channels.Mailbox
	if err := tx.QueryRow(ctx, contactMailSQL, t.contact).Scan(&identity, &b.Address, &b.Name); err != nil {
		return 0, err
	}
	assignee := t.assignee
	if assignee == 0 {
		assignee = int64(a.AgentID)
	}
	err = tx.QueryRow(ctx, startTalkSQL, int64(*m.ChannelID), t.contact, identity, b.Address, b.Name, "ours:"+m.ID.String(), m.Subject, nullable(t.team), assignee).Scan(&id)
	return id, err
}

// capabilities of a channel; none where the channels are not running.
func (d *Desk) capabilities(ctx context.Context, channel int64) (channels.Capabilities, error) {
	if d.channels == nil {
		return channels.Capabilities{}, nil
	}
	return d.channels.capabilitiesOf(ctx, channel)
}
