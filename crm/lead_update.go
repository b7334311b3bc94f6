package crm

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	insertLeadSQL = `INSERT INTO lead (contact_id, pipeline_id, stage_id, title, owner_id, source, amount)
SELECT $1, p.id, (SELECT id FROM stage WHERE pipeline_id = p.id ORDER BY position LIMIT 1), $3, nullif($4::bigint, 0), 'manual', $5
FROM pipeline p WHERE p.id = $2 OR ($2 = 0 AND p.is_default) RETURNING id`

	lockLeadSQL = `SELECT version, pipeline_id, coalesce(outcome, '') FROM lead WHERE id = $1 FOR UPDATE`

	// the stage says whether the lead is won, lost or open
	updateLeadSQL = `UPDATE lead l SET version = l.version + 1, updated_at = now(), title = coalesce($2, l.title),
	owner_id = CASE WHEN $3 THEN nullif($4::bigint, 0) ELSE l.owner_id END, stage_id = s.id,
	amount = coalesce($6, l.amount), stage_at = CASE WHEN l.stage_id = s.id THEN l.stage_at ELSE now() END,
	outcome = CASE WHEN s.kind IN ('won', 'lost') THEN s.kind END,
	closed_at = CASE WHEN s.kind IN ('won', 'lost') THEN CASE WHEN l.outcome = s.kind THEN l.closed_at ELSE now() END END
FROM stage s WHERE l.id = $1 AND s.id = coalesce($5, l.stage_id)`
)

// NewLead is a lead made by hand.
type NewLead struct {
	Contact  ids.ID
	Pipeline ids.ID // 0 = the default one
	Title    string
	Owner    ids.ID
	Amount   int64 // hundredths of the pipeline's currency
}

// LeadPatch changes what is set.
type LeadPatch struct {
	Version int
	Stage   *ids.ID
	Owner   ids.Patch
	Title   *string
	Amount  *int64
}

// CreateLead opens a lead in the first stage. A contact has one open lead per pipeline; a second is a conflict.
func (s *Service) CreateLead(ctx context.Context, by events.Actor, n NewLead) (Lead, error) {
	if n.Title != "" {
		var err error
		if n.Title, err = cleanLine("title", n.Title, 200); err != nil {
			return Lead{}, err
		}
	}
	var lead Lead
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		contact, err := Survivor(ctx, tx, int64(n.Contact))
		if errs.Is(err, errs.NotFound) {
			return nil, errs.Field("contact_id", "there is no such contact")
		}
		if err != nil {
			return nil, err
		}
		var id int64
		err = tx.QueryRow(ctx, insertLeadSQL, contact, int64(n.Pipeline), n.Title, int64(n.Owner), n.Amount).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.Field("pipeline_id", "there is no such pipeline")
		}
		if err != nil {
			return nil, fmt.Errorf("create lead: %w", err)
		}
		var evs []events.Event
		lead, evs, err = leadChanged(ctx, tx, EventLeadCreated, by, id)
		return evs, err
	})
	return lead, oneOpen(err)
}

// UpdateLead changes a lead; a stage that is won or lost closes it, any other opens it again.
func (s *Service) UpdateLead(ctx context.Context, by events.Actor, id int64, p LeadPatch) (Lead, error) {
	if p.Title != nil && *p.Title != "" {
		title, err := cleanLine("title", *p.Title, 200)
		if err != nil {
			return Lead{}, err
		}
		p.Title = &title
	}
	var lead Lead
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := mayMove(ctx, tx, id, p); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, updateLeadSQL, id, p.Title, p.Owner.Set, int64(p.Owner.ID), p.Stage, p.Amount); err != nil {
			return nil, fmt.Errorf("update lead %d: %w", id, err)
		}
		var evs []events.Event
		var err error
		lead, evs, err = leadChanged(ctx, tx, EventLeadUpdated, by, id)
		return evs, err
	})
	return lead, oneOpen(err)
}

func mayMove(ctx context.Context, tx pgx.Tx, id int64, p LeadPatch) error {
	var version int
	var pipeline, of int64
	var outcome string
	err := tx.QueryRow(ctx, lockLeadSQL, id).Scan(&version, &pipeline, &outcome)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errs.New(errs.NotFound, "There is no such lead.")
	case err != nil:
		return fmt.Errorf("lock lead %d: %w", id, err)
	case version != p.Version:
		return &errs.E{Code: errs.Conflict, Msg: "Somebody changed this lead meanwhile.", Extra: map[string]any{"version": version}}
	case outcome == "merged":
		return errs.New(errs.Conflict, "This lead goes on in another one, since its contacts were merged.")
	case p.Stage == nil:
		return nil
	}
	err = tx.QueryRow(ctx, `SELECT pipeline_id FROM stage WHERE id = $1`, int64(*p.Stage)).Scan(&of)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && of != pipeline {
		return errs.Field("stage_id", "is no stage of this lead's pipeline")
	}
	if err != nil {
		return fmt.Errorf("look at stage %s: %w", *p.Stage, err)
	}
	return nil
}

func leadChanged(ctx context.Context, tx pgx.Tx, kind string, by events.Actor, id int64) (Lead, []events.Event, error) {
	leads, err := loadLeads(ctx, tx, []int64{id})
	if err != nil {
		return Lead{}, nil, fmt.Errorf("load lead %d: %w", id, err)
	}
	if len(leads) == 0 {
		return Lead{}, nil, errs.New(errs.NotFound, "There is no such lead.")
	}
	return leads[0], []events.Event{leadEvent(kind, by, leads[0])}, nil
}

func oneOpen(err error) error {
	if name, ok := postgres.Unique(err); ok && name == "lead_one_open" {
		return &errs.E{Code: errs.Conflict, Msg: "This contact has an open lead in that pipeline already.", Err: err}
	}
	return err
}
