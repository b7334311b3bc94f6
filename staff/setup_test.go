package staff

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

func tokenOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("token")
}

func first(email string) Setup {
	return Setup{Newcomer: Newcomer{Name: "First", Password: goodPassword, Locale: "ru"}, Email: email, WorkspaceName: "Acme"}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, needed, err := h.EnsureSetupLink(h.ctx)
	if err != nil || !needed || !strings.HasPrefix(old, "https://hub.example/setup?token=") {
		t.Fatalf("%s %v %v", old, needed, err)
	}
	link, _, err := h.EnsureSetupLink(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, link)
	for tok, want := range map[string]bool{token: true, tokenOf(t, old): true, "": false, " ": false, token + "x": false, strings.ToLower(token): false, "\x00": false} {
		needed, valid, err := h.SetupState(h.ctx, tok)
		if err != nil || !needed || valid != want {
			t.Errorf("%q: %v %v %v", tok, needed, valid, err)
		}
	}
	for _, bad := range []string{"", " ", "\x00", strings.ToUpper(token)} {
		_, _, err := h.SetUp(h.ctx, bad, first("a@hub.example"), Client{})
		wantCode(t, err, errs.Forbidden)
	}
	weak := first("a@hub.example")
	weak.Password = "password1234"
	_, _, err = h.SetUp(h.ctx, token, weak, Client{})
	wantCode(t, err, errs.Invalid)
	h.exec(`UPDATE invitation SET expires_at = now() WHERE token_hash = $1`, hashSecret(tokenOf(t, old)))
	_, _, err = h.SetUp(h.ctx, tokenOf(t, old), first("a@hub.example"), Client{})
	wantCode(t, err, errs.Forbidden)

	cookie, a, err := h.SetUp(h.ctx, token, first("a@hub.example"), Client{})
	if err != nil || a.Role != Admin || a.Scope != ScopeAll {
		t.Fatalf("%+v %v", a, err)
	}
	if got, err := h.Authenticate(h.ctx, cookie); err != nil || got.AgentID != a.AgentID {
		t.Errorf("%v", err)
	}
	if set, err := h.Settings(h.ctx); err != nil || set.WorkspaceName != "Acme" || set.Locale != "ru" || set.PasswordMin != 12 {
		t.Errorf("%+v %v", set, err)
	}
	_, _, err = h.SetUp(h.ctx, token, first("b@hub.example"), Client{})
	wantCode(t, err, errs.Conflict)
	if needed, valid, err := h.SetupState(h.ctx, token); needed || valid || err != nil {
		t.Errorf("the link lives on: %v %v %v", needed, valid, err)
	}
	if link, needed, err := h.EnsureSetupLink(h.ctx); link != "" || needed || err != nil {
		t.Errorf("a new link after the first admin: %s %v %v", link, needed, err)
	}
	if made, err := h.EnsureAdmin(h.ctx, "c@hub.example", goodPassword); made || err != nil {
		t.Errorf("a second first admin: %v %v", made, err)
	}
}

// Two browsers with two living links, and the environment's account beside them: one admin.
func TestFirstAdminRace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const racers = 6
	tokens := make([]string, racers)
	for i := range tokens {
		link, _, err := h.EnsureSetupLink(h.ctx)
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = tokenOf(t, link)
	}
	tokens[1] = tokens[0]
	var wg sync.WaitGroup
	won := make(chan string, racers+1)
	for i, token := range tokens {
		wg.Go(func() {
			_, _, err := h.SetUp(h.ctx, token, first(fmt.Sprintf("a%d@hub.example", i)), Client{})
			if err == nil {
				won <- token
			} else if !errs.Is(err, errs.Conflict) {
				t.Errorf("racer %d: %v", i, err)
			}
		})
	}
	wg.Go(func() {
		if made, err := h.EnsureAdmin(h.ctx, "env@hub.example", goodPassword); err != nil {
			t.Error(err)
		} else if made {
			won <- "env"
		}
	})
	wg.Wait()
	if len(won) != 1 || h.count(`SELECT count(*) FROM agent`) != 1 {
		t.Errorf("%d won, %d accounts", len(won), h.count(`SELECT count(*) FROM agent`))
	}
	if n := h.count(`SELECT count(*) FROM invitation WHERE used_at IS NULL`); n != 0 {
		t.Errorf("%d links are left", n)
	}
}

func TestEnsureAdmin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.EnsureAdmin(h.ctx, "boss@hub.example", "password1234")
	wantCode(t, err, errs.Invalid)
	if made, err := h.EnsureAdmin(h.ctx, "Boss@hub.example", goodPassword); !made || err != nil {
		t.Fatal(made, err)
	}
	if a, _ := h.signIn("boss"); a.Role != Admin {
		t.Errorf("got %+v", a)
	}
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	member, _ := h.hire("anna", Member, ScopeTeam)
	team, err := h.CreateTeam(h.ctx, boss, TeamPatch{Name: ptr("Sales")})
	if err != nil {
		t.Fatal(err)
	}
	want := Invitation{Email: "New@hub.example", Name: "New", Role: Supervisor, Scope: ScopeTeam, TeamIDs: []ids.ID{team.ID}}
	_, err = h.Invite(h.ctx, member, want)
	wantCode(t, err, errs.Forbidden)
	for field, inv := range map[string]Invitation{
		"email":    {Email: "new@hub.example\r\nBcc: x@y.example", Role: Member, Scope: ScopeOwn},
		"name":     {Email: "x@hub.example", Name: "a\nb", Role: Member, Scope: ScopeOwn},
		"role":     {Email: "x@hub.example", Role: "root", Scope: ScopeOwn},
		"team_ids": {Email: "x@hub.example", Role: Member, Scope: ScopeOwn, TeamIDs: []ids.ID{999}},
	} {
		_, err := h.Invite(h.ctx, boss, inv)
		wantCode(t, err, errs.Invalid)
		if e := err.(*errs.E); e.Field != field { //nolint:errorlint // made right there
			t.Errorf("got field %s, want %s", e.Field, field)
		}
	}
	_, err = h.Invite(h.ctx, boss, Invitation{Email: "anna@hub.example", Role: Member, Scope: ScopeOwn})
	wantCode(t, err, errs.Conflict)

	old, err := h.Invite(h.ctx, boss, want)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := h.Invite(h.ctx, boss, want)
	if err != nil || !strings.HasPrefix(inv.Link, "https://hub.example/invite?token=") || inv.Email != "new@hub.example" {
		t.Fatalf("%+v %v", inv, err)
	}
	list, err := h.Invitations(h.ctx, 0, 10)
	if err != nil || len(list) != 1 || list[0].Link != "" {
		t.Errorf("%+v %v", list, err)
	}
	_, payloads := h.events(0)
	for _, p := range payloads {
		if p["link"] != nil || p["token"] != nil {
			t.Errorf("an event carries the link: %v", p)
		}
	}
	token := tokenOf(t, inv.Link)
	for _, bad := range []string{"", " ", "\x00", strings.ToUpper(token), tokenOf(t, old.Link)} {
		_, _, err := h.AcceptInvitation(h.ctx, bad, Newcomer{Name: "N", Password: goodPassword}, Client{})
		wantCode(t, err, errs.NotFound)
		_, err = h.InvitationByToken(h.ctx, bad)
		wantCode(t, err, errs.NotFound)
	}
	_, _, err = h.AcceptInvitation(h.ctx, token, Newcomer{Name: "N", Password: "short"}, Client{})
	wantCode(t, err, errs.Invalid) // does not use the link up

	// The link of two browsers at once makes one account.
	var wg sync.WaitGroup
	won := make(chan Access, 5)
	for range 5 {
		wg.Go(func() {
			_, a, err := h.AcceptInvitation(h.ctx, token, Newcomer{Password: goodPassword, Locale: "am"}, Client{})
			if err == nil {
				won <- a
			} else if !errs.Is(err, errs.NotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d won", len(won))
	}
	a := <-won
	if a.Role != Supervisor || a.Scope != ScopeTeam || !slices.Equal(a.Teams, []ids.ID{team.ID}) || a.Name != "New" {
		t.Errorf("got %+v", a)
	}
	_, _, err = h.AcceptInvitation(h.ctx, token, Newcomer{Name: "N", Password: goodPassword}, Client{})
	wantCode(t, err, errs.NotFound)
	kinds, _ := h.events(0)
	for _, k := range []string{"invitation.created", "invitation.accepted", "agent.created", "team.updated", "session.started"} {
		if !slices.Contains(kinds, k) {
			t.Errorf("no event %s", k)
		}
	}
}

func TestInvitationEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	second, _ := h.hire("second", Admin, ScopeAll)
	make1 := func(by Access, email string) (Invitation, string) {
		inv, err := h.Invite(h.ctx, by, Invitation{Email: email, Role: Member, Scope: ScopeOwn})
		if err != nil {
			t.Fatal(err)
		}
		return inv, tokenOf(t, inv.Link)
	}
	revoked, t1 := make1(boss, "a@hub.example")
	if err := h.RevokeInvitation(h.ctx, boss, revoked.ID); err != nil {
		t.Fatal(err)
	}
	expired, t2 := make1(boss, "b@hub.example")
	h.exec(`UPDATE invitation SET expires_at = now() WHERE id = $1`, expired.ID)
	_, t3 := make1(second, "c@hub.example")
	agent, err := h.Agent(h.ctx, second.AgentID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.UpdateAgent(h.ctx, boss, second.AgentID, AgentPatch{Version: agent.Version, Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	for _, tok := range []string{t1, t2, t3} {
		_, _, err := h.AcceptInvitation(h.ctx, tok, Newcomer{Name: "N", Password: goodPassword}, Client{})
		wantCode(t, err, errs.NotFound)
	}
}
