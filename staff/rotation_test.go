package staff

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

func TestPasswordSettings(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	for _, p := range []SettingsPatch{
		{PasswordMaxDays: ptr(29)},
		{PasswordMaxDays: ptr(366)},
		{PasswordMaxDays: ptr(-1)},
		{SessionsMax: ptr(0)},
		{SessionsMax: ptr(101)},
		{PasswordWords: &[]string{"ab"}},
		{PasswordWords: &[]string{"line\nbreak"}},
		{ClamdAddress: ptr("127.0.0.1:3310")},
		{ClamdAddress: ptr("http://127.0.0.1:3310")},
		{ClamdAddress: ptr("unix:relative")},
		{ClamdAddress: ptr("tcp://host")},
	} {
		_, err := h.UpdateSettings(h.ctx, boss, p)
		wantCode(t, err, errs.Invalid)
	}
	set, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{
		PasswordMaxDays: ptr(30), PasswordMix: ptr(true), PasswordWords: &[]string{"Habesha", " fitness ", "habesha"},
		ClamdAddress: ptr("unix:/run/clamav/clamd.ctl"),
	})
	if err != nil || !slices.Equal(set.PasswordWords, []string{"fitness", "habesha"}) || !set.PasswordMix || set.PasswordMaxDays != 30 {
		t.Errorf("%+v %v", set, err)
	}
	if n := h.count(`SELECT count(*) FROM event WHERE payload::text LIKE '%habesha%' OR payload::text LIKE '%clamd.ctl%'`); n != 0 {
		t.Error("what only admins read is told to everybody")
	}
	set.PasswordMin = 12
	for password, ok := range map[string]bool{
		"all small letters here": false, // two kinds: letters and spaces
		"Small And Capitals":     true,
		"small letters and 7":    true,
		"12345 67890 98765":      false,
		"ጥሩ የይለፍ ቃል ነው 7 Ab":     true,
		"Habesha-Fitness7":       false, // nothing but the words of the house
	} {
		err := h.checkPassword("password", password, set, "anna@hub.example", "Anna")
		if (err == nil) != ok {
			t.Errorf("%s: %v", password, err)
		}
	}
}

func TestPasswordGrowsOld(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	h.hire("anna", Member, ScopeTeam)
	_, open := h.signIn("anna")
	if p, err := h.Profile(h.ctx, boss); err != nil || p.PasswordUntil != nil {
		t.Errorf("passwords have an age by default: %v %v", p, err)
	}
	if _, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{PasswordMaxDays: ptr(30)}); err != nil {
		t.Fatal(err)
	}
	h.exec(`UPDATE agent SET password_at = now() - interval '29 days'`)
	p, err := h.Profile(h.ctx, boss)
	if err != nil || p.PasswordUntil == nil || time.Until(*p.PasswordUntil) > 25*time.Hour || time.Until(*p.PasswordUntil) < 23*time.Hour {
		t.Errorf("%v %v", p.PasswordUntil, err)
	}
	if a, _ := h.signIn("anna"); a.MustPassword {
		t.Error("a day too early")
	}
	h.exec(`UPDATE agent SET password_at = now() - interval '31 days'`)
	if a, err := h.Authenticate(h.ctx, open); err != nil || a.MustPassword {
		t.Errorf("an open session is not left alone: %+v %v", a, err)
	}
	a, token := h.signIn("anna")
	if !a.MustPassword {
		t.Fatal("an old password opens everything")
	}
	from := Client{IP: "192.0.2.1"}
	const next = "seven purple kettles sing"
	if err := h.ChangePassword(h.ctx, a, goodPassword, next, from); err != nil {
		t.Fatal(err)
	}
	if a, err := h.Authenticate(h.ctx, token); err != nil || a.MustPassword {
		t.Errorf("%+v %v", a, err)
	}
	// The last five and the current one cannot be chosen again; the sixth last can.
	current := next
	for i := range rotationHistory {
		wantCode(t, h.ChangePassword(h.ctx, a, current, goodPassword, from), errs.Invalid)
		chosen := fmt.Sprintf("lantern %d over quiet water", i)
		if err := h.ChangePassword(h.ctx, a, current, chosen, from); err != nil {
			t.Fatal(err)
		}
		current = chosen
	}
	if err := h.ChangePassword(h.ctx, a, current, goodPassword, from); err != nil {
		t.Errorf("older than five changes: %v", err)
	}
	if n := h.count(`SELECT count(*) FROM password_history`); n != rotationHistory {
		t.Errorf("%d old passwords are kept", n)
	}
	// A link is no way around it.
	link, err := h.ResetLink(h.ctx, "anna@hub.example")
	if err != nil {
		t.Fatal(err)
	}
	_, tok, _ := strings.Cut(link, "token=")
	_, _, err = h.AcceptInvitation(h.ctx, tok, Newcomer{Password: current}, from)
	wantCode(t, err, errs.Invalid)
	if _, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{PasswordMaxDays: ptr(0)}); err != nil {
		t.Fatal(err)
	}
	if err := h.ChangePassword(h.ctx, a, goodPassword, current, from); err != nil {
		t.Error(err)
	}
	if n := h.count(`SELECT count(*) FROM password_history`); n != 0 {
		t.Errorf("%d old passwords are kept for nothing", n)
	}
}

func TestPasswordExpires(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	a, token := h.hire("anna", Member, ScopeTeam)
	wantCode(t, h.ExpirePassword(h.ctx, a, boss.AgentID), errs.Forbidden)
	wantCode(t, h.ExpirePassword(h.ctx, boss, 999), errs.NotFound)
	if err := h.ExpirePassword(h.ctx, boss, a.AgentID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Authenticate(h.ctx, token); err == nil {
		t.Error("the session goes on")
	}
	if totp, expired, err := h.AgentSecurity(h.ctx, boss, a.AgentID); err != nil || totp || !expired {
		t.Errorf("%v %v %v", totp, expired, err)
	}
	a, _ = h.signIn("anna")
	if !a.MustPassword {
		t.Fatal("nothing is asked")
	}
	if err := h.ChangePassword(h.ctx, a, goodPassword, "seven purple kettles sing", Client{}); err != nil {
		t.Fatal(err)
	}
	if n := h.count(`SELECT count(*) FROM agent WHERE password_expired`); n != 0 {
		t.Error("it is asked again")
	}
}

func TestSessionsOfOthers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, mine := h.hire("boss", Admin, ScopeAll)
	a, first := h.hire("anna", Member, ScopeTeam)
	_, second := h.signIn("anna")
	_, err := h.AgentSessions(h.ctx, a, boss.AgentID)
	wantCode(t, err, errs.Forbidden)
	wantCode(t, h.EndAgentSessions(h.ctx, a, boss.AgentID, 0), errs.Forbidden)
	_, err = h.AgentSessions(h.ctx, boss, 999)
	wantCode(t, err, errs.NotFound)
	list, err := h.AgentSessions(h.ctx, boss, a.AgentID)
	if err != nil || len(list) != 2 || list[0].Current || list[1].Current {
		t.Fatalf("%+v %v", list, err)
	}
	wantCode(t, h.EndAgentSessions(h.ctx, boss, a.AgentID, boss.SessionID), errs.NotFound) // not one of hers
	if err := h.EndAgentSessions(h.ctx, boss, a.AgentID, a.SessionID); err != nil {
		t.Fatal(err)
	}
	_, err = h.Authenticate(h.ctx, first)
	wantCode(t, err, errs.Unauthenticated)
	if _, err := h.Authenticate(h.ctx, second); err != nil {
		t.Error(err)
	}
	if err := h.EndAgentSessions(h.ctx, boss, a.AgentID, 0); err != nil {
		t.Fatal(err)
	}
	_, err = h.Authenticate(h.ctx, second)
	wantCode(t, err, errs.Unauthenticated)
	if _, err := h.Authenticate(h.ctx, mine); err != nil {
		t.Error(err)
	}
	// The cap is a setting.
	if _, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{SessionsMax: ptr(2)}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		h.signIn("anna")
	}
	if n := h.count(`SELECT count(*) FROM session WHERE agent_id = $1`, a.AgentID); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

func TestOwnAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.hire("anna", Member, ScopeTeam)
	h.hire("berta", Member, ScopeTeam)
	link, err := h.ResetLink(h.ctx, "anna@hub.example")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.UpdateProfile(h.ctx, a, ProfilePatch{Email: ptr("berta@hub.example")})
	wantCode(t, err, errs.Conflict)
	_, err = h.UpdateProfile(h.ctx, a, ProfilePatch{Email: ptr("not an address")})
	wantCode(t, err, errs.Invalid)
	p, err := h.UpdateProfile(h.ctx, a, ProfilePatch{Email: ptr("Anna.New@hub.example")})
	if err != nil || p.Agent.Email != "anna.new@hub.example" {
		t.Fatalf("%+v %v", p, err)
	}
	_, token, _ := strings.Cut(link, "token=")
	_, _, err = h.AcceptInvitation(h.ctx, token, Newcomer{Password: "seven purple kettles sing"}, Client{})
	wantCode(t, err, errs.NotFound)
}
