package inbox

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// capabilitiesFor are those of the channel that the draft goes to.
func (d *Desk) capabilitiesFor(ctx context.Context, conversation int64, m Draft) (channels.Capabilities, error) {
	if m.ChannelID != nil {
		return d.capabilities(ctx, int64(*m.ChannelID))
	}
	if d.channels == nil || m.Note {
		return channels.Capabilities{}, nil
	}
	var channel int64
	err := d.pool.QueryRow(ctx, `SELECT channel_id FROM conversation WHERE id = $1`, conversation).Scan(&channel)
	if errors.Is(err, pgx.ErrNoRows) {
		return channels.Capabilities{}, noConversation()
	}
	if err != nil {
		return channels.Capabilities{}, err
	}
	return d.capabilities(ctx, channel)
}

// pickTalk checks that the conversation takes an answer, or finds the person's conversation on the other channel.
func (d *Desk) pickTalk(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, m Draft, caps channels.Capabilities) (talk, error) {
	if m.ChannelID != nil && int64(*m.ChannelID) != t.channel {
		return otherTalk(ctx, tx, a, t, m, caps)
	}
	if t.status == Closed && !m.Note {
		return t, &errs.E{Code: errs.Conflict, Msg: "This conversation is closed: open it again to answer.", Extra: map[string]any{"reason": "closed"}}
	}
	return t, nil
}

// otherTalk is the conversation of the same person on another channel: the open one, else a new one to the address that
// the last one there had, with the same owner and team.
func otherTalk(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, m Draft, caps channels.Capabilities) (talk, error) {
	channel := int64(*m.ChannelID)
	var id int64
	var status Status
	err := tx.QueryRow(ctx, `
SELECT id, status FROM conversation WHERE contact_id = $1 AND channel_id = $2 AND merged_into IS NULL
ORDER BY (status <> 'closed') DESC, id DESC LIMIT 1`, t.contact, channel).Scan(&id, &status)
	if errors.Is(err, pgx.ErrNoRows) && caps.FirstContact && caps.Recipients {
		id, err = mailTalk(ctx, tx, a, t, m)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return t, errs.Field("channel_id", "this person never wrote on that channel")
	}
	if err != nil {
		return t, err
	}
	if status == Closed {
		if err := tx.QueryRow(ctx, `
INSERT INTO conversation (channel_id, contact_id, identity_id, chat, chat_data, team_id, assignee_id, last_direction, previous_id, subject, thread_key)
SELECT channel_id, contact_id, identity_id, chat, chat_data, $2, coalesce($3, $4::bigint), 'out', id, subject,
    CASE WHEN thread_key IS NOT NULL THEN 'ours:' || $5::text END FROM conversation WHERE id = $1 RETURNING id`,
			id, nullable(t.team), nullable(t.assignee), int64(a.AgentID), m.ID.String()).Scan(&id); err != nil {
			return t, err
		}
	}
	return lockTalk(ctx, tx, a, id)
}
