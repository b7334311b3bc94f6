package crm

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/parley-hub/parley/internal/ids"
)

// Each list has an index in its order; contact and stage are looked for through the narrower one, the contact.
const (
	listLeadsSQL     = `SELECT id FROM lead WHERE (updated_at, id) < ($1, $2) ORDER BY updated_at DESC, id DESC LIMIT $3`
	stageLeadsSQL    = `SELECT id FROM lead WHERE stage_id = $4 AND (updated_at, id) < ($1, $2) ORDER BY updated_at DESC, id DESC LIMIT $3`
	leadsOfPersonSQL = `SELECT id FROM lead WHERE contact_id = $4 AND ($5 = 0 OR stage_id = $5) AND (updated_at, id) < ($1, $2)
ORDER BY updated_at DESC, id DESC LIMIT $3`

	listPipelinesSQL = `SELECT p.id, p.name, p.is_default, s.id, s.position, s.name, s.kind
FROM pipeline p JOIN stage s ON s.pipeline_id = p.id ORDER BY p.is_default DESC, p.id, s.position`
)

// LeadKey is a place in a list of leads, which is in order of their last change.
type LeadKey struct {
	At time.Time
	ID ids.ID
}

// Leads lists leads, the last changed first, of one contact or in one stage (0 = any), from a place on (zero = the
// beginning).
func (s *Service) Leads(ctx context.Context, contact, stage int64, after LeadKey, limit int) ([]Lead, error) {
	at, id := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}, int64(1<<62)
	if after.ID != 0 {
		at, id = pgtype.Timestamptz{Time: after.At, Valid: true}, int64(after.ID)
	}
	sql, args := listLeadsSQL, []any{at, id, limit}
	switch {
	case contact != 0:
		live, err := Survivor(ctx, s.pool, contact)
		if err != nil {
			return nil, err
		}
		sql, args = leadsOfPersonSQL, append(args, live, stage)
	case stage != 0:
		sql, args = stageLeadsSQL, append(args, stage)
	}
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("list leads: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("list leads: %w", err)
	}
	leads, err := loadLeads(ctx, s.pool, keys)
	if err != nil {
		return nil, fmt.Errorf("list leads: %w", err)
	}
	place := make(map[ids.ID]Lead, len(leads))
	for _, l := range leads {
		place[l.ID] = l
	}
	out := make([]Lead, 0, len(keys))
	for _, k := range keys {
		if l, ok := place[ids.ID(k)]; ok {
			out = append(out, l)
		}
	}
	return out, nil
}

// Pipelines lists the pipelines with their stages, the default one first.
func (s *Service) Pipelines(ctx context.Context) ([]Pipeline, error) {
	rows, err := s.pool.Query(ctx, listPipelinesSQL)
	if err != nil {
		return nil, fmt.Errorf("list pipelines: %w", err)
	}
	out := []Pipeline{}
	var p Pipeline
	var st Stage
	if _, err := pgx.ForEachRow(rows, []any{&p.ID, &p.Name, &p.IsDefault, &st.ID, &st.Position, &st.Name, &st.Kind}, func() error {
		if len(out) == 0 || out[len(out)-1].ID != p.ID {
			out = append(out, Pipeline{ID: p.ID, Name: p.Name, IsDefault: p.IsDefault})
		}
		last := &out[len(out)-1]
		last.Stages = append(last.Stages, st)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list pipelines: %w", err)
	}
	return out, nil
}
