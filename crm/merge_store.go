package crm

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

// recordMoves runs an UPDATE ... RETURNING row id, before, and makes moves of table out of it.
func recordMoves(ctx context.Context, tx postgres.DB, table, sql string, args ...any) ([]Move, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Move, error) {
		m := Move{Table: table}
		err := row.Scan(&m.RowID, &m.Before)
		return m, err
	})
}

// recorder writes the moves of one merge in their order.
type recorder struct {
	merge int64
	rooms []string
	moves []Move
}

func (r *recorder) add(room string, moves []Move) {
	for _, m := range moves {
		r.rooms, r.moves = append(r.rooms, room), append(r.moves, m)
	}
}

func (r *recorder) write(ctx context.Context, tx postgres.DB) error {
	var tables, rowIDs, befores []string
	for _, m := range r.moves {
		tables, rowIDs, befores = append(tables, m.Table), append(rowIDs, m.RowID), append(befores, string(m.Before))
	}
	_, err := tx.Exec(ctx, `
INSERT INTO merge_move (merge_id, position, room, tbl, row_id, before)
SELECT $1, u.n, u.room, u.tbl, u.row_id, u.before::jsonb
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS u (room, tbl, row_id, before, n)`,
		r.merge, r.rooms, tables, rowIDs, befores)
	return err
}

func loadBriefs(ctx context.Context, db postgres.DB, idList ...int64) ([]ContactBrief, error) {
	rows, err := db.Query(ctx, `SELECT id, version, kind, name, owner_id, tags, merged_into FROM contact WHERE id = ANY ($1) ORDER BY id`, idList)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (ContactBrief, error) {
		var r briefRow
		var merged *int64
		err := row.Scan(&r.ID, &r.Version, &r.Kind, &r.Name, &r.OwnerID, &r.Tags, &merged)
		b := r.brief()
		if merged != nil {
			b.MergedInto = namedOwner(*merged)
		}
		return b, err
	})
}

func loadLeads(ctx context.Context, db postgres.DB, idList []int64) ([]Lead, error) {
	rows, err := db.Query(ctx, `
SELECT l.id, l.version, l.contact_id, l.pipeline_id, l.stage_id, l.title, l.owner_id, l.source, l.attribution, l.outcome, l.previous_lead,
       l.closed_at, l.created_at, l.updated_at, l.amount, l.stage_at, c.name
FROM lead l JOIN contact c ON c.id = l.contact_id WHERE l.id = ANY ($1) ORDER BY l.id`, idList)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Lead, error) {
		var r leadRow
		var name string
		err := row.Scan(&r.ID, &r.Version, &r.ContactID, &r.PipelineID, &r.StageID, &r.Title, &r.OwnerID, &r.Source, &r.Attribution,
			&r.Outcome, &r.PreviousLead, &r.ClosedAt, &r.CreatedAt, &r.UpdatedAt, &r.Amount, &r.StageAt, &name)
		return r.lead(name), err
	})
}
