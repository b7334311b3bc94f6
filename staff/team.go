package staff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// Strategy is how a team's queue hands out conversations.
type Strategy string

// The strategies.
const (
	RoundRobin Strategy = "round_robin"
	LeastBusy  Strategy = "least_busy"
	Manual     Strategy = "manual" // agents take from the queue themselves
)

// Team is a queue and the people who serve it.
type Team struct {
	ID            ids.ID   `json:"id"`
	Version       int      `json:"version"`
	Name          string   `json:"name"`
	Strategy      Strategy `json:"strategy" enum:"round_robin,least_busy,manual"`
	Sticky        bool     `json:"sticky"`
	HoursID       *ids.ID  `json:"hours_id" nullable:"true"`
	AutoReply     string   `json:"auto_reply"`
	OfflineGraceS int      `json:"offline_grace_s"`
	MemberIDs     []ids.ID `json:"member_ids" nullable:"false"`
}

// TeamPatch makes or changes a team; nil leaves as it is, or takes the default for a new one.
type TeamPatch struct {
	Version       int       `json:"version,omitempty" minimum:"0"`
	Name          *string   `json:"name,omitempty" maxLength:"400"`
	Strategy      *Strategy `json:"strategy,omitempty" enum:"round_robin,least_busy,manual"`
	Sticky        *bool     `json:"sticky,omitempty"`
	HoursID       ids.Patch `json:"hours_id,omitempty"`
	AutoReply     *string   `json:"auto_reply,omitempty" maxLength:"2000"`
	OfflineGraceS *int      `json:"offline_grace_s,omitempty" minimum:"0" maximum:"86400"`
	MemberIDs     *[]ids.ID `json:"member_ids,omitempty" maxItems:"1000" nullable:"false"`
}

const teamColumns = `
	t.id, t.version, t.name, t.strategy, t.sticky, t.hours_id, t.auto_reply, t.offline_grace_s,
	ARRAY(SELECT m.agent_id FROM team_member m WHERE m.team_id = t.id ORDER BY m.agent_id) AS member_ids`

const sqlTeams = `SELECT ` + teamColumns + ` FROM team t WHERE t.id > $1 ORDER BY t.id LIMIT $2`

const sqlTeamsByID = `SELECT ` + teamColumns + ` FROM team t WHERE t.id = ANY($1) ORDER BY t.id`

const sqlTeamsCount = `SELECT count(*) FROM team WHERE id = ANY($1)`

const sqlAgentsCount = `SELECT count(*) FROM agent WHERE id = ANY($1)`

const sqlTeamInsert = `
INSERT INTO team (name, strategy, sticky, hours_id, auto_reply, offline_grace_s)
VALUES ($1, coalesce($2, 'least_busy'), coalesce($3, true), nullif($4::bigint, 0), coalesce($5, ''), coalesce($6, 300))
RETURNING id`

const sqlTeamLock = `SELECT version FROM team WHERE id = $1 FOR UPDATE`

const sqlTeamUpdate = `
UPDATE team SET version = version + 1, name = coalesce($2, name), strategy = coalesce($3, strategy),
	sticky = coalesce($4, sticky), hours_id = CASE WHEN $5 THEN nullif($6::bigint, 0) ELSE hours_id END,
	auto_reply = coalesce($7, auto_reply), offline_grace_s = coalesce($8, offline_grace_s)
WHERE id = $1`

const sqlTeamDelete = `DELETE FROM team WHERE id = $1`

const sqlTeamMembersDelete = `DELETE FROM team_member WHERE team_id = $1 AND NOT agent_id = ANY($2) RETURNING agent_id`

const sqlTeamMembersInsert = `
INSERT INTO team_member (team_id, agent_id) SELECT $1, a.id FROM agent a WHERE a.id = ANY($2)
ON CONFLICT DO NOTHING RETURNING agent_id`

// Teams lists the teams in order of id.
func (s *Service) Teams(ctx context.Context, after ids.ID, limit int) ([]Team, error) {
	rows, err := s.pool.Query(ctx, sqlTeams, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list teams: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Team])
	if err != nil {
		return nil, fmt.Errorf("list teams: %w", err)
	}
	return out, nil
}

// TeamByID reads one team on any database handle; errs.NotFound when there is none.
func TeamByID(ctx context.Context, db postgres.DB, id ids.ID) (Team, error) {
	rows, err := db.Query(ctx, sqlTeamsByID, []ids.ID{id})
	if err != nil {
		return Team{}, fmt.Errorf("read team %s: %w", id, err)
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Team])
	if errors.Is(err, pgx.ErrNoRows) {
		return Team{}, errs.New(errs.NotFound, "There is no such team.")
	}
	if err != nil {
		return Team{}, fmt.Errorf("read team %s: %w", id, err)
	}
	return t, nil
}

// CreateTeam makes a team (permission teams.manage).
func (s *Service) CreateTeam(ctx context.Context, by Access, p TeamPatch) (Team, error) {
	if !by.Can(ManageTeams) {
		return Team{}, errForbidden()
	}
	if p.Name == nil {
		return Team{}, errs.Field("name", "must not be empty")
	}
	if err := p.check(); err != nil {
		return Team{}, err
	}
	var out Team
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := p.checkRefs(ctx, tx); err != nil {
			return nil, err
		}
		var id ids.ID
		err := tx.QueryRow(ctx, sqlTeamInsert, p.Name, p.Strategy, p.Sticky, p.HoursID.ID, p.AutoReply, p.OfflineGraceS).Scan(&id)
		if err != nil {
			return nil, teamError("insert team", err)
		}
		evs, err := setMembers(ctx, tx, by.Actor(), id, p.MemberIDs)
		if err != nil {
			return nil, err
		}
		if out, err = TeamByID(ctx, tx, id); err != nil {
			return nil, err
		}
		return append([]events.Event{event("team.created", by.Actor(), "team", id, out)}, evs...), nil
	})
	return out, err
}

// UpdateTeam changes a team and its members (permission teams.manage).
func (s *Service) UpdateTeam(ctx context.Context, by Access, id ids.ID, p TeamPatch) (Team, error) {
	if !by.Can(ManageTeams) {
		return Team{}, errForbidden()
	}
	if err := p.check(); err != nil {
		return Team{}, err
	}
	var out Team
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := lockVersion(ctx, tx, sqlTeamLock, "team", id, p.Version); err != nil {
			return nil, err
		}
		if err := p.checkRefs(ctx, tx); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, sqlTeamUpdate, id, p.Name, p.Strategy, p.Sticky, p.HoursID.Set, p.HoursID.ID, p.AutoReply, p.OfflineGraceS)
		if err != nil {
			return nil, teamError("update team "+id.String(), err)
		}
		evs, err := setMembers(ctx, tx, by.Actor(), id, p.MemberIDs)
		if err != nil {
			return nil, err
		}
		if out, err = TeamByID(ctx, tx, id); err != nil {
			return nil, err
		}
		return append([]events.Event{event("team.updated", by.Actor(), "team", id, out)}, evs...), nil
	})
	return out, err
}

// DeleteTeam removes a team (permission teams.manage). Its conversations stay, without a team.
func (s *Service) DeleteTeam(ctx context.Context, by Access, id ids.ID) error {
	if !by.Can(ManageTeams) {
		return errForbidden()
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if err := lockVersion(ctx, tx, sqlTeamLock, "team", id, 0); err != nil {
			return nil, err
		}
		t, err := TeamByID(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, sqlTeamDelete, id); err != nil {
			return nil, fmt.Errorf("delete team %s: %w", id, err)
		}
		evs := []events.Event{event("team.deleted", by.Actor(), "team", id, t)}
		return appendTouched(ctx, tx, by.Actor(), evs, t.MemberIDs)
	})
}

func (p *TeamPatch) check() error {
	if p.Name != nil {
		name, err := cleanName("name", *p.Name, 100)
		if err != nil {
			return err
		}
		p.Name = &name
	}
	if p.Strategy != nil && !slices.Contains([]Strategy{RoundRobin, LeastBusy, Manual}, *p.Strategy) {
		return errs.Field("strategy", "must be round_robin, least_busy or manual")
	}
	if p.AutoReply != nil && utf8.RuneCountInString(*p.AutoReply) > 2000 {
		return errs.Field("auto_reply", "must have at most 2000 characters")
	}
	if p.OfflineGraceS != nil && (*p.OfflineGraceS < 0 || *p.OfflineGraceS > 86400) {
		return errs.Field("offline_grace_s", "must be between 0 and 86400")
	}
	return nil
}

func (p *TeamPatch) checkRefs(ctx context.Context, tx pgx.Tx) error {
	if p.HoursID.ID != 0 {
		if err := mustExist(ctx, tx, sqlHoursCount, "hours_id", []ids.ID{p.HoursID.ID}); err != nil {
			return err
		}
	}
	if p.MemberIDs == nil {
		return nil
	}
	return mustExist(ctx, tx, sqlAgentsCount, "member_ids", *p.MemberIDs)
}

// setMembers makes the team's members exactly these (nil = leave) and returns agent.updated of whoever came or went:
// the event upon which open sockets resolve what they may see.
func setMembers(ctx context.Context, tx pgx.Tx, by events.Actor, team ids.ID, members *[]ids.ID) ([]events.Event, error) {
	if members == nil {
		return nil, nil
	}
	list := *members
	if list == nil {
		list = []ids.ID{}
	}
	gone, err := collectIDs(ctx, tx, sqlTeamMembersDelete, team, list)
	if err != nil {
		return nil, fmt.Errorf("remove members: %w", err)
	}
	come, err := collectIDs(ctx, tx, sqlTeamMembersInsert, team, list)
	if err != nil {
		return nil, fmt.Errorf("add members: %w", err)
	}
	return appendTouched(ctx, tx, by, nil, append(gone, come...))
}

// appendTouched raises the version of agents whose teams changed and adds their events.
func appendTouched(ctx context.Context, tx pgx.Tx, by events.Actor, evs []events.Event, agents []ids.ID) ([]events.Event, error) {
	if len(agents) == 0 {
		return evs, nil
	}
	if _, err := tx.Exec(ctx, sqlAgentTouch, agents); err != nil {
		return nil, fmt.Errorf("touch agents: %w", err)
	}
	more, err := agentEvents(ctx, tx, by, agents)
	return append(evs, more...), err
}

// teamEvents makes a team.updated of each team as it is now.
func teamEvents(ctx context.Context, tx pgx.Tx, by events.Actor, which []ids.ID) ([]events.Event, error) {
	if len(which) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, sqlTeamsByID, which)
	if err != nil {
		return nil, fmt.Errorf("read teams: %w", err)
	}
	ts, err := pgx.CollectRows(rows, pgx.RowToStructByName[Team])
	if err != nil {
		return nil, fmt.Errorf("read teams: %w", err)
	}
	evs := make([]events.Event, 0, len(ts))
	for _, t := range ts {
		evs = append(evs, event("team.updated", by, "team", t.ID, t))
	}
	return evs, nil
}

// lockVersion locks a row by sql and refuses a version that is given and not the row's.
func lockVersion(ctx context.Context, tx pgx.Tx, sql, what string, id ids.ID, version int) error {
	var have int
	err := tx.QueryRow(ctx, sql, id).Scan(&have)
	if errors.Is(err, pgx.ErrNoRows) {
		return errs.New(errs.NotFound, "There is no such %s.", what)
	}
	if err != nil {
		return fmt.Errorf("lock %s %s: %w", what, id, err)
	}
	if version != 0 && version != have {
		return stale(have)
	}
	return nil
}

func teamError(what string, err error) error {
	if isUnique(err, "team_name_key") {
		e := errs.New(errs.Conflict, "There is a team with this name already.")
		e.Field = "name"
		return e
	}
	return fmt.Errorf("%s: %w", what, err)
}

func isUnique(err error, constraint string) bool {
	c, ok := postgres.Unique(err)
	return ok && c == constraint
}
