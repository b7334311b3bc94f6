package staff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

const hoursColumns = `h.id, h.version, h.name, h.timezone, h.week,
	ARRAY(SELECT to_char(d, 'YYYY-MM-DD') FROM unnest(h.holidays) d ORDER BY d) AS holidays`

const sqlHours = `SELECT ` + hoursColumns + ` FROM hours h WHERE h.id > $1 ORDER BY h.id LIMIT $2`

const sqlHoursByID = `SELECT ` + hoursColumns + ` FROM hours h WHERE h.id = ANY($1) ORDER BY h.id`

const sqlHoursCount = `SELECT count(*) FROM hours WHERE id = ANY($1)`

const sqlHoursInsert = `
INSERT INTO hours (name, timezone, week, holidays) VALUES ($1, $2, coalesce($3::jsonb, '[]'), coalesce($4::text[]::date[], '{}'))
RETURNING id`

const sqlHoursLock = `SELECT version FROM hours WHERE id = $1 FOR UPDATE`

const sqlHoursUpdate = `
UPDATE hours SET version = version + 1, name = coalesce($2, name), timezone = coalesce($3, timezone),
	week = coalesce($4::jsonb, week), holidays = coalesce($5::text[]::date[], holidays)
WHERE id = $1`

const sqlHoursDelete = `DELETE FROM hours WHERE id = $1`

const sqlHoursUsed = `
SELECT EXISTS (SELECT FROM agent WHERE hours_id = $1) OR EXISTS (SELECT FROM team WHERE hours_id = $1)`

// Hours lists the hours in order of id.
func (s *Service) Hours(ctx context.Context, after ids.ID, limit int) ([]Hours, error) {
	rows, err := s.pool.Query(ctx, sqlHours, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list hours: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Hours])
	if err != nil {
		return nil, fmt.Errorf("list hours: %w", err)
	}
	return out, nil
}

// HoursByID reads one set of hours on any database handle; errs.NotFound when there is none.
func HoursByID(ctx context.Context, db postgres.DB, id ids.ID) (Hours, error) {
	rows, err := db.Query(ctx, sqlHoursByID, []ids.ID{id})
	if err != nil {
		return Hours{}, fmt.Errorf("read hours %s: %w", id, err)
	}
	h, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Hours])
	if errors.Is(err, pgx.ErrNoRows) {
		return Hours{}, errs.New(errs.NotFound, "There are no such hours.")
	}
	if err != nil {
		return Hours{}, fmt.Errorf("read hours %s: %w", id, err)
	}
	return h, nil
}

// CreateHours makes hours (permission teams.manage).
func (s *Service) CreateHours(ctx context.Context, by Access, p HoursPatch) (Hours, error) {
	if !by.Can(ManageTeams) {
		return Hours{}, errForbidden()
	}
	if p.Name == nil {
		return Hours{}, errs.Field("name", "must not be empty")
	}
	if p.Timezone == nil {
		return Hours{}, errs.Field("timezone", "must be the name of a time zone, for example Europe/Berlin")
	}
	if err := p.check(); err != nil {
		return Hours{}, err
	}
	week, err := p.weekJSON()
	if err != nil {
		return Hours{}, err
	}
	var out Hours
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var id ids.ID
		if err := tx.QueryRow(ctx, sqlHoursInsert, p.Name, p.Timezone, week, p.Holidays).Scan(&id); err != nil {
			return nil, fmt.Errorf("insert hours: %w", err)
		}
		var err error
		if out, err = HoursByID(ctx, tx, id); err != nil {
			return nil, err
		}
		return []events.Event{event("hours.updated", by.Actor(), "hours", id, out)}, nil
	})
	return out, err
}

// UpdateHours changes hours (permission teams.manage).
func (s *Service) UpdateHours(ctx context.Context, by Access, id ids.ID, p HoursPatch) (Hours, error) {
	if !by.Can(ManageTeams) {
		return Hours{}, errForbidden()
	}
	if err := p.check(); err != nil {
		return Hours{}, err
	}
	week, err := p.weekJSON()
	if err != nil {
		return Hours{}, err
	}
	var out Hours
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := lockVersion(ctx, tx, sqlHoursLock, "set of hours", id, p.Version); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, sqlHoursUpdate, id, p.Name, p.Timezone, week, p.Holidays); err != nil {
			return nil, fmt.Errorf("update hours %s: %w", id, err)
		}
		var err error
		if out, err = HoursByID(ctx, tx, id); err != nil {
			return nil, err
		}
		return []events.Event{event("hours.updated", by.Actor(), "hours", id, out)}, nil
	})
	return out, err
}

// DeleteHours removes hours that no team and no agent uses (permission teams.manage): taking them away silently would
// open a team round the clock.
func (s *Service) DeleteHours(ctx context.Context, by Access, id ids.ID) error {
	if !by.Can(ManageTeams) {
		return errForbidden()
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := lockVersion(ctx, tx, sqlHoursLock, "set of hours", id, 0); err != nil {
			return nil, err
		}
		var used bool
		if err := tx.QueryRow(ctx, sqlHoursUsed, id).Scan(&used); err != nil {
			return nil, fmt.Errorf("look who uses hours %s: %w", id, err)
		}
		if used {
			return nil, errs.New(errs.Conflict, "A team or a person works by these hours. Give them others first.")
		}
		if _, err := tx.Exec(ctx, sqlHoursDelete, id); err != nil {
			return nil, fmt.Errorf("delete hours %s: %w", id, err)
		}
		return []events.Event{event("hours.deleted", by.Actor(), "hours", id, map[string]any{"id": id})}, nil
	})
}

func (p *HoursPatch) weekJSON() (*string, error) {
	if p.Week == nil {
		return nil, nil
	}
	week := *p.Week
	if week == nil {
		week = []Span{}
	}
	b, err := json.Marshal(week)
	if err != nil {
		return nil, fmt.Errorf("encode week: %w", err)
	}
	s := string(b)
	return &s, nil
}
