package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// Letter is the formatted form of an e-mail as it is stored. It is never part of a list or of an event.
type Letter struct {
	HTML string
	// Inline are the files that it shows in place, by their Content-ID.
	Inline map[string]uuid.UUID
}

const (
	letterSQL = `SELECT m.html FROM message m WHERE m.at = $1 AND m.id = $2 AND m.deleted_at IS NULL AND m.html <> ''`
	inlineSQL = `SELECT content_id, id FROM attachment
WHERE message_at = $1 AND message_id = $2 AND content_id <> '' AND kind = 'photo' AND state = 'ok' ORDER BY position DESC, id DESC`
	openPictureSQL = `SELECT blob, type, created_at FROM attachment WHERE id = $1 AND kind = 'photo' AND state = 'ok'`
)

// Letter returns the formatted form of a message; errs.NotFound when it has none.
func (d *Desk) Letter(ctx context.Context, a staff.Access, conversation ids.ID, message uuid.UUID) (Letter, error) {
	k, err := d.findMessage(ctx, a, conversation, message)
	if err != nil {
		return Letter{}, err
	}
	l := Letter{Inline: map[string]uuid.UUID{}}
	err = d.pool.QueryRow(ctx, letterSQL, k.At, k.ID).Scan(&l.HTML)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, errs.New(errs.NotFound, "This message has no formatted form.")
	}
	if err != nil {
		return l, fmt.Errorf("letter %s: %w", message, err)
	}
	rows, err := d.pool.Query(ctx, inlineSQL, k.At, k.ID)
	if err != nil {
		return l, fmt.Errorf("pictures of letter %s: %w", message, err)
	}
	var cid string
	var file uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&cid, &file}, func() error {
		l.Inline[cid] = file // of two with one name the first of the letter
		return nil
	}); err != nil {
		return l, fmt.Errorf("pictures of letter %s: %w", message, err)
	}
	return l, nil
}

// OpenPicture opens a picture for whoever holds an address that was made for it: the caller has checked that. A frame
// without our origin sends no cookie, so nobody is asked for here.
func (f *Files) OpenPicture(ctx context.Context, id uuid.UUID) (*Stored, error) {
	var s Stored
	err := f.pool.QueryRow(ctx, openPictureSQL, id).Scan(&s.Hash, &s.Type, &s.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errs.New(errs.NotFound, "There is no such picture.")
	}
	if err != nil {
		return nil, fmt.Errorf("find picture: %w", err)
	}
	s.ReadSeekCloser, s.Size, err = f.store.Open(ctx, s.Hash)
	return &s, err
}
