package inbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

const (
	// The client's UUID is claimed before anything else, as every writer claims (lock order); the key is the installation's,
	// whatever the channel, since a UUID names one note only.
	claimNoteSQL = `INSERT INTO external_ref (channel_id, kind, key) VALUES (0, 'message', 'note:' || $1::text) ON CONFLICT DO NOTHING`

	heldNoteSQL = `SELECT e.message_at, m.conversation_id FROM external_ref e JOIN message m ON m.at = e.message_at AND m.id = e.message_id
WHERE e.channel_id = 0 AND e.kind = 'message' AND e.key = 'note:' || $1::text`

	placeNoteSQL = `UPDATE external_ref SET message_at = $2, message_id = $1::uuid
WHERE channel_id = 0 AND kind = 'message' AND key = 'note:' || $1::uuid::text`

	addNoteSQL = `INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, author_id, text, status)
VALUES (clock_timestamp(), $1, $2, 'note', 'out', 'agent', $3, $4, 'sent') RETURNING at`

	// uploads that wait for their message, the caller's own only
	fileNoteSQL = `UPDATE attachment SET message_at = $1, message_id = $2, conversation_id = $3, position = k.no
FROM unnest($4::uuid[]) WITH ORDINALITY k (id, no)
WHERE attachment.id = k.id AND message_id IS NULL AND uploader_id = $5`

	noteConversationSQL = `UPDATE conversation SET version = version + 1, last_at = greatest(last_at, $2), last_text = $3,
	last_kind = 'note', last_direction = 'out' WHERE id = $1`
)

const (
	maxNote     = 10_000
	maxNoteFile = 10
	maxLastText = 200
)

// NoteInput is a note as the client sends it: ID is the client's own, so that sending it again adds nothing.
type NoteInput struct {
	ID          uuid.UUID
	Text        string
	Attachments []uuid.UUID
}

// AddNote writes for colleagues only: it never goes to the channel and makes nobody wait less. The same ID again answers
// the note that is there.
func (d *Desk) AddNote(ctx context.Context, a staff.Access, conversation ids.ID, in NoteInput) (Item, error) {
	if err := may(a, staff.Reply, "write notes"); err != nil {
		return Item{}, err
	}
	if err := in.check(); err != nil {
		return Item{}, err
	}
	var item Item
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, claimNoteSQL, in.ID.String())
		if err != nil {
			return nil, fmt.Errorf("claim note %s: %w", in.ID, err)
		}
		if tag.RowsAffected() == 0 {
			item, err = heldNote(ctx, tx, a, conversation, in.ID)
			return nil, err
		}
		var evs []events.Event
		item, evs, err = addNote(ctx, tx, a, int64(conversation), in)
		return evs, err
	})
	return item, err
}

func (in *NoteInput) check() error {
	in.Text = strings.TrimRight(in.Text, " \t\r\n")
	switch {
	case in.ID == uuid.Nil:
		return errs.Field("id", "must be a UUID made by the client")
	case in.Text == "" && len(in.Attachments) == 0:
		return errs.Field("text", "must not be empty")
	case utf8.RuneCountInString(in.Text) > maxNote:
		return errs.Field("text", "must have at most %d characters", maxNote)
	case !utf8.ValidString(in.Text) || strings.ContainsRune(in.Text, 0):
		return errs.Field("text", "must be text")
	case len(in.Attachments) > maxNoteFile:
		return errs.Field("attachments", "at most %d files go with one note", maxNoteFile)
	}
	return nil
}

func heldNote(ctx context.Context, tx pgx.Tx, a staff.Access, conversation ids.ID, id uuid.UUID) (Item, error) {
	k := MessageKey{ID: id}
	var in int64
	err := tx.QueryRow(ctx, heldNoteSQL, id.String()).Scan(&k.At, &in)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && in != int64(conversation) {
		return Item{}, errs.Field("id", "this id was used for something else")
	}
	if err != nil {
		return Item{}, fmt.Errorf("find note %s: %w", id, err)
	}
	var one int
	if err := tx.QueryRow(ctx, seesConversationSQL, who(a, in)...).Scan(&one); errors.Is(err, pgx.ErrNoRows) {
		return Item{}, noConversation()
	} else if err != nil {
		return Item{}, fmt.Errorf("look at conversation %s: %w", conversation, err)
	}
	items, err := loadItems(ctx, tx, []MessageKey{k})
	if err != nil || len(items) == 0 {
		return Item{}, errors.Join(err, noMessage())
	}
	return items[0], nil
}

func addNote(ctx context.Context, tx pgx.Tx, a staff.Access, id int64, in NoteInput) (Item, []events.Event, error) {
	was, err := lock(ctx, tx, a, id, false)
	if err != nil {
		return Item{}, nil, err
	}
	k := MessageKey{ID: in.ID}
	if err := tx.QueryRow(ctx, addNoteSQL, in.ID, id, int64(a.AgentID), in.Text).Scan(&k.At); err != nil {
		return Item{}, nil, fmt.Errorf("add note %s: %w", in.ID, err)
	}
	if _, err := tx.Exec(ctx, placeNoteSQL, in.ID, k.At); err != nil {
		return Item{}, nil, fmt.Errorf("place note %s: %w", in.ID, err)
	}
	if err := fileNote(ctx, tx, a, id, k, in.Attachments); err != nil {
		return Item{}, nil, err
	}
	last := strings.Join(strings.Fields(clipRunes(in.Text, 2*maxLastText)), " ")
	if _, err := tx.Exec(ctx, noteConversationSQL, id, k.At, clipRunes(last, maxLastText)); err != nil {
		return Item{}, nil, fmt.Errorf("update conversation %d: %w", id, err)
	}
	list, err := loadConversations(ctx, tx, []int64{id})
	if err != nil {
		return Item{}, nil, err
	}
	items, err := loadItems(ctx, tx, []MessageKey{k})
	if err != nil {
		return Item{}, nil, err
	}
	return items[0], []events.Event{
		itemEvent(EventMessageCreated, a.Actor(), items[0], list[id]),
		conversationEvent(EventConversationUpdated, a.Actor(), list[id], was.team, was.assignee),
	}, nil
}

func fileNote(ctx context.Context, tx pgx.Tx, a staff.Access, id int64, k MessageKey, files []uuid.UUID) error {
	if len(files) == 0 {
		return nil
	}
	tag, err := tx.Exec(ctx, fileNoteSQL, k.At, k.ID, id, files, int64(a.AgentID))
	if err != nil {
		return fmt.Errorf("file attachments of note %s: %w", k.ID, err)
	}
	if tag.RowsAffected() != int64(len(files)) {
		return errs.Field("attachments", "one of the files was not uploaded by you, or belongs to a message already")
	}
	return nil
}
