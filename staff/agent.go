package staff

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// Agent is somebody who works here, as everybody sees him and as the event agent.updated carries him.
type Agent struct {
	ID          ids.ID    `json:"id"`
	Version     int       `json:"version"`
	Email       string    `json:"email"`
	Name        string    `json:"name"`
	Role        Role      `json:"role" enum:"admin,supervisor,agent,auditor"`
	Scope       Scope     `json:"scope" enum:"own,team,all"`
	TeamIDs     []ids.ID  `json:"team_ids" nullable:"false"`
	Capacity    int       `json:"capacity"`
	Status      Status    `json:"status" enum:"online,busy,away,off"`
	StatusSince time.Time `json:"status_since"`
	Disabled    bool      `json:"disabled"`
	HoursID     *ids.ID   `json:"hours_id" nullable:"true"`
	CreatedAt   time.Time `json:"created_at"`
}

// AgentPatch changes an agent; nil leaves as it is.
type AgentPatch struct {
	Version  int       `json:"version" minimum:"1"`
	Name     *string   `json:"name,omitempty" maxLength:"400"`
	Role     *Role     `json:"role,omitempty" enum:"admin,supervisor,agent,auditor"`
	Scope    *Scope    `json:"scope,omitempty" enum:"own,team,all"`
	Capacity *int      `json:"capacity,omitempty" minimum:"0" maximum:"1000"`
	Disabled *bool     `json:"disabled,omitempty"`
	TeamIDs  *[]ids.ID `json:"team_ids,omitempty" maxItems:"1000" nullable:"false"`
	HoursID  ids.Patch `json:"hours_id,omitempty"`
}

// Agents lists everybody in order of id, from after (0 = the first) on.
func (s *Service) Agents(ctx context.Context, after ids.ID, limit int) ([]Agent, error) {
	rows, err := s.pool.Query(ctx, sqlAgents, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Agent])
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", err)
	}
	return out, nil
}

// Agent reads one; errs.NotFound when there is none.
func (s *Service) Agent(ctx context.Context, id ids.ID) (Agent, error) {
	return agentByID(ctx, s.pool, id)
}

// UpdateAgent changes an agent (permission agents.manage). A version that is not the row's is a conflict. The last
// enabled admin stays one. Disabling ends everything that the agent had open.
func (s *Service) UpdateAgent(ctx context.Context, by Access, id ids.ID, p AgentPatch) (Agent, error) {
	if !by.Can(ManageAgents) {
		return Agent{}, errForbidden()
	}
	if err := p.check(); err != nil {
		return Agent{}, err
	}
	var out Agent
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		admins, err := collectIDs(ctx, tx, sqlAdminsLock)
		if err != nil {
			return nil, fmt.Errorf("lock admins: %w", err)
		}
		var version int
		var role Role
		var disabled bool
		err = tx.QueryRow(ctx, sqlAgentLock, id).Scan(&version, &role, &disabled)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.New(errs.NotFound, "There is no such agent.")
		}
		if err != nil {
			return nil, fmt.Errorf("lock agent %s: %w", id, err)
		}
		if version != p.Version {
			return nil, stale(version)
		}
		goes := (p.Role != nil && *p.Role != Admin) || (p.Disabled != nil && *p.Disabled)
		if goes && len(admins) == 1 && admins[0] == id {
			return nil, errs.New(errs.Conflict, "This is the last admin. Make somebody else an admin first.")
		}
		if p.HoursID.Set && p.HoursID.ID != 0 {
			if err := mustExist(ctx, tx, sqlHoursCount, "hours_id", []ids.ID{p.HoursID.ID}); err != nil {
				return nil, err
			}
		}
		_, err = tx.Exec(ctx, sqlAgentUpdate, id, p.Name, p.Role, p.Scope, p.Capacity, p.HoursID.Set, p.HoursID.ID, p.Disabled)
		if err != nil {
			return nil, fmt.Errorf("update agent %s: %w", id, err)
		}
		var evs []events.Event
		if p.TeamIDs != nil {
			changed, err := setTeams(ctx, tx, id, *p.TeamIDs)
			if err != nil {
				return nil, err
			}
			if evs, err = teamEvents(ctx, tx, by.Actor(), changed); err != nil {
				return nil, err
			}
		}
		if p.Disabled != nil && *p.Disabled && !disabled {
			ended, err := endAll(ctx, tx, by.Actor(), id)
			if err != nil {
				return nil, err
			}
			evs = append(evs, ended...)
		}
		if out, err = agentByID(ctx, tx, id); err != nil {
			return nil, err
		}
		return append(evs, event("agent.updated", by.Actor(), "agent", id, out)), nil
	})
	return out, err
}

func (p *AgentPatch) check() error {
	if p.Name != nil {
		name, err := cleanName("name", *p.Name, 100)
		if err != nil {
			return err
		}
		p.Name = &name
	}
	if p.Role != nil && !validRole(*p.Role) {
		return errs.Field("role", "must be admin, supervisor, agent or auditor")
	}
	if p.Scope != nil && !validScope(*p.Scope) {
		return errs.Field("scope", "must be own, team or all")
	}
	if p.Capacity != nil && (*p.Capacity < 0 || *p.Capacity > 1000) {
		return errs.Field("capacity", "must be between 0 and 1000")
	}
	return nil
}

// newAgent inserts an agent with his status row and teams and returns him with the events of it.
func newAgent(ctx context.Context, tx pgx.Tx, by events.Actor, a Agent, locale, hash string) (Agent, []events.Event, error) {
	var id ids.ID
	if err := tx.QueryRow(ctx, sqlAgentInsert, a.Email, a.Name, a.Role, a.Scope, locale, hash).Scan(&id); err != nil {
		if isUnique(err, "agent_email_key") {
			return Agent{}, nil, errs.New(errs.Conflict, "There is an account with this address already.")
		}
		return Agent{}, nil, fmt.Errorf("insert agent: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlStatusInsert, id); err != nil {
		return Agent{}, nil, fmt.Errorf("insert agent status: %w", err)
	}
	var evs []events.Event
	if len(a.TeamIDs) > 0 {
		// A team that was deleted since the invitation is left out, not an error.
		joined, err := collectIDs(ctx, tx, sqlMemberInsert, id, a.TeamIDs)
		if err != nil {
			return Agent{}, nil, fmt.Errorf("join teams: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlTeamTouch, joined); err != nil {
			return Agent{}, nil, fmt.Errorf("touch teams: %w", err)
		}
		if evs, err = teamEvents(ctx, tx, by, joined); err != nil {
			return Agent{}, nil, err
		}
	}
	out, err := agentByID(ctx, tx, id)
	if err != nil {
		return Agent{}, nil, err
	}
	if by.Kind == "agent" && by.ID == 0 { // the newcomer acts himself
		by.ID = int64(id)
		for i := range evs {
			evs[i].Actor = by
		}
	}
	return out, append(evs, event("agent.created", by, "agent", id, out)), nil
}

// agentEvents bumps nothing: it reads agents as they are now and makes an agent.updated of each.
func agentEvents(ctx context.Context, tx pgx.Tx, by events.Actor, which []ids.ID) ([]events.Event, error) {
	if len(which) == 0 {
		return nil, nil
	}
	as, err := agentsByID(ctx, tx, which)
	if err != nil {
		return nil, err
	}
	evs := make([]events.Event, 0, len(as))
	for _, a := range as {
		evs = append(evs, event("agent.updated", by, "agent", a.ID, a))
	}
	return evs, nil
}

// cleanEmail gives the canonical form of an address, or says what is wrong with it.
func cleanEmail(field, s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || !strings.Contains(s, "@") || strings.ContainsAny(s, "\r\n\x00 ") {
		return "", errs.Field(field, "must be an e-mail address")
	}
	return s, nil
}

func validLocale(l string) bool { return slices.Contains([]string{"en", "ru", "am"}, l) }

func errForbidden() error { return errs.New(errs.Forbidden, "You may not do this.") }

func stale(version int) error {
	e := errs.New(errs.Conflict, "Somebody changed this in the meantime. Look at it again and repeat your change.")
	e.Extra = map[string]any{"version": version}
	return e
}
