package inbox

import (
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// visibleSQL is the one condition that decides which conversations (alias c) a caller sees; it says in SQL what
// staff.Access.Sees says in memory, and a test compares the two. Every statement that reads a conversation or a message
// for somebody carries it, reads by id too: what is not visible is not found. Its parameters are always the first three,
// made by who.
const visibleSQL = `($1::text = 'all'
	OR c.assignee_id = $2::bigint
	OR (c.assignee_id IS NULL AND (c.team_id IS NULL OR c.team_id = ANY ($3::bigint[])))
	OR ($1::text = 'team' AND c.team_id = ANY ($3::bigint[])))`

// who makes the parameters $1 to $3 of visibleSQL and appends the statement's own.
func who(a staff.Access, more ...any) []any {
	return append([]any{string(a.Scope), int64(a.AgentID), teamsOf(a)}, more...)
}

// teamsOf is never nil: NULL in place of an empty array would make conditions unknown instead of false.
func teamsOf(a staff.Access) []int64 {
	teams := make([]int64, len(a.Teams))
	for i, t := range a.Teams {
		teams[i] = int64(t)
	}
	return teams
}

func may(a staff.Access, p staff.Permission, what string) error {
	if a.Can(p) {
		return nil
	}
	return errs.New(errs.Forbidden, "You may not %s.", what)
}

func noConversation() error {
	return errs.New(errs.NotFound, "There is no such conversation, or you may not see it.")
}

func noMessage() error {
	return errs.New(errs.NotFound, "There is no such message in this conversation.")
}
