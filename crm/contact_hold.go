package crm

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
)

// SetHold puts a person under legal hold, or takes it back: while it lasts nothing of him is erased, neither by age nor
// by hand. It goes along with a merge.
func (s *Service) SetHold(ctx context.Context, by events.Actor, id int64, hold bool) (Contact, error) {
	var out Contact
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		live, err := Survivor(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		tag, err := tx.Exec(ctx, `UPDATE contact SET version = version + 1, updated_at = now(), legal_hold = $2 WHERE id = $1 AND legal_hold <> $2`, live, hold)
		if err != nil {
			return nil, fmt.Errorf("hold contact %d: %w", live, err)
		}
		if out, err = loadContact(ctx, tx, live); err != nil || tag.RowsAffected() == 0 {
			return nil, err
		}
		briefs, err := loadBriefs(ctx, tx, live)
		if err != nil || len(briefs) == 0 {
			return nil, err
		}
		return []events.Event{
			contactEvent(EventContactUpdated, by, briefs[0]),
			{Kind: EventContactHold, Actor: by, SubjectKind: "contact", SubjectID: briefs[0].ID.String(), Payload: map[string]any{"id": briefs[0].ID, "hold": hold}},
		}, nil
	})
	return out, err
}

func held(ctx context.Context, tx pgx.Tx, family []int64) error {
	var hold bool
	if err := tx.QueryRow(ctx, `SELECT coalesce(bool_or(legal_hold), false) FROM contact WHERE id = ANY ($1::bigint[])`, family).Scan(&hold); err != nil {
		return err
	}
	if hold {
		return errs.New(errs.Conflict, "This person is under legal hold: nothing is erased until it is lifted.")
	}
	return nil
}
