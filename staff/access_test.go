package staff

import (
	"slices"
	"testing"

	"github.com/parley-hub/parley/internal/ids"
)

// TestMatrix writes the rights down a second time: a change of one has to be meant.
func TestMatrix(t *testing.T) {
	t.Parallel()
	want := map[Role][]Permission{
		Admin:      AllPermissions(),
		Supervisor: {Reply, Assign, EditContacts, MergeContacts, ManageTeams, ManageTokens},
		Member:     {Reply, Assign, EditContacts, MergeContacts},
		Auditor:    {ReadAudit},
		"":         nil,
		"root":     nil,
	}
	for role, perms := range want {
		for _, p := range append(AllPermissions(), "", "everything") {
			if got := (Access{Role: role}).Can(p); got != slices.Contains(perms, p) {
				t.Errorf("%s %s: got %v", role, p, got)
			}
		}
	}
	a := Access{Role: Member, TokenID: 1, TokenScopes: []string{TokenRead, string(Reply), string(ManageAgents)}}
	if !a.Can(Reply) || a.Can(Assign) || a.Can(ManageAgents) || !a.HasTokenScope(TokenRead) || a.HasTokenScope(TokenWrite) {
		t.Error("a token can more or less than its scopes within its owner's rights")
	}
}

func TestSees(t *testing.T) {
	t.Parallel()
	const me, other, mine, foreign = ids.ID(1), ids.ID(2), ids.ID(10), ids.ID(20)
	for _, c := range []struct {
		team, assignee ids.ID
		own, team1     bool
	}{
		{mine, me, true, true},
		{foreign, me, true, true},
		{0, me, true, true},
		{mine, other, false, true},
		{foreign, other, false, false},
		{0, other, false, false},
		{mine, 0, true, true},
		{foreign, 0, false, false},
		{0, 0, true, true},
	} {
		for scope, want := range map[Scope]bool{ScopeOwn: c.own, ScopeTeam: c.team1, ScopeAll: true, "": c.own} {
			a := Access{AgentID: me, Scope: scope, Teams: []ids.ID{mine}}
			if got := a.Sees(c.team, c.assignee); got != want {
				t.Errorf("scope %q team %d assignee %d: got %v, want %v", scope, c.team, c.assignee, got, want)
			}
		}
	}
}
