package crm

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	maxPipelines = 50
	maxStages    = 20
	maxRotDays   = 3650
)

const (
	insertPipelineSQL = `INSERT INTO pipeline (name, currency, is_default) SELECT $1, $2, false WHERE (SELECT count(*) FROM pipeline) < $3 RETURNING id`
	lockPipelineSQL   = `SELECT version FROM pipeline WHERE id = $1 FOR UPDATE`
	updatePipelineSQL = `UPDATE pipeline SET version = version + 1, name = coalesce($2, name), currency = coalesce($3, currency), is_default = is_default OR $4 WHERE id = $1`
	noDefaultSQL      = `UPDATE pipeline SET version = version + 1, is_default = false WHERE is_default AND id <> $1`
	stagesOfSQL       = `SELECT s.id, s.kind, (SELECT count(*) FROM lead l WHERE l.stage_id = s.id)::int FROM stage s WHERE s.pipeline_id = $1 ORDER BY s.position FOR UPDATE`
	// out of the way of the new places; (pipeline_id, position) is unique
	moveStagesSQL  = `UPDATE stage SET position = -1 - position WHERE pipeline_id = $1`
	dropStageSQL   = `DELETE FROM stage WHERE id = $1`
	updateStageSQL = `UPDATE stage SET position = $2, name = $3, kind = $4, rot_days = $5 WHERE id = $1`
	insertStageSQL = `INSERT INTO stage (pipeline_id, position, name, kind, rot_days) VALUES ($1, $2, $3, $4, $5)`
)

// StageInput is a stage as it shall be; ID 0 = a new one.
type StageInput struct {
	ID      ids.ID
	Name    string
	Kind    string
	RotDays int
}

// PipelineInput changes what is set. Stages is the whole list in its order: what is missing from it goes, if no lead is
// in it.
type PipelineInput struct {
	Version  int
	Name     *string
	Currency *string
	Default  bool // make it the one for channels that name none
	Stages   []StageInput
}

var currencyPattern = regexp.MustCompile(`^[A-Z]{3}$`)

func (in *PipelineInput) check() error {
	if in.Name != nil {
		name, err := cleanLine("name", *in.Name, 100)
		if err != nil {
			return err
		}
		in.Name = &name
	}
	if in.Currency != nil && !currencyPattern.MatchString(*in.Currency) {
		return errs.Field("currency", "must be three capital letters, as in EUR")
	}
	if in.Stages == nil {
		return nil
	}
	if n := len(in.Stages); n < 3 || n > maxStages {
		return errs.Field("stages", "must be 3 to %d", maxStages)
	}
	kinds := map[string]int{}
	names := map[string]bool{}
	for i := range in.Stages {
		s, field := &in.Stages[i], fmt.Sprintf("stages[%d]", i)
		name, err := cleanLine(field+".name", s.Name, 100)
		if err != nil {
			return err
		}
		s.Name = name
		switch {
		case s.Kind != "incoming" && s.Kind != "open" && s.Kind != "won" && s.Kind != "lost":
			return errs.Field(field+".kind", "must be incoming, open, won or lost")
		case s.Kind == "incoming" && i > 0:
			return errs.Field(field+".kind", "only the first stage takes in what comes")
		case names[s.Name]:
			return errs.Field(field+".name", "stands in this pipeline twice")
		case s.RotDays < 0 || s.RotDays > maxRotDays:
			return errs.Field(field+".rot_days", "must be 0 to %d", maxRotDays)
		}
		kinds[s.Kind]++
		names[s.Name] = true
	}
	if first := in.Stages[0].Kind; first != "incoming" && first != "open" {
		return errs.Field("stages[0].kind", "new leads begin here: it must be incoming or open")
	}
	if kinds["won"] != 1 || kinds["lost"] != 1 {
		return errs.Field("stages", "must have one stage for won and one for lost")
	}
	if kinds["open"] == 0 {
		return errs.Field("stages", "must have an open stage, where accepted leads go")
	}
	return nil
}

// CreatePipeline makes a pipeline with its stages.
func (s *Service) CreatePipeline(ctx context.Context, by events.Actor, in PipelineInput) (Pipeline, error) {
	if in.Name == nil {
		return Pipeline{}, errs.Field("name", "must not be empty")
	}
	if in.Currency == nil {
		usd := "USD"
		in.Currency = &usd
	}
	if in.Stages == nil {
		return Pipeline{}, errs.Field("stages", "must be given")
	}
	if err := in.check(); err != nil {
		return Pipeline{}, err
	}
	return s.changePipeline(ctx, by, in, func(tx pgx.Tx) (id int64, err error) {
		err = tx.QueryRow(ctx, insertPipelineSQL, *in.Name, *in.Currency, maxPipelines).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, errs.New(errs.Conflict, "There are %d pipelines already; nobody finds his way among more.", maxPipelines)
		}
		return id, err
	})
}

// UpdatePipeline changes a pipeline. A stage that holds leads neither goes nor changes between open and closed.
func (s *Service) UpdatePipeline(ctx context.Context, by events.Actor, id int64, in PipelineInput) (Pipeline, error) {
	if err := in.check(); err != nil {
		return Pipeline{}, err
	}
	return s.changePipeline(ctx, by, in, func(tx pgx.Tx) (int64, error) {
		var version int
		err := tx.QueryRow(ctx, lockPipelineSQL, id).Scan(&version)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return 0, errs.New(errs.NotFound, "There is no such pipeline.")
		case err != nil:
			return 0, err
		case version != in.Version:
			return 0, &errs.E{Code: errs.Conflict, Msg: "Somebody changed this pipeline meanwhile.", Extra: map[string]any{"version": version}}
		}
		if in.Default {
			if _, err := tx.Exec(ctx, noDefaultSQL, id); err != nil {
				return 0, err
			}
		}
		_, err = tx.Exec(ctx, updatePipelineSQL, id, in.Name, in.Currency, in.Default)
		return id, err
	})
}

func (s *Service) changePipeline(ctx context.Context, by events.Actor, in PipelineInput, fn func(tx pgx.Tx) (int64, error)) (Pipeline, error) {
	var out Pipeline
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		id, err := fn(tx)
		if err == nil && in.Stages != nil {
			err = setStages(ctx, tx, id, in.Stages)
		}
		if err != nil {
			return nil, err
		}
		list, err := loadPipelines(ctx, tx)
		if err != nil {
			return nil, err
		}
		var evs []events.Event
		for _, p := range list {
			switch {
			case p.ID == ids.ID(id):
				out = p
			case !in.Default: // another one may have stopped being the default
				continue
			}
			evs = append(evs, events.Event{Kind: EventPipelineUpdated, Actor: by, SubjectKind: "pipeline", SubjectID: p.ID.String(), Payload: p})
		}
		return evs, nil
	})
	if name, ok := postgres.Unique(err); ok && name == "pipeline_name_key" {
		return out, errs.Field("name", "another pipeline is called so")
	}
	return out, err
}

func setStages(ctx context.Context, tx pgx.Tx, pipeline int64, want []StageInput) error {
	type old struct {
		ID    ids.ID
		Kind  string
		Leads int
	}
	rows, err := tx.Query(ctx, stagesOfSQL, pipeline)
	if err != nil {
		return fmt.Errorf("read stages: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[old])
	if err != nil {
		return fmt.Errorf("read stages: %w", err)
	}
	have := make(map[ids.ID]old, len(list))
	for _, o := range list {
		have[o.ID] = o
	}
	b := &pgx.Batch{}
	b.Queue(moveStagesSQL, pipeline)
	for i, w := range want {
		field := fmt.Sprintf("stages[%d]", i)
		if w.ID == 0 {
			b.Queue(insertStageSQL, pipeline, i, w.Name, w.Kind, w.RotDays)
			continue
		}
		o, ok := have[w.ID]
		if !ok {
			return errs.Field(field+".id", "is no stage of this pipeline, or stands there twice")
		}
		delete(have, w.ID)
		if o.Leads > 0 && o.Kind != w.Kind && (closes(o.Kind) || closes(w.Kind)) {
			return errs.Field(field+".kind", "cannot change while %d leads are in it", o.Leads)
		}
		b.Queue(updateStageSQL, int64(w.ID), i, w.Name, w.Kind, w.RotDays)
	}
	for _, o := range list {
		if _, gone := have[o.ID]; !gone {
			continue
		}
		if o.Leads > 0 {
			return errs.Field("stages", "%d leads are in a stage that is missing from the list: move them first", o.Leads)
		}
		b.Queue(dropStageSQL, int64(o.ID))
	}
	return tx.SendBatch(ctx, b).Close()
}

func closes(kind string) bool { return kind == "won" || kind == "lost" }
