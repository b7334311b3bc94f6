package crm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/postgres"
)

// Undo takes a merge back: every recorded row gets its old values, and what came after the merge follows the identity
// through which it came (R14). Only the latest active merge of either side can be undone. It returns the id of the
// contact that stands alone again.
func (s *Service) Undo(ctx context.Context, by events.Actor, mergeID int64) (int64, error) {
	var from int64
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		var err error
		if from, err = s.undo(ctx, tx, by, mergeID); err != nil {
			return err
		}
		return idem.Done(ctx, tx)
	})
	if err == nil {
		events.Wake(s.bus)
	}
	return from, err
}

// UndoBatch takes back all merges that were asked for together, the last first.
func (s *Service) UndoBatch(ctx context.Context, by events.Actor, batch int64) ([]int64, error) {
	var out []int64
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		out = nil
		rows, err := tx.Query(ctx, `SELECT id FROM merge WHERE batch = $1 AND undone_at IS NULL ORDER BY id DESC`, batch)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errs.New(errs.NotFound, "No merge of that batch is left to undo")
		}
		for _, id := range list {
			from, err := s.undo(ctx, tx, by, id)
			if err != nil {
				return err
			}
			out = append(out, from)
		}
		return idem.Done(ctx, tx)
	})
	if err == nil {
		events.Wake(s.bus)
	}
	return out, err
}

func (s *Service) undo(ctx context.Context, tx pgx.Tx, by events.Actor, mergeID int64) (int64, error) {
	u := Undone{}
	var undone *time.Time
	err := tx.QueryRow(ctx, `SELECT from_id, into_id, at, undone_at FROM merge WHERE id = $1`, mergeID).Scan(&u.From, &u.Into, &u.At, &undone)
	if err == pgx.ErrNoRows {
		return 0, errs.New(errs.NotFound, "Merge not found")
	}
	if err != nil {
		return 0, err
	}
	if err := lockForUndo(ctx, tx, u); err != nil {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
UPDATE merge m SET undone_at = now() WHERE id = $1 AND undone_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM merge o WHERE o.id > m.id AND o.undone_at IS NULL AND (o.into_id IN (m.into_id, m.from_id) OR o.from_id IN (m.into_id, m.from_id)))`, mergeID)
	if err != nil {
		return 0, err
	}
	if tag.RowsAffected() == 0 {
		if undone != nil {
			return 0, errs.New(errs.Conflict, "This merge was undone already")
		}
		return 0, errs.New(errs.Conflict, "A later merge of these contacts must be undone first")
	}
	rows, err := tx.Query(ctx, `SELECT room, tbl, row_id, before FROM merge_move WHERE merge_id = $1 ORDER BY position DESC`, mergeID)
	if err != nil {
		return 0, err
	}
	type moved struct {
		Room string
		Move
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (moved, error) {
		var m moved
		err := row.Scan(&m.Room, &m.Table, &m.RowID, &m.Before)
		return m, err
	})
	if err != nil {
		return 0, err
	}
	byRoom := map[string][]Move{}
	for _, m := range list {
		byRoom[m.Room] = append(byRoom[m.Room], m.Move)
		if m.Table == "identity" {
			id, err := strconv.ParseInt(m.RowID, 10, 64)
			if err != nil {
				return 0, err
			}
			u.Identities = append(u.Identities, id)
		}
	}
	slices.Sort(u.Identities)
	evs, err := undoOwn(ctx, tx, by, u, byRoom["crm"])
	if err != nil {
		return 0, err
	}
	for _, f := range slices.Backward(s.followers) {
		if err := f.Undo(ctx, tx, u, byRoom[f.Room()]); err != nil {
			return 0, fmt.Errorf("put back rows of %s: %w", f.Room(), err)
		}
	}
	briefs, err := loadBriefs(ctx, tx, u.Into, u.From)
	if err != nil {
		return 0, err
	}
	evs = append(evs, mergeEvent(EventContactUnmerged, by, mergeID, u.Into, u.From))
	for _, b := range briefs {
		evs = append(evs, contactEvent(EventContactUpdated, by, b))
	}
	return u.From, events.Append(ctx, tx, evs...)
}

func lockForUndo(ctx context.Context, tx postgres.DB, u Undone) error {
	if _, err := tx.Exec(ctx, `SELECT 1 FROM identity WHERE contact_id IN ($1, $2) ORDER BY kind, value FOR UPDATE`, u.From, u.Into); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT 1 FROM contact WHERE id IN ($1, $2) ORDER BY id FOR UPDATE`, u.From, u.Into)
	return err
}

// undoOwn puts back crm's own rows. What was changed after the merge is kept: a field of the survivor goes back only if
// it still has the value that the merge gave it.
func undoOwn(ctx context.Context, tx postgres.DB, by events.Actor, u Undone, moves []Move) ([]events.Event, error) {
	for _, m := range moves {
		var err error
		switch m.Table {
		case "contact_merged":
			_, err = tx.Exec(ctx, `UPDATE contact SET version = version + 1, updated_at = now(), merged_into = NULL WHERE id = $1::text::bigint`, m.RowID)
		case "contact":
			_, err = tx.Exec(ctx, undoContactSQL, m.RowID, string(m.Before))
		case "identity":
			_, err = tx.Exec(ctx, `UPDATE identity SET contact_id = $2 WHERE id = $1::text::bigint AND contact_id = $3`, m.RowID, u.From, u.Into)
		case "assertion":
			_, err = tx.Exec(ctx, `UPDATE assertion SET contact_id = $2 WHERE id = $1::text::bigint AND contact_id = $3`, m.RowID, u.From, u.Into)
		case "lead":
			// a lead that the merge closed opens again, unless another one took its place meanwhile
			_, err = tx.Exec(ctx, `
UPDATE lead l SET version = l.version + 1, updated_at = now(), contact_id = $3,
       closed_at = CASE WHEN l.outcome = 'merged' AND NOT taken THEN b.closed_at ELSE l.closed_at END,
       outcome   = CASE WHEN l.outcome = 'merged' AND NOT taken THEN b.outcome ELSE l.outcome END
FROM jsonb_to_record($2::jsonb) AS b (outcome text, closed_at timestamptz),
     LATERAL (SELECT EXISTS (SELECT 1 FROM lead o JOIN lead me ON me.id = $1::text::bigint
                             WHERE o.contact_id = $3 AND o.pipeline_id = me.pipeline_id AND o.closed_at IS NULL) AS taken) t
WHERE l.id = $1::text::bigint`, m.RowID, string(m.Before), u.From)
		default:
			err = fmt.Errorf("unknown table %q in the record of merge", m.Table)
		}
		if err != nil {
			return nil, fmt.Errorf("put back %s %s: %w", m.Table, m.RowID, err)
		}
	}
	return leadEvents(ctx, tx, by, moves)
}

const undoContactSQL = `
UPDATE contact c SET version = c.version + 1, updated_at = now(),
       name        = CASE WHEN now_.j->'name' = a.j->'name' THEN b.name ELSE c.name END,
       name_source = CASE WHEN now_.j->'name' = a.j->'name' THEN b.name_source ELSE c.name_source END,
       owner_id    = CASE WHEN now_.j->'owner_id' = a.j->'owner_id' THEN b.owner_id ELSE c.owner_id END,
       language    = CASE WHEN now_.j->'language' = a.j->'language' THEN b.language ELSE c.language END,
       tags        = CASE WHEN now_.j->'tags' = a.j->'tags' THEN b.tags ELSE c.tags END,
       fields      = CASE WHEN now_.j->'fields' = a.j->'fields' THEN b.fields ELSE c.fields END,
       attribution = CASE WHEN now_.j->'attribution' = a.j->'attribution' THEN b.attribution ELSE c.attribution END
FROM jsonb_to_record($2::jsonb->'before') AS b (name text, name_source text, owner_id bigint, language text, tags text[], fields jsonb, attribution jsonb),
     LATERAL (SELECT $2::jsonb->'after' AS j) a,
     LATERAL (SELECT to_jsonb(x) AS j FROM contact x WHERE x.id = $1::text::bigint) now_
WHERE c.id = $1::text::bigint`
