package crm

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
)

// Eraser is a Follower that keeps what people said or did: it removes that when a contact is erased, in the same
// transaction. Numbers that count things stay.
type Eraser interface {
	Erase(ctx context.Context, tx pgx.Tx, by events.Actor, contacts []int64) error
}

// erased is the name that stays where statistics and links point.
const erased = "Erased"

const (
	// the contact and everybody who was merged into it, however deep
	familySQL = `WITH RECURSIVE f AS (
	SELECT id FROM contact WHERE id = $1 UNION SELECT c.id FROM contact c JOIN f ON c.merged_into = f.id) SELECT id FROM f ORDER BY id`

	lockFamilyIdentitiesSQL = `SELECT 1 FROM identity WHERE contact_id = ANY ($1::bigint[]) ORDER BY kind, value FOR UPDATE`
	lockFamilySQL           = `SELECT 1 FROM contact WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE`

	// the row stays for what points at it; its address is free for whoever writes from it next
	eraseIdentitiesSQL = `UPDATE identity SET kind = 'erased', value = id::text, raw = '', display = '', unreachable = 'erased', valid_to = coalesce(valid_to, now())
WHERE contact_id = ANY ($1::bigint[])`
	eraseAssertionsSQL = `DELETE FROM assertion WHERE contact_id = ANY ($1::bigint[])`
	eraseContactsSQL   = `UPDATE contact SET version = version + 1, updated_at = now(), name = $2, name_source = 'manual', language = '', tags = '{}',
	fields = '{}', attribution = '{}' WHERE id = ANY ($1::bigint[])`
	eraseLeadsSQL = `UPDATE lead SET version = version + 1, updated_at = now(), title = '', attribution = '{}' WHERE contact_id = ANY ($1::bigint[])`
	// what a merge wrote down holds names too; erased people are not parted again
	eraseMovesSQL = `DELETE FROM merge_move WHERE merge_id IN (SELECT id FROM merge WHERE into_id = ANY ($1::bigint[]) OR from_id = ANY ($1::bigint[]))`
	eraseMergeSQL = `UPDATE merge SET undone_at = now() WHERE undone_at IS NULL AND (into_id = ANY ($1::bigint[]) OR from_id = ANY ($1::bigint[]))`
)

// EraseContact forgets a person for good: addresses, names, fields, and through the Erasers all that was said. The empty
// contact stays, so that numbers and links hold; the next message from one of the addresses makes a new contact.
func (s *Service) EraseContact(ctx context.Context, by events.Actor, id int64) error {
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		id, err := Survivor(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		rows, err := tx.Query(ctx, familySQL, id)
		if err != nil {
			return nil, fmt.Errorf("erase contact %d: %w", id, err)
		}
		family, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, fmt.Errorf("erase contact %d: %w", id, err)
		}
		for _, sql := range []string{lockFamilyIdentitiesSQL, lockFamilySQL} {
			if _, err := tx.Exec(ctx, sql, family); err != nil {
				return nil, fmt.Errorf("lock contact %d: %w", id, err)
			}
		}
		if err := held(ctx, tx, family); err != nil {
			return nil, err
		}
		for _, f := range s.followers {
			if e, ok := f.(Eraser); ok {
				if err := e.Erase(ctx, tx, by, family); err != nil {
					return nil, fmt.Errorf("erase contact %d from %s: %w", id, f.Room(), err)
				}
			}
		}
		_, err1 := tx.Exec(ctx, eraseIdentitiesSQL, family)
		_, err2 := tx.Exec(ctx, eraseContactsSQL, family, erased)
		_, err3 := tx.Exec(ctx, eraseLeadsSQL, family)
		_, err4 := tx.Exec(ctx, eraseMovesSQL, family)
		_, err5 := tx.Exec(ctx, eraseMergeSQL, family)
		_, err6 := tx.Exec(ctx, eraseAssertionsSQL, family)
		if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
			return nil, fmt.Errorf("erase contact %d: %w", id, err)
		}
		briefs, err := loadBriefs(ctx, tx, id)
		if err != nil || len(briefs) == 0 {
			return nil, err
		}
		return []events.Event{
			contactEvent(EventContactUpdated, by, briefs[0]),
			{Kind: EventContactErased, Actor: by, SubjectKind: "contact", SubjectID: briefs[0].ID.String(), Payload: map[string]any{"id": briefs[0].ID}},
		}, nil
	})
}
