package staff

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// Role is what somebody is here for.
type Role string

// The roles.
const (
	Admin      Role = "admin"
	Supervisor Role = "supervisor"
	Member     Role = "agent"
	Auditor    Role = "auditor" // reads, never writes
)

// Scope is whose conversations somebody sees.
type Scope string

// The scopes: one's own and one's teams' unassigned ones, one's teams', everybody's.
const (
	ScopeOwn  Scope = "own"
	ScopeTeam Scope = "team"
	ScopeAll  Scope = "all"
)

// Permission is one thing that may be done.
type Permission string

// The permissions, as /api/me lists them.
const (
	Reply          Permission = "conversations.reply"
	Assign         Permission = "conversations.assign"
	EditContacts   Permission = "contacts.edit"
	MergeContacts  Permission = "contacts.merge"
	ManageChannels Permission = "channels.manage"
	ManageAgents   Permission = "agents.manage"
	ManageTeams    Permission = "teams.manage"
	ManageSettings Permission = "settings.manage"
	ReadAudit      Permission = "audit.read"
	ManageTokens   Permission = "tokens.manage"
	ManageData     Permission = "data.manage"
)

// AllPermissions lists every permission in the order of /api/me.
func AllPermissions() []Permission {
	return []Permission{
		Reply, Assign, EditContacts, MergeContacts, ManageChannels, ManageAgents, ManageTeams, ManageSettings,
		ReadAudit, ManageTokens, ManageData,
	}
}

// allowed is the matrix of rights; there is no other place that knows what a role may do.
func allowed(r Role, p Permission) bool {
	switch r {
	case Admin:
		return slices.Contains(AllPermissions(), p)
	case Supervisor:
		switch p {
		case Reply, Assign, EditContacts, MergeContacts, ManageTeams, ManageTokens:
			return true
		case ManageChannels, ManageAgents, ManageSettings, ReadAudit, ManageData:
			return false
		}
	case Member:
		switch p {
		case Reply, Assign, EditContacts, MergeContacts:
			return true
		case ManageChannels, ManageAgents, ManageTeams, ManageSettings, ReadAudit, ManageTokens, ManageData:
			return false
		}
	case Auditor:
		return p == ReadAudit
	}
	return false
}

// The scopes of a token beside the permissions: read is every GET, write every change that needs no permission.
const (
	TokenRead  = "read"
	TokenWrite = "write"
)

// Access is a caller with what he may do, resolved once per request (and by the live feed at hello and again whenever
// an event of staff touches the agent).
type Access struct {
	AgentID ids.ID
	Name    string
	Role    Role
	Scope   Scope
	Teams   []ids.ID // sorted
	// SessionID is set for a cookie, TokenID with its Scopes for an API token.
	SessionID   ids.ID
	TokenID     ids.ID
	TokenScopes []string
	// Fresh is set when the password or a code was typed here less than ten minutes ago; without it, what a stranger at a
	// desk left open must not do asks for it again (Service.Prove).
	Fresh bool
	// MustPassword and MustTOTP are set when the session may do nothing before a new password is chosen, a second factor
	// set up.
	MustPassword, MustTOTP bool
}

// Can reports whether the caller may do p: his role's right, and for a token also its scope.
func (a Access) Can(p Permission) bool {
	if !allowed(a.Role, p) {
		return false
	}
	return a.TokenID == 0 || slices.Contains(a.TokenScopes, string(p))
}

// HasTokenScope reports whether a token carries one of the plain scopes; a session has both.
func (a Access) HasTokenScope(scope string) bool {
	return a.TokenID == 0 || slices.Contains(a.TokenScopes, scope)
}

// InTeam reports membership; 0 is no team.
func (a Access) InTeam(team ids.ID) bool { return team != 0 && slices.Contains(a.Teams, team) }

// Sees reports whether a conversation of that team and assignee (0 = none) lies in the caller's scope. The SQL of lists
// must say the same: scope all = everything; team = mine, or of my teams, or unassigned without a team; own = mine, or
// unassigned in one of my teams or in none.
func (a Access) Sees(team, assignee ids.ID) bool {
	if a.Scope == ScopeAll || assignee == a.AgentID {
		return true
	}
	if assignee == 0 {
		return team == 0 || a.InTeam(team)
	}
	return a.Scope == ScopeTeam && a.InTeam(team)
}

// Permissions lists what the caller may do.
func (a Access) Permissions() []string {
	out := []string{}
	for _, p := range AllPermissions() {
		if a.Can(p) {
			out = append(out, string(p))
		}
	}
	return out
}

// Actor is the caller as events name him. A token is named as itself: the audit then shows by which one.
func (a Access) Actor() events.Actor {
	if a.TokenID != 0 {
		return events.Actor{Kind: "token", ID: int64(a.TokenID)}
	}
	return events.Actor{Kind: "agent", ID: int64(a.AgentID)}
}

const sqlColleagues = `
SELECT a.id, a.name, a.role, a.scope, ARRAY(SELECT m.team_id FROM team_member m WHERE m.agent_id = a.id ORDER BY m.team_id)
FROM agent a WHERE a.disabled_at IS NULL ORDER BY lower(a.name), a.id`

// Colleagues lists everybody who is not disabled, by name, with what he may see: for whoever has to tell people about
// something without showing it to those whom it does not concern.
func Colleagues(ctx context.Context, db postgres.DB) ([]Access, error) {
	rows, err := db.Query(ctx, sqlColleagues)
	if err != nil {
		return nil, fmt.Errorf("list colleagues: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Access, error) {
		var a Access
		err := row.Scan(&a.AgentID, &a.Name, &a.Role, &a.Scope, &a.Teams)
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("list colleagues: %w", err)
	}
	return list, nil
}

func validRole(r Role) bool {
	return r == Admin || r == Supervisor || r == Member || r == Auditor
}

func validScope(s Scope) bool { return s == ScopeOwn || s == ScopeTeam || s == ScopeAll }

func validTokenScope(s string) bool {
	return s == TokenRead || s == TokenWrite || slices.Contains(AllPermissions(), Permission(s))
}

type accessKey struct{}

// WithAccess puts the authenticated caller into a request's context.
func WithAccess(ctx context.Context, a Access) context.Context {
	return context.WithValue(ctx, accessKey{}, a)
}

// AccessFrom is the caller of a request; one without any right when there is none.
func AccessFrom(ctx context.Context) Access {
	a, _ := ctx.Value(accessKey{}).(Access)
	return a
}

const sqlAccess = `
SELECT a.id, a.name, a.role, a.scope, ARRAY(SELECT m.team_id FROM team_member m WHERE m.agent_id = a.id ORDER BY m.team_id)
FROM agent a WHERE a.id = $1 AND a.disabled_at IS NULL`

// AccessOf resolves what an agent may do now, for the live feed; errs.Unauthenticated when he is disabled or gone. The
// limits of a token are kept from the Access of its request.
func AccessOf(ctx context.Context, db postgres.DB, agent ids.ID) (Access, error) {
	var a Access
	err := db.QueryRow(ctx, sqlAccess, agent).Scan(&a.AgentID, &a.Name, &a.Role, &a.Scope, &a.Teams)
	if errors.Is(err, pgx.ErrNoRows) {
		return Access{}, errSignIn()
	}
	if err != nil {
		return Access{}, fmt.Errorf("read rights of agent %s: %w", agent, err)
	}
	return a, nil
}
