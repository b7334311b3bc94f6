package staff

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// Absence is a time in which somebody gets nothing from a queue.
type Absence struct {
	ID      ids.ID    `json:"id"`
	AgentID ids.ID    `json:"agent_id"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Reason  string    `json:"reason"`
}

const absenceColumns = `id, agent_id, from_at AS "from", to_at AS "to", reason`

const sqlAbsences = `SELECT ` + absenceColumns + `
FROM absence WHERE ($1::bigint = 0 OR agent_id = $1) AND id > $2 ORDER BY id LIMIT $3`

const sqlAbsenceInsert = `
INSERT INTO absence (agent_id, from_at, to_at, reason) VALUES ($1, $2, $3, $4) RETURNING ` + absenceColumns

const sqlAbsenceLock = `SELECT ` + absenceColumns + ` FROM absence WHERE id = $1 FOR UPDATE`

const sqlAbsenceDelete = `DELETE FROM absence WHERE id = $1`

// Absences lists the absences of agent (0 = everybody's) in order of id. Why a colleague is away is his own matter and
// the planners': others see the times only.
func (s *Service) Absences(ctx context.Context, by Access, agent, after ids.ID, limit int) ([]Absence, error) {
	rows, err := s.pool.Query(ctx, sqlAbsences, agent, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list absences: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Absence])
	if err != nil {
		return nil, fmt.Errorf("list absences: %w", err)
	}
	for i := range out {
		if !mayPlan(by, out[i].AgentID) {
			out[i].Reason = ""
		}
	}
	return out, nil
}

// CreateAbsence enters one's own absence, or anybody's with permission agents.manage or teams.manage.
func (s *Service) CreateAbsence(ctx context.Context, by Access, a Absence) (Absence, error) {
	if !mayPlan(by, a.AgentID) {
		return Absence{}, errForbidden()
	}
	a.From, a.To = a.From.UTC().Truncate(time.Microsecond), a.To.UTC().Truncate(time.Microsecond) // what the row can hold
	if !a.To.After(a.From) {
		return Absence{}, errs.Field("to", "must be later than from")
	}
	if a.Reason = strings.TrimSpace(a.Reason); utf8.RuneCountInString(a.Reason) > 500 || strings.ContainsRune(a.Reason, 0) {
		return Absence{}, errs.Field("reason", "must have at most 500 characters")
	}
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := mustExist(ctx, tx, sqlAgentsCount, "agent_id", []ids.ID{a.AgentID}); err != nil {
			return nil, err
		}
		rows, err := tx.Query(ctx, sqlAbsenceInsert, a.AgentID, a.From, a.To, a.Reason)
		if err != nil {
			return nil, fmt.Errorf("insert absence: %w", err)
		}
		if a, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Absence]); err != nil {
			return nil, fmt.Errorf("insert absence: %w", err)
		}
		return []events.Event{event("absence.created", by.Actor(), "agent", a.AgentID, a)}, nil
	})
	return a, err
}

// DeleteAbsence takes an absence back, under the same rule as CreateAbsence. Somebody else's is not found for whoever
// may not plan.
func (s *Service) DeleteAbsence(ctx context.Context, by Access, id ids.ID) error {
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		rows, err := tx.Query(ctx, sqlAbsenceLock, id)
		if err != nil {
			return nil, fmt.Errorf("lock absence %s: %w", id, err)
		}
		a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Absence])
		if errors.Is(err, pgx.ErrNoRows) || (err == nil && !mayPlan(by, a.AgentID)) {
			return nil, errs.New(errs.NotFound, "There is no such absence.")
		}
		if err != nil {
			return nil, fmt.Errorf("lock absence %s: %w", id, err)
		}
		if _, err := tx.Exec(ctx, sqlAbsenceDelete, id); err != nil {
			return nil, fmt.Errorf("delete absence %s: %w", id, err)
		}
		return []events.Event{event("absence.deleted", by.Actor(), "agent", a.AgentID, a)}, nil
	})
}

func mayPlan(by Access, agent ids.ID) bool {
	return by.Can(ManageAgents) || by.Can(ManageTeams) || agent == by.AgentID
}
