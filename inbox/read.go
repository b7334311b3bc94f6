package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

const (
	// A late delivery may stand above the message that was read although it came after it: of everything shown up to the
	// message the highest number counts, looked for as far up as a screen can hold.
	readUpToSQL = `SELECT coalesce(max(in_no), 0)::int FROM (SELECT m.in_no FROM message m
	WHERE m.conversation_id = $1 AND m.at <= $2 AND (m.at, m.seq) <= ($2, $3) ORDER BY m.at DESC, m.seq DESC LIMIT 400) x`

	// further up than that: the nearest one that the customer wrote
	readNearestSQL = `SELECT m.in_no FROM message m WHERE m.conversation_id = $1 AND m.at <= $2 AND (m.at, m.seq) <= ($2, $3)
	AND m.in_no > 0 ORDER BY m.at DESC, m.seq DESC LIMIT 1`

	// forward only: whoever reads on two screens at once ends where he read furthest
	moveMarkerSQL = `INSERT INTO read_marker AS r (agent_id, conversation_id, in_no, message_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (agent_id, conversation_id) DO UPDATE SET in_no = excluded.in_no, message_id = excluded.message_id, at = now()
WHERE r.in_no < excluded.in_no`

	readableSQL = `SELECT coalesce(c.team_id, 0), coalesce(c.assignee_id, 0) FROM conversation c WHERE c.id = $4 AND ` + visibleSQL
)

// ReadUpdated is the payload of the event read.updated, which goes to that agent only.
type ReadUpdated struct {
	ConversationID ids.ID `json:"conversation_id"`
	AgentID        ids.ID `json:"agent_id"`
	InNo           int    `json:"in_no"`
}

// MarkRead moves the caller's own marker forward to a message; going back, or marking again, does nothing. Nobody else's
// unread changes (R6).
func (d *Desk) MarkRead(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) error {
	return d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		id := int64(conversation)
		var team, assignee int64
		err := tx.QueryRow(ctx, readableSQL, who(a, id)...).Scan(&team, &assignee)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, noConversation()
		}
		if err != nil {
			return nil, fmt.Errorf("look at conversation %s: %w", conversation, err)
		}
		var p place
		err = tx.QueryRow(ctx, findMessageSQL, id, message).Scan(&p.at, &p.seq)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, noMessage()
		}
		if err != nil {
			return nil, fmt.Errorf("find message %s: %w", message, err)
		}
		var inNo int
		if err := tx.QueryRow(ctx, readUpToSQL, id, p.at, p.seq).Scan(&inNo); err != nil {
			return nil, fmt.Errorf("count read messages: %w", err)
		}
		if inNo == 0 {
			err := tx.QueryRow(ctx, readNearestSQL, id, p.at, p.seq).Scan(&inNo)
			if err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return nil, fmt.Errorf("count read messages: %w", err)
			}
		}
		if inNo == 0 {
			return nil, nil // nothing of the customer's was there to read
		}
		tag, err := tx.Exec(ctx, moveMarkerSQL, int64(a.AgentID), id, inNo, message)
		if err != nil || tag.RowsAffected() == 0 {
			return nil, err
		}
		return []events.Event{readEvent(a, id, team, assignee, inNo)}, nil
	})
}

func readEvent(a staff.Access, conversation, team, assignee int64, inNo int) events.Event {
	return events.Event{
		Kind: EventReadUpdated, Actor: events.Actor{Kind: "agent", ID: int64(a.AgentID)},
		SubjectKind: "conversation", SubjectID: ids.ID(conversation).String(), ConversationID: conversation,
		TeamID: team, AssigneeID: assignee, TeamBefore: team, AssigneeBefore: assignee,
		Payload: ReadUpdated{ConversationID: ids.ID(conversation), AgentID: a.AgentID, InNo: inNo},
	}
}
