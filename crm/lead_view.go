package crm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// Leads are listed in the order of their last change. Each way to narrow them is a condition of its own, so that the
// planner sees which index fits: that of the contact, of the stage, or of the order.
const (
	leadsFromSQL = `FROM lead l JOIN contact c ON c.id = l.contact_id WHERE true`
	// what a merge closed stands in no column: it goes on in another lead
	boardSQL = ` AND l.outcome IS DISTINCT FROM 'merged'`

	listPipelinesSQL = `SELECT p.id, p.version, p.name, p.currency, p.is_default, s.id, s.position, s.name, s.kind, s.rot_days
FROM pipeline p JOIN stage s ON s.pipeline_id = p.id ORDER BY p.is_default DESC, p.id, s.position`
)

// LeadKey is a place in a list of leads, which is in order of their last change.
type LeadKey struct {
	At time.Time
	ID ids.ID
}

// LeadFilter narrows a list of leads; zero values match everything.
type LeadFilter struct {
	Contact  int64
	Pipeline int64
	Stage    int64
	Owner    int64
	Unowned  bool   // those that nobody owns
	Source   string // kind of channel
	Words    string // in the title or the contact's name
}

// where gives the conditions; args begins with what the caller uses.
func (f LeadFilter) where(args []any) (string, []any) {
	var sql strings.Builder
	add := func(condition string, v any) {
		args = append(args, v)
		fmt.Fprintf(&sql, " AND "+condition, len(args))
	}
	if f.Contact != 0 {
		add("l.contact_id = $%d", f.Contact)
	}
	if f.Stage != 0 {
		add("l.stage_id = $%d", f.Stage)
	}
	if f.Pipeline != 0 {
		add("l.stage_id IN (SELECT id FROM stage WHERE pipeline_id = $%d)", f.Pipeline)
	}
	if f.Contact == 0 && (f.Stage != 0 || f.Pipeline != 0) {
		sql.WriteString(boardSQL)
	}
	if f.Owner != 0 {
		add("l.owner_id = $%d", f.Owner)
	}
	if f.Unowned {
		sql.WriteString(" AND l.owner_id IS NULL")
	}
	if f.Source != "" {
		add("l.source = $%d", f.Source)
	}
	if words := strings.TrimSpace(f.Words); words != "" {
		add("(c.name ILIKE $%[1]d OR l.title ILIKE $%[1]d)", "%"+likeEscape.Replace(words)+"%")
	}
	return sql.String(), args
}

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// Leads lists leads, the last changed first, from a place on (zero = the beginning).
func (s *Service) Leads(ctx context.Context, f LeadFilter, after LeadKey, limit int) ([]Lead, error) {
	at, id := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}, int64(1<<62)
	if after.ID != 0 {
		at, id = pgtype.Timestamptz{Time: after.At, Valid: true}, int64(after.ID)
	}
	if f.Contact != 0 {
		live, err := Survivor(ctx, s.pool, f.Contact)
		if err != nil {
			return nil, err
		}
		f.Contact = live
	}
	where, args := f.where([]any{at, id, limit})
	rows, err := s.pool.Query(ctx, "SELECT l.id "+leadsFromSQL+where+" AND (l.updated_at, l.id) < ($1, $2) ORDER BY l.updated_at DESC, l.id DESC LIMIT $3", args...)
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

// StageTotals counts and sums the leads of a pipeline by stage; stages without any are left out.
func (s *Service) StageTotals(ctx context.Context, f LeadFilter) ([]StageTotal, error) {
	where, args := f.where(nil)
	rows, err := s.pool.Query(ctx, "SELECT l.stage_id, count(*)::int, coalesce(sum(l.amount), 0)::bigint "+leadsFromSQL+where+" GROUP BY l.stage_id ORDER BY l.stage_id", args...)
	if err != nil {
		return nil, fmt.Errorf("total leads: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[StageTotal])
	if err != nil {
		return nil, fmt.Errorf("total leads: %w", err)
	}
	return out, nil
}

// Pipelines lists the pipelines with their stages, the default one first.
func (s *Service) Pipelines(ctx context.Context) ([]Pipeline, error) {
	return loadPipelines(ctx, s.pool)
}

func loadPipelines(ctx context.Context, db postgres.DB) ([]Pipeline, error) {
	rows, err := db.Query(ctx, listPipelinesSQL)
	if err != nil {
		return nil, fmt.Errorf("list pipelines: %w", err)
	}
	out := []Pipeline{}
	var p Pipeline
	var st Stage
	if _, err := pgx.ForEachRow(rows, []any{&p.ID, &p.Version, &p.Name, &p.Currency, &p.IsDefault, &st.ID, &st.Position, &st.Name, &st.Kind, &st.RotDays}, func() error {
		if len(out) == 0 || out[len(out)-1].ID != p.ID {
			out = append(out, Pipeline{ID: p.ID, Version: p.Version, Name: p.Name, Currency: p.Currency, IsDefault: p.IsDefault})
		}
		last := &out[len(out)-1]
		last.Stages = append(last.Stages, st)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list pipelines: %w", err)
	}
	return out, nil
}
