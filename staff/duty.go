package staff

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// DutyAgent is a member of a team as routing sees him.
type DutyAgent struct {
	ID          ids.ID
	Name        string
	Status      Status
	HeartbeatAt time.Time
	Since       time.Time // of the status
	Capacity    int
	// Why says in a word what keeps him from getting anything: disabled, status, heartbeat, absent, hours, team_hours;
	// "" = he is on duty.
	Why string
}

// OnDuty reports whether the agent may be given something now.
func (d DutyAgent) OnDuty() bool { return d.Why == "" }

// One statement, so that the answer is of one instant; the clock is the database's, since nodes compare with it.
const sqlDuty = `
SELECT a.id, a.name, coalesce(s.status, 'off') AS status, coalesce(s.heartbeat_at, to_timestamp(0)) AS heartbeat_at,
	coalesce(s.since, to_timestamp(0)) AS since, a.capacity,
	a.disabled_at IS NOT NULL AS disabled,
	coalesce(s.heartbeat_at, to_timestamp(0)) < now() - interval '60 seconds' AS old,
	EXISTS (SELECT FROM absence x WHERE x.agent_id = a.id AND x.from_at <= now() AND x.to_at > now()) AS absent,
	coalesce(a.hours_id, 0) AS hours_id, now() AS now
FROM agent a LEFT JOIN agent_status s ON s.agent_id = a.id
WHERE a.id = ANY($1) OR EXISTS (SELECT FROM team_member m WHERE m.team_id = $2 AND m.agent_id = a.id)
ORDER BY a.id`

const sqlTeamHours = `SELECT coalesce(hours_id, 0), now() FROM team WHERE id = $1`

type dutyRow struct {
	ID          ids.ID
	Name        string
	Status      Status
	HeartbeatAt time.Time
	Since       time.Time
	Capacity    int
	Disabled    bool
	Old         bool
	Absent      bool
	HoursID     ids.ID
	Now         time.Time
}

// Duty lists all members of a team with the reason why they are not on duty, for the dry run of the router.
func Duty(ctx context.Context, db postgres.DB, team ids.ID) ([]DutyAgent, error) {
	open, err := TeamOpen(ctx, db, team)
	if err != nil {
		return nil, err
	}
	out, err := duty(ctx, db, []ids.ID{}, team)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if out[i].Why == "" && !open {
			out[i].Why = "team_hours"
		}
	}
	return out, nil
}

// OnDuty lists the members of a team who may be given something now: status online with a heartbeat younger than 60 s,
// not disabled, not absent, within their own hours and the team's.
func OnDuty(ctx context.Context, db postgres.DB, team ids.ID) ([]DutyAgent, error) {
	all, err := Duty(ctx, db, team)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, d := range all {
		if d.OnDuty() {
			out = append(out, d)
		}
	}
	return out, nil
}

// AgentsOnDuty is the same for agents by id, whatever their teams: sticky owners.
func AgentsOnDuty(ctx context.Context, db postgres.DB, agents []ids.ID) ([]DutyAgent, error) {
	if len(agents) == 0 {
		return nil, nil
	}
	all, err := duty(ctx, db, agents, 0)
	if err != nil {
		return nil, err
	}
	out := all[:0]
	for _, d := range all {
		if d.OnDuty() {
			out = append(out, d)
		}
	}
	return out, nil
}

// DutyOf tells for agents by id whether they are on duty, and why not.
func DutyOf(ctx context.Context, db postgres.DB, agents []ids.ID) ([]DutyAgent, error) {
	if len(agents) == 0 {
		return nil, nil
	}
	return duty(ctx, db, agents, 0)
}

// TeamOpen reports whether a team's own hours are open now; a team without hours always is, one that does not exist
// never.
func TeamOpen(ctx context.Context, db postgres.DB, team ids.ID) (bool, error) {
	var hours ids.ID
	var now time.Time
	rows, err := db.Query(ctx, sqlTeamHours, team)
	if err != nil {
		return false, fmt.Errorf("read hours of team %s: %w", team, err)
	}
	found := false
	if _, err := pgx.ForEachRow(rows, []any{&hours, &now}, func() error { found = true; return nil }); err != nil {
		return false, fmt.Errorf("read hours of team %s: %w", team, err)
	}
	if !found || hours == 0 {
		return found, nil
	}
	h, err := HoursByID(ctx, db, hours)
	if err != nil {
		return false, err
	}
	return h.OpenAt(now), nil
}

func duty(ctx context.Context, db postgres.DB, agents []ids.ID, team ids.ID) ([]DutyAgent, error) {
	rows, err := db.Query(ctx, sqlDuty, agents, team)
	if err != nil {
		return nil, fmt.Errorf("read duty: %w", err)
	}
	rs, err := pgx.CollectRows(rows, pgx.RowToStructByName[dutyRow])
	if err != nil {
		return nil, fmt.Errorf("read duty: %w", err)
	}
	hours, err := hoursOf(ctx, db, rs)
	if err != nil {
		return nil, err
	}
	out := make([]DutyAgent, 0, len(rs))
	for _, r := range rs {
		d := DutyAgent{ID: r.ID, Name: r.Name, Status: r.Status, HeartbeatAt: r.HeartbeatAt, Since: r.Since, Capacity: r.Capacity}
		h, has := hours[r.HoursID]
		switch {
		case r.Disabled:
			d.Why = "disabled"
		case r.Status != Online:
			d.Why = "status"
		case r.Old:
			d.Why = "heartbeat"
		case r.Absent:
			d.Why = "absent"
		case has && !h.OpenAt(r.Now):
			d.Why = "hours"
		}
		out = append(out, d)
	}
	return out, nil
}

func hoursOf(ctx context.Context, db postgres.DB, rs []dutyRow) (map[ids.ID]Hours, error) {
	need := make([]ids.ID, 0, len(rs))
	for _, r := range rs {
		if r.HoursID != 0 {
			need = append(need, r.HoursID)
		}
	}
	out := make(map[ids.ID]Hours)
	if len(need) == 0 {
		return out, nil
	}
	rows, err := db.Query(ctx, sqlHoursByID, need)
	if err != nil {
		return nil, fmt.Errorf("read hours: %w", err)
	}
	hs, err := pgx.CollectRows(rows, pgx.RowToStructByName[Hours])
	if err != nil {
		return nil, fmt.Errorf("read hours: %w", err)
	}
	for _, h := range hs {
		out[h.ID] = h
	}
	return out, nil
}
