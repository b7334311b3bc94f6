package staff

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

func (h *house) update(by Access, id ids.ID, p AgentPatch) (Agent, error) {
	h.t.Helper()
	a, err := h.Agent(h.ctx, id)
	if err != nil {
		h.t.Fatal(err)
	}
	p.Version = a.Version
	return h.UpdateAgent(h.ctx, by, id, p)
}

func TestDisablingEndsEverything(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	a, cookie := h.hire("sue", Supervisor, ScopeTeam)
	tok, err := h.CreateToken(h.ctx, a, "script", []string{TokenRead}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SetStatus(h.ctx, a.AgentID, Online); err != nil {
		t.Fatal(err)
	}
	n := h.eventCount()
	out, err := h.update(boss, a.AgentID, AgentPatch{Disabled: ptr(true)})
	if err != nil || !out.Disabled || out.Status != Off {
		t.Fatalf("%+v %v", out, err)
	}
	_, err = h.Authenticate(h.ctx, cookie)
	wantCode(t, err, errs.Unauthenticated)
	_, err = h.AuthenticateToken(h.ctx, tok.Secret)
	wantCode(t, err, errs.Unauthenticated)
	_, err = AccessOf(h.ctx, h.pool, a.AgentID)
	wantCode(t, err, errs.Unauthenticated)
	_, _, err = h.Login(h.ctx, Credentials{Email: "sue@hub.example", Password: goodPassword}, "", Client{})
	wantCode(t, err, errs.Unauthenticated)
	kinds, payloads := h.events(n)
	i := slices.Index(kinds, "session.ended")
	if i < 0 || payloads[i]["agent_id"] != num(a.AgentID) || payloads[i]["session_id"] != nil {
		t.Errorf("got %v %v", kinds, payloads)
	}
	if !slices.Contains(kinds, "token.revoked") || !slices.Contains(kinds, "agent.updated") {
		t.Errorf("got %v", kinds)
	}
	// Back again, he has to sign in again.
	if _, err := h.update(boss, a.AgentID, AgentPatch{Disabled: ptr(false)}); err != nil {
		t.Fatal(err)
	}
	_, err = h.Authenticate(h.ctx, cookie)
	wantCode(t, err, errs.Unauthenticated)
	_, err = h.AuthenticateToken(h.ctx, tok.Secret)
	wantCode(t, err, errs.Unauthenticated)
	h.signIn("sue")
}

func TestLastAdminStays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.hire("anna", Admin, ScopeAll)
	_, err := h.update(a, a.AgentID, AgentPatch{Role: ptr(Member)})
	wantCode(t, err, errs.Conflict)
	_, err = h.update(a, a.AgentID, AgentPatch{Disabled: ptr(true)})
	wantCode(t, err, errs.Conflict)
	b, _ := h.hire("berta", Admin, ScopeAll)
	// Each takes the other's rights at the same time: one of them stays.
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = h.update(a, b.AgentID, AgentPatch{Disabled: ptr(true)}) })
	wg.Go(func() { _, _ = h.update(b, a.AgentID, AgentPatch{Role: ptr(Member)}) })
	wg.Wait()
	if n := h.count(`SELECT count(*) FROM agent WHERE role = 'admin' AND disabled_at IS NULL`); n != 1 {
		t.Errorf("%d admins are left", n)
	}
}

func TestUpdateAgent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	sue, _ := h.hire("sue", Supervisor, ScopeTeam)
	a, cookie := h.hire("anna", Member, ScopeOwn)
	for _, by := range []Access{sue, a} {
		n := h.eventCount()
		_, err := h.update(by, a.AgentID, AgentPatch{Role: ptr(Admin)})
		wantCode(t, err, errs.Forbidden)
		if h.eventCount() != n {
			t.Error("a refused change left something")
		}
	}
	team, err := h.CreateTeam(h.ctx, boss, TeamPatch{Name: ptr("Sales"), MemberIDs: &[]ids.ID{sue.AgentID}})
	if err != nil {
		t.Fatal(err)
	}
	n := h.eventCount()
	out, err := h.update(boss, a.AgentID, AgentPatch{
		Name: ptr("  Anna B. "), Role: ptr(Supervisor), Scope: ptr(ScopeAll), Capacity: ptr(3), TeamIDs: &[]ids.ID{team.ID},
	})
	if err != nil || out.Name != "Anna B." || out.Role != Supervisor || out.Capacity != 3 || !slices.Equal(out.TeamIDs, []ids.ID{team.ID}) {
		t.Fatalf("%+v %v", out, err)
	}
	kinds, payloads := h.events(n)
	if !slices.Equal(kinds, []string{"team.updated", "agent.updated"}) || payloads[1]["role"] != "supervisor" || payloads[1]["version"].(float64) != float64(out.Version) {
		t.Errorf("got %v %v", kinds, payloads)
	}
	// The change holds from the next request on, in the session that was open.
	got, err := h.Authenticate(h.ctx, cookie)
	if err != nil || got.Role != Supervisor || !got.InTeam(team.ID) || !got.Can(ManageTeams) {
		t.Errorf("%+v %v", got, err)
	}
	_, err = h.UpdateAgent(h.ctx, boss, a.AgentID, AgentPatch{Version: 1, Name: ptr("X")})
	wantCode(t, err, errs.Conflict)
	_, err = h.UpdateAgent(h.ctx, boss, 999, AgentPatch{Version: 1})
	wantCode(t, err, errs.NotFound)
	_, err = h.update(boss, a.AgentID, AgentPatch{TeamIDs: &[]ids.ID{team.ID, 999}})
	wantCode(t, err, errs.Invalid)
	_, err = h.update(boss, a.AgentID, AgentPatch{HoursID: patchID(999)})
	wantCode(t, err, errs.Invalid)
	if out, err = h.update(boss, a.AgentID, AgentPatch{TeamIDs: &[]ids.ID{}}); err != nil || len(out.TeamIDs) != 0 {
		t.Errorf("%+v %v", out, err)
	}
}

func TestTeamMembersTouchTheirAgents(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	a, _ := h.hire("anna", Member, ScopeTeam)
	b, _ := h.hire("berta", Member, ScopeTeam)
	team, err := h.CreateTeam(h.ctx, boss, TeamPatch{Name: ptr("Sales"), MemberIDs: &[]ids.ID{a.AgentID}})
	if err != nil || team.Strategy != LeastBusy || !team.Sticky || team.OfflineGraceS != 300 {
		t.Fatalf("%+v %v", team, err)
	}
	_, err = h.CreateTeam(h.ctx, boss, TeamPatch{Name: ptr("Sales")})
	wantCode(t, err, errs.Conflict)
	n := h.eventCount()
	team, err = h.UpdateTeam(h.ctx, boss, team.ID, TeamPatch{Version: 1, MemberIDs: &[]ids.ID{b.AgentID}, Sticky: ptr(false), Strategy: ptr(Manual)})
	if err != nil || !slices.Equal(team.MemberIDs, []ids.ID{b.AgentID}) || team.Sticky {
		t.Fatalf("%+v %v", team, err)
	}
	kinds, _ := h.events(n)
	if !slices.Equal(kinds, []string{"team.updated", "agent.updated", "agent.updated"}) {
		t.Errorf("got %v", kinds)
	}
	n = h.eventCount()
	if err := h.DeleteTeam(h.ctx, boss, team.ID); err != nil {
		t.Fatal(err)
	}
	kinds, payloads := h.events(n)
	if !slices.Equal(kinds, []string{"team.deleted", "agent.updated"}) || len(payloads[1]["team_ids"].([]any)) != 0 {
		t.Errorf("got %v %v", kinds, payloads)
	}
	wantCode(t, h.DeleteTeam(h.ctx, a, team.ID), errs.Forbidden)
}

func TestToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	sue, _ := h.hire("sue", Supervisor, ScopeTeam)
	member, _ := h.hire("anna", Member, ScopeTeam)
	_, err := h.CreateToken(h.ctx, member, "x", []string{TokenRead}, nil)
	wantCode(t, err, errs.Forbidden)
	for _, scopes := range [][]string{nil, {"root"}, {""}, {TokenRead, string(ManageAgents)}} {
		_, err := h.CreateToken(h.ctx, sue, "x", scopes, nil)
		wantCode(t, err, errs.Invalid)
	}
	past := time.Now().Add(-time.Hour)
	_, err = h.CreateToken(h.ctx, sue, "x", []string{TokenRead}, &past)
	wantCode(t, err, errs.Invalid)
	tok, err := h.CreateToken(h.ctx, sue, "crm sync", []string{"read", "read", string(Assign), string(ManageTeams)}, nil)
	if err != nil || !strings.HasPrefix(tok.Secret, "prl_") || len(tok.Secret) != 47 || !strings.HasPrefix(tok.Secret, tok.Prefix) || len(tok.Scopes) != 3 {
		t.Fatalf("%+v %v", tok, err)
	}
	a, err := h.AuthenticateToken(h.ctx, tok.Secret)
	if err != nil || !a.Can(Assign) || !a.Can(ManageTeams) || a.Can(Reply) || a.SessionID != 0 || a.Actor().Kind != "token" {
		t.Fatalf("%+v %v", a, err)
	}
	_, err = h.CreateToken(h.ctx, a, "child", []string{TokenRead}, nil)
	wantCode(t, err, errs.Forbidden)
	list, err := h.Tokens(h.ctx, sue, 0, 10)
	if err != nil || len(list) != 1 || list[0].Secret != "" || list[0].LastUsedAt == nil {
		t.Errorf("%+v %v", list, err)
	}
	if n := h.count(`SELECT count(*) FROM event WHERE payload::text LIKE '%' || $1 || '%'`, tok.Secret); n != 0 {
		t.Error("an event carries the secret")
	}
	// The owner's rights are the ceiling at every moment.
	if _, err := h.update(boss, sue.AgentID, AgentPatch{Role: ptr(Member)}); err != nil {
		t.Fatal(err)
	}
	if a, err = h.AuthenticateToken(h.ctx, tok.Secret); err != nil || a.Can(ManageTeams) || !a.Can(Assign) {
		t.Errorf("%+v %v", a, err)
	}
	wantCode(t, h.RevokeToken(h.ctx, boss, tok.ID), errs.NotFound) // somebody else's
	h.exec(`UPDATE api_token SET expires_at = now() - interval '1 second'`)
	_, err = h.AuthenticateToken(h.ctx, tok.Secret)
	wantCode(t, err, errs.Unauthenticated)
	h.exec(`UPDATE api_token SET expires_at = NULL`)
	if err := h.RevokeToken(h.ctx, sue, tok.ID); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{tok.Secret, "", " ", "prl_", "prl_ ", tok.Secret[4:], "PRL_" + tok.Secret[4:]} {
		_, err = h.AuthenticateToken(h.ctx, bad)
		wantCode(t, err, errs.Unauthenticated)
	}
	wantCode(t, h.RevokeToken(h.ctx, sue, tok.ID), errs.NotFound)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, cookie := h.hire("boss", Admin, ScopeAll)
	sue, _ := h.hire("sue", Supervisor, ScopeTeam)
	_, err := h.UpdateSettings(h.ctx, sue, SettingsPatch{PasswordMin: ptr(8)})
	wantCode(t, err, errs.Forbidden)
	for _, p := range []SettingsPatch{
		{PasswordMin: ptr(7)},
		{SessionIdleHours: ptr(0)},
		{SessionMaxDays: ptr(91)},
		{UndoSeconds: ptr(-1)},
		{Locale: ptr("fr")},
		{PhoneRegion: ptr("de")},
		{WorkspaceName: ptr("a\r\nb")},
	} {
		_, err := h.UpdateSettings(h.ctx, boss, p)
		wantCode(t, err, errs.Invalid)
	}
	n := h.eventCount()
	set, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{UndoSeconds: ptr(0), PhoneRegion: ptr("ET"), SessionIdleHours: ptr(1)})
	want := DefaultSettings()
	want.UndoSeconds, want.PhoneRegion, want.SessionIdleHours = 0, "ET", 1
	if err != nil || !cmp.Equal(set, want) {
		t.Errorf("%+v %v", set, err)
	}
	if _, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{UndoSeconds: ptr(0)}); err != nil {
		t.Fatal(err)
	}
	if kinds, _ := h.events(n); len(kinds) != 3 {
		t.Errorf("got %v: one event of each that changed", kinds)
	}
	h.exec(`UPDATE session SET last_seen_at = now() - interval '61 minutes'`)
	_, err = h.Authenticate(h.ctx, cookie)
	wantCode(t, err, errs.Unauthenticated)
}
