package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// MaxPayload is the size of a marshalled payload that an event may carry; writers clip.
const MaxPayload = 8 << 10

// Subject is where the bus tells that the spine has something new.
const Subject = "event"

// Actor is who caused an event: "system", "agent", "contact" or "token".
type Actor struct {
	Kind string
	ID   int64
}

// System is the actor of what the hub does by itself.
var System = Actor{Kind: "system"} //nolint:gochecknoglobals // a constant

// Event is one change. Payload is the whole new row as its DTO, never a diff and never a secret: it goes to browsers.
type Event struct {
	Kind        string // "noun.verb", the noun being a singular
	Actor       Actor
	SubjectKind string
	SubjectID   string
	// Where the conversation is after the change and was before it; 0 is none. They decide who may see the event.
	ConversationID, TeamID, AssigneeID, TeamBefore, AssigneeBefore int64
	Payload                                                        any

	// Set on reading.
	Cursor Cursor
	At     time.Time // when the transaction began, by the database's clock
	Raw    json.RawMessage
}

const appendSQL = `
INSERT INTO event (epoch, kind, actor_kind, actor_id, subject_kind, subject_id,
                   conversation_id, team_id, assignee_id, team_before, assignee_before, payload)
SELECT (SELECT epoch FROM spine), kind, actor_kind, nullif(actor_id, 0), subject_kind, subject_id,
       nullif(conversation_id, 0), nullif(team_id, 0), nullif(assignee_id, 0), nullif(team_before, 0), nullif(assignee_before, 0),
       payload::json
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[],
            $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
     WITH ORDINALITY AS e (kind, actor_kind, actor_id, subject_kind, subject_id,
                           conversation_id, team_id, assignee_id, team_before, assignee_before, payload, place)
ORDER BY place`

// Append writes evs in their order, in the caller's transaction and one statement. After the commit call Wake.
func Append(ctx context.Context, tx postgres.DB, evs ...Event) error {
	if len(evs) == 0 {
		return nil
	}
	args, err := columns(evs)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, appendSQL, args...); err != nil {
		return fmt.Errorf("append %d events: %w", len(evs), err)
	}
	return nil
}

// Queue is Append into a pipelined batch of the caller's transaction.
func Queue(b *pgx.Batch, evs ...Event) error {
	if len(evs) == 0 {
		return nil
	}
	args, err := columns(evs)
	if err != nil {
		return err
	}
	b.Queue(appendSQL, args...)
	return nil
}

// Wake tells every node's tailer to look now instead of within a second. It never blocks, and a lost wake-up costs only
// that second.
func Wake(b bus.Bus) { _ = b.Publish(Subject, nil) }

func columns(evs []Event) ([]any, error) {
	n := len(evs)
	text := make([][]string, 5)
	for i := range text {
		text[i] = make([]string, n)
	}
	num := make([][]int64, 6)
	for i := range num {
		num[i] = make([]int64, n)
	}
	for i, e := range evs {
		payload, err := Marshal(e.Payload)
		if err == nil && len(payload) > MaxPayload {
			err = errs.New(errs.Internal, "the payload has %d bytes, at most %d are allowed", len(payload), MaxPayload)
		}
		if err != nil {
			return nil, fmt.Errorf("event %s of %s %s: %w", e.Kind, e.SubjectKind, e.SubjectID, err)
		}
		text[0][i], text[1][i], text[2][i], text[3][i], text[4][i] = e.Kind, e.Actor.Kind, e.SubjectKind, e.SubjectID, string(payload)
		num[0][i], num[1][i], num[2][i] = e.Actor.ID, e.ConversationID, e.TeamID
		num[3][i], num[4][i], num[5][i] = e.AssigneeID, e.TeamBefore, e.AssigneeBefore
	}
	return []any{text[0], text[1], num[0], text[2], text[3], num[1], num[2], num[3], num[4], num[5], text[4]}, nil
}

// Marshal writes a payload as the spine stores it. What Marshal returned is a payload too, and is taken as it is.
func Marshal(payload any) (json.RawMessage, error) {
	switch p := payload.(type) {
	case nil:
		return json.RawMessage("{}"), nil
	case json.RawMessage:
		return p, nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	// Postgres keeps the text as it is; HTML escapes would only count against the limit.
	enc.SetEscapeHTML(false)
	if err := enc.Encode(payload); err != nil {
		return nil, fmt.Errorf("marshal the payload: %w", err)
	}
	return dropNUL(bytes.TrimSuffix(buf.Bytes(), []byte("\n"))), nil
}

// dropNUL removes the escape \u0000, which is JSON but which jsonb refuses: a customer's NUL must not make his message
// undeliverable.
func dropNUL(b []byte) []byte {
	nul := []byte(`\u0000`)
	if !bytes.Contains(b, nul) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] != '\\':
			out = append(out, b[i])
		case bytes.HasPrefix(b[i:], nul):
			i += len(nul) - 1
		default: // an escape is copied as a whole, so that \\u0000 stays
			out = append(out, b[i])
			if i++; i < len(b) {
				out = append(out, b[i])
			}
		}
	}
	return out
}
