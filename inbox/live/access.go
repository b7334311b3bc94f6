package live

import (
	"context"
	"maps"
)

// Scopes of an agent, as staff stores them.
const (
	scopeOwn  = "own"
	scopeTeam = "team"
	scopeAll  = "all"
)

// Access is what decides about what an agent is shown.
type Access struct {
	AgentID int64
	Scope   string // own, team or all
	Teams   map[int64]bool
	Role    string
	Name    string
}

// Viewer is who a socket belongs to; SessionID is 0 for an API token.
type Viewer struct{ AgentID, SessionID int64 }

// Directory answers about people and conversations; cmd implements it over staff and inbox.
type Directory interface {
	// Access returns what the agent may see now. An agent who is disabled or gone is errs.NotFound, errs.Forbidden or
	// errs.Unauthenticated; any other error is taken as passing.
	Access(ctx context.Context, agentID int64) (Access, error)
	// Where returns the team and assignee of a conversation, 0 for none, or errs.NotFound.
	Where(ctx context.Context, conversationID int64) (team, assignee int64, err error)
	// Statuses returns the status of every agent who is not disabled.
	Statuses(ctx context.Context) (map[int64]string, error)
}

// Counter keeps the numbers of the side bar. Counts answers from memory and is marshalled as the members of the counts
// frame. Changed gets a value (or is closed and replaced) after any of them changed.
type Counter interface {
	Counts(Access) any
	Changed() <-chan struct{}
}

// Sees reports whether a conversation of that team and assignee (0 = none) lies in the agent's scope. It is the rule of
// staff.Access.Sees, which the lists follow; a test holds the two together.
func (a *Access) Sees(team, assignee int64) bool {
	switch {
	case a.Scope == scopeAll || assignee == a.AgentID:
		return true
	case assignee == 0:
		return team == 0 || a.Teams[team]
	}
	return a.Scope == scopeTeam && a.Teams[team]
}

func rank(scope string) int {
	switch scope {
	case scopeAll:
		return 3
	case scopeTeam:
		return 2
	case scopeOwn:
		return 1
	}
	return 0
}

// shrankTo reports whether b may be shown less than a, or another face of the application.
func (a *Access) shrankTo(b *Access) bool {
	if a.Role != b.Role || rank(b.Scope) < rank(a.Scope) {
		return true
	}
	if b.Scope == scopeAll {
		return false
	}
	for team := range a.Teams {
		if a.Teams[team] && !b.Teams[team] {
			return true
		}
	}
	return false
}

// same reports whether a and b are shown the same things.
func (a *Access) same(b *Access) bool {
	return a.Role == b.Role && a.Scope == b.Scope && maps.Equal(a.Teams, b.Teams)
}
