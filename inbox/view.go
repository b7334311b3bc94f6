package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// The events of saved views carry the whole view; one that is not shared goes to its maker only.
const (
	EventViewUpdated = "view.updated"
	EventViewDeleted = "view.deleted"
)

const (
	viewSaved = "saved:"

	maxViews          = 200 // that one agent makes
	maxViewName       = 50
	maxWaitingMinutes = 60 * 24 * 30
)

// ViewFilter is what a saved view shows: every condition that is set must hold.
type ViewFilter struct {
	Status         string  `json:"status" required:"false" enum:"active,open,waiting,snoozed,closed,"  doc:"active = open or waiting"`
	TeamID         *ids.ID `json:"team_id" required:"false" nullable:"true"`
	Assignee       string  `json:"assignee" required:"false" maxLength:"20" doc:"an agent's id, me, none, or empty for anybody"`
	ChannelID      *ids.ID `json:"channel_id" required:"false" nullable:"true"`
	Tag            string  `json:"tag" required:"false" maxLength:"200"`
	Priority       int     `json:"priority" required:"false" minimum:"0" maximum:"3" doc:"at least this"`
	WaitingMinutes int     `json:"waiting_minutes" required:"false" minimum:"0" maximum:"43200" doc:"the customer waits longer than this"`
	Unread         bool    `json:"unread" required:"false" doc:"with messages that I have not read"`
}

// View is a filter that somebody saved under a name.
type View struct {
	ID      ids.ID     `json:"id"`
	Version int        `json:"version"`
	AgentID ids.ID     `json:"agent_id" doc:"who made it"`
	Shared  bool       `json:"shared" doc:"everybody has it"`
	Name    string     `json:"name"`
	Filter  ViewFilter `json:"filter"`
}

// ViewInput is a view as somebody saves it.
type ViewInput struct {
	Name   string     `json:"name" maxLength:"200"`
	Shared bool       `json:"shared" required:"false"`
	Filter ViewFilter `json:"filter"`
}

const (
	viewColumns = `v.id, v.version, v.agent_id, v.shared, v.name, v.filter`

	listViewsSQL  = `SELECT ` + viewColumns + ` FROM view v WHERE v.agent_id = $1 OR v.shared ORDER BY lower(v.name), v.id LIMIT 1000`
	allViewsSQL   = `SELECT ` + viewColumns + ` FROM view v`
	getViewSQL    = `SELECT ` + viewColumns + ` FROM view v WHERE v.id = $1 AND (v.agent_id = $2 OR v.shared)`
	lockViewSQL   = getViewSQL + ` FOR UPDATE`
	countViewsSQL = `SELECT count(*)::int FROM view WHERE agent_id = $1`
	insertViewSQL = `INSERT INTO view AS v (agent_id, shared, name, filter) VALUES ($1, $2, $3, $4) RETURNING ` + viewColumns
	updateViewSQL = `UPDATE view v SET version = v.version + 1, shared = $2, name = $3, filter = $4 WHERE v.id = $1 RETURNING ` + viewColumns
	deleteViewSQL = `DELETE FROM view WHERE id = $1`
)

func scanView(row pgx.CollectableRow) (View, error) {
	var v View
	var filter []byte
	err := row.Scan(&v.ID, &v.Version, &v.AgentID, &v.Shared, &v.Name, &filter)
	if err == nil {
		err = json.Unmarshal(filter, &v.Filter)
	}
	return v, err
}

func oneView(ctx context.Context, db postgres.DB, sql string, args ...any) (View, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return View{}, err
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanView)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, errs.New(errs.NotFound, "There is no such view.")
	}
	return v, err
}

func (in *ViewInput) check(a staff.Access) error {
	if in.Shared {
		if err := may(a, staff.Reply, "share views"); err != nil {
			return err
		}
	}
	in.Name = strings.Join(strings.Fields(storable(in.Name, 4*maxViewName)), " ")
	if in.Name == "" || utf8.RuneCountInString(in.Name) > maxViewName {
		return errs.Field("name", "must have 1 to %d characters", maxViewName)
	}
	return in.Filter.check()
}

func (f *ViewFilter) check() error {
	switch f.Status {
	case "":
		f.Status = "active"
	case "active", string(Open), string(Waiting), string(Snoozed), string(Closed):
	default:
		return errs.Field("filter.status", "must be active, open, waiting, snoozed or closed")
	}
	if f.Assignee != "" && f.Assignee != "me" && f.Assignee != "none" {
		if id, err := ids.Parse(f.Assignee); err != nil || id == 0 {
			return errs.Field("filter.assignee", `must be an agent's id, "me" or "none"`)
		}
	}
	if f.Tag != "" {
		tags, err := cleanTags([]string{f.Tag})
		if err != nil {
			return errs.Field("filter.tag", "must be a tag of at most %d characters", maxTag)
		}
		f.Tag = tags[0]
	}
	if f.Priority < 0 || f.Priority > 3 {
		return errs.Field("filter.priority", "must be between 0 and 3")
	}
	if f.WaitingMinutes < 0 || f.WaitingMinutes > maxWaitingMinutes {
		return errs.Field("filter.waiting_minutes", "must be between 0 and %d", maxWaitingMinutes)
	}
	if f.TeamID != nil && *f.TeamID == 0 {
		f.TeamID = nil
	}
	if f.ChannelID != nil && *f.ChannelID == 0 {
		f.ChannelID = nil
	}
	return nil
}

// mayEditView: one's own; shared ones also whoever manages teams.
func mayEditView(a staff.Access, v View) bool {
	return v.AgentID == a.AgentID || v.Shared && a.Can(staff.ManageTeams)
}

// Views lists the caller's views and the shared ones, by name.
func (d *Desk) Views(ctx context.Context, a staff.Access) ([]View, error) {
	rows, err := d.pool.Query(ctx, listViewsSQL, int64(a.AgentID))
	if err != nil {
		return nil, fmt.Errorf("list views: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanView)
	if err != nil {
		return nil, fmt.Errorf("list views: %w", err)
	}
	return orEmpty(list), nil
}

// CreateView saves a filter under a name.
func (d *Desk) CreateView(ctx context.Context, a staff.Access, in ViewInput) (View, error) {
	if err := in.check(a); err != nil {
		return View{}, err
	}
	var v View
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var n int
		if err := tx.QueryRow(ctx, countViewsSQL, int64(a.AgentID)).Scan(&n); err != nil {
			return nil, fmt.Errorf("count views: %w", err)
		}
		if n >= maxViews {
			return nil, errs.New(errs.Conflict, "You have %d views already: remove one first.", maxViews)
		}
		filter, err := json.Marshal(in.Filter)
		if err != nil {
			return nil, err
		}
		if v, err = oneView(ctx, tx, insertViewSQL, int64(a.AgentID), in.Shared, in.Name, string(filter)); err != nil {
			return nil, fmt.Errorf("save view: %w", err)
		}
		return []events.Event{viewEvent(EventViewUpdated, a, v)}, nil
	})
	return v, err
}

// UpdateView replaces a view over the version that the caller saw. When it is shared no more, the others lose it.
func (d *Desk) UpdateView(ctx context.Context, a staff.Access, id ids.ID, version int, in ViewInput) (View, error) {
	if err := in.check(a); err != nil {
		return View{}, err
	}
	var v View
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		was, err := lockView(ctx, tx, a, id)
		if err != nil {
			return nil, err
		}
		if was.Version != version {
			return nil, &errs.E{Code: errs.Conflict, Msg: "Somebody changed this view meanwhile.", Extra: map[string]any{"version": was.Version}}
		}
		filter, err := json.Marshal(in.Filter)
		if err != nil {
			return nil, err
		}
		if v, err = oneView(ctx, tx, updateViewSQL, int64(id), in.Shared, in.Name, string(filter)); err != nil {
			return nil, fmt.Errorf("save view: %w", err)
		}
		var evs []events.Event
		if was.Shared && !v.Shared {
			evs = append(evs, viewEvent(EventViewDeleted, a, was))
		}
		return append(evs, viewEvent(EventViewUpdated, a, v)), nil
	})
	return v, err
}

// DeleteView removes a view.
func (d *Desk) DeleteView(ctx context.Context, a staff.Access, id ids.ID) error {
	return d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		was, err := lockView(ctx, tx, a, id)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, deleteViewSQL, int64(id)); err != nil {
			return nil, fmt.Errorf("delete view: %w", err)
		}
		return []events.Event{viewEvent(EventViewDeleted, a, was)}, nil
	})
}

func lockView(ctx context.Context, tx pgx.Tx, a staff.Access, id ids.ID) (View, error) {
	v, err := oneView(ctx, tx, lockViewSQL, int64(id), int64(a.AgentID))
	if err != nil {
		return v, err
	}
	if !mayEditView(a, v) {
		return v, errs.New(errs.Forbidden, "You may not change this view: somebody else made it.")
	}
	return v, nil
}

func viewEvent(kind string, a staff.Access, v View) events.Event {
	return events.Event{Kind: kind, Actor: a.Actor(), SubjectKind: "view", SubjectID: v.ID.String(), Payload: v}
}

// loadSaved turns the name of a saved view into its filter.
func (d *Desk) loadSaved(ctx context.Context, a staff.Access, q *ListQuery) error {
	name, ok := strings.CutPrefix(q.View, viewSaved)
	if !ok {
		return nil
	}
	id, err := ids.Parse(name)
	if err != nil || id == 0 {
		return errs.Field("query.view", "a saved view is saved: and its id")
	}
	v, err := oneView(ctx, d.pool, getViewSQL, int64(id), int64(a.AgentID))
	if err != nil {
		return err
	}
	q.View, q.saved = "", &v.Filter
	return nil
}

// narrow puts the filter's conditions on a list. Channel, tag and the urgent ones have an index each; the rest is a
// condition on rows that are read by last_at anyway.
func (l *list) narrow(f ViewFilter) error {
	switch f.Status {
	case string(Open), string(Waiting):
		l.statuses = []string{activeSQL + ` AND c.status = '` + f.Status + `'`}
	case string(Snoozed), string(Closed):
		l.statuses = []string{`c.status = '` + f.Status + `'`}
	}
	if f.TeamID != nil {
		l.filter("c.team_id = " + l.arg(int64(*f.TeamID), "bigint"))
	}
	if err := l.assignee(f.Assignee, "filter.assignee"); err != nil {
		return err
	}
	if f.ChannelID != nil {
		l.filter("c.channel_id = " + l.arg(int64(*f.ChannelID), "bigint"))
	}
	l.tag(f.Tag)
	if f.Priority > 0 {
		l.filter("c.priority > 0 AND c.priority >= " + l.arg(f.Priority, "int"))
	}
	if f.WaitingMinutes > 0 {
		l.filter("c.waiting_since IS NOT NULL AND c.waiting_since <= now() - make_interval(mins => " + l.arg(f.WaitingMinutes, "int") + ")")
	}
	if f.Unread {
		l.filter("c.in_count > coalesce((SELECT k.in_no FROM read_marker k WHERE k.agent_id = " + l.me + " AND k.conversation_id = c.id), 0)")
	}
	return nil
}
