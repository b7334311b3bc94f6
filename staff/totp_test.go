package staff

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

// enrol gives an account a second factor and answers with its secret, as an app reads it, and the recovery codes.
func (h *house) enrol(by Access) (secret string, recovery []string) {
	h.t.Helper()
	set, err := h.BeginTOTP(h.ctx, by)
	if err != nil {
		h.t.Fatal(err)
	}
	u, err := url.Parse(set.URI)
	if err != nil || u.Query().Get("secret") != set.Secret || !strings.HasPrefix(set.QR, "data:image/png;base64,") {
		h.t.Fatalf("got %+v", set)
	}
	recovery, err = h.ConfirmTOTP(h.ctx, by, h.code(set.Secret))
	if err != nil {
		h.t.Fatal(err)
	}
	h.at = h.at.Add(totpStep * time.Second) // the code that confirmed is spent
	return set.Secret, recovery
}

// code is what somebody else's implementation shows now.
func (h *house) code(secret string) string {
	h.t.Helper()
	c, err := totp.GenerateCode(secret, h.at)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) enter(name, password, code string) error {
	_, _, err := h.Login(h.ctx, Credentials{Email: name + "@hub.example", Password: password, Code: code}, "", Client{IP: "192.0.2.1"})
	return err
}

func wantProblem(t *testing.T, err error, code string) {
	t.Helper()
	var e *errs.E
	if !errors.As(err, &e) || e.Extra["code"] != code || e.Code != errs.Unauthenticated {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func TestSecondFactorAtTheDoor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.hire("anna", Member, ScopeTeam)
	_, other := h.signIn("anna")
	secret, recovery := h.enrol(a)
	if _, err := h.Authenticate(h.ctx, other); err == nil {
		t.Error("another session outlives the new factor")
	}
	if h.count(`SELECT count(*) FROM agent_totp WHERE position($1::bytea IN secret) > 0`, []byte(secret)) != 0 {
		t.Error("the secret stands in the clear")
	}
	wantProblem(t, h.enter("anna", goodPassword, ""), "totp_required")
	wantProblem(t, h.enter("anna", goodPassword, "000000"), "totp_wrong")
	// A wrong password says nothing about the factor, and a right code does not stand in for it.
	for _, code := range []string{"", h.code(secret)} {
		if err := h.enter("anna", "a wrong password", code); err == nil || err.Error() != errLogin().Error() {
			t.Errorf("got %v", err)
		}
	}
	h.exec(`DELETE FROM login_attempt`)
	good := h.code(secret)
	if err := h.enter("anna", goodPassword, good[:3]+" "+good[3:]); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, h.enter("anna", goodPassword, good), "totp_wrong") // replayed
	h.at = h.at.Add(-totpStep * time.Second)
	wantProblem(t, h.enter("anna", goodPassword, h.code(secret)), "totp_wrong") // older than one that was taken
	h.at = h.at.Add(3 * totpStep * time.Second)
	early := h.code(secret)
	h.at = h.at.Add(-totpStep * time.Second)
	if err := h.enter("anna", goodPassword, early); err != nil {
		t.Errorf("a clock that is one step ahead: %v", err)
	}
	h.exec(`DELETE FROM login_attempt`)
	if err := h.enter("anna", goodPassword, strings.ToUpper(recovery[0])); err != nil {
		t.Fatalf("a recovery code: %v", err)
	}
	wantProblem(t, h.enter("anna", goodPassword, recovery[0]), "totp_wrong")
	for _, bad := range []string{strings.Repeat("1", 5000), "0000000", "\x00\x00\x00\x00\x00\x00", "aaaaa-aaaaa"} {
		h.exec(`DELETE FROM login_attempt`)
		wantProblem(t, h.enter("anna", goodPassword, bad), "totp_wrong")
	}
	state, err := h.TOTP(h.ctx, a)
	if err != nil || !state.Enabled || state.RecoveryCodes != recoveryCodes-1 {
		t.Errorf("got %+v %v", state, err)
	}
}

// One code at two doors at once opens one.
func TestCodeIsTakenOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.hire("anna", Member, ScopeTeam)
	secret, recovery := h.enrol(a)
	for _, code := range []string{h.code(secret), recovery[3]} {
		var wg sync.WaitGroup
		in := make(chan error, 3)
		for range 3 {
			wg.Go(func() { in <- h.enter("anna", goodPassword, code) })
		}
		wg.Wait()
		close(in)
		n := 0
		for err := range in {
			if err == nil {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s: %d of three came in", code, n)
		}
		h.exec(`DELETE FROM login_attempt`)
	}
}

// Guesses from many places are one account's guesses.
func TestCodesAreThrottled(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.hire("anna", Member, ScopeTeam)
	secret, _ := h.enrol(a)
	for i := range freePerCode {
		_, _, err := h.Login(h.ctx, Credentials{"anna@hub.example", goodPassword, "000000"}, "", Client{IP: "192.0.2." + num(ids.ID(10+i))})
		wantProblem(t, err, "totp_wrong")
	}
	_, _, err := h.Login(h.ctx, Credentials{"anna@hub.example", goodPassword, h.code(secret)}, "", Client{IP: "198.51.100.200"})
	wantCode(t, err, errs.TooMany)
	kinds, payloads := h.events(0)
	i := slices.Index(kinds, "login.failed")
	if i < 0 || payloads[i]["second_factor"] != true {
		t.Errorf("the audit does not learn of wrong codes: %v", payloads)
	}
}

func TestFactorThatIsRequired(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	h.hire("anna", Member, ScopeTeam)
	if _, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{TOTPRoles: &[]Role{Member, "king"}}); errs.CodeOf(err) != errs.Invalid {
		t.Errorf("got %v", err)
	}
	if _, err := h.UpdateSettings(h.ctx, boss, SettingsPatch{TOTPRoles: &[]Role{Member}}); err != nil {
		t.Fatal(err)
	}
	a, token := h.signIn("anna")
	if !a.MustTOTP || a.MustPassword {
		t.Fatalf("got %+v", a)
	}
	h.enrol(a)
	if a, err := h.Authenticate(h.ctx, token); err != nil || a.MustTOTP {
		t.Errorf("%+v %v", a, err)
	}
	wantCode(t, h.RemoveTOTP(h.ctx, a), errs.Conflict)
	if b, _ := h.signIn("boss"); b.MustTOTP {
		t.Error("a role that needs none is asked for one")
	}
}

func TestFactorIsRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	a, token := h.hire("anna", Member, ScopeTeam)
	secret, _ := h.enrol(a)
	wantCode(t, h.RemoveAgentTOTP(h.ctx, a, boss.AgentID), errs.Forbidden)
	wantCode(t, h.RemoveAgentTOTP(h.ctx, boss, boss.AgentID), errs.NotFound)
	n := h.eventCount()
	if err := h.RemoveAgentTOTP(h.ctx, boss, a.AgentID); err != nil {
		t.Fatal(err)
	}
	if kinds, p := h.events(n); !slices.Equal(kinds, []string{"agent.totp_removed", "session.ended"}) || p[0]["agent_id"] != num(a.AgentID) {
		t.Errorf("got %v", kinds)
	}
	if _, err := h.Authenticate(h.ctx, token); err == nil {
		t.Error("the sessions go on")
	}
	if err := h.enter("anna", goodPassword, ""); err != nil {
		t.Error(err)
	}
	if h.count(`SELECT count(*) FROM recovery_code`) != 0 {
		t.Error("recovery codes are left")
	}
	again, _ := h.signIn("anna")
	fresh, _ := h.enrol(again)
	if fresh == secret {
		t.Error("the same secret twice")
	}
	if err := h.RemoveTOTPOf(h.ctx, "anna@hub.example"); err != nil {
		t.Error(err)
	}
	wantCode(t, h.RemoveTOTPOf(h.ctx, "nobody@hub.example"), errs.NotFound)
}

// A new secret counts only after its first code: somebody who gives up half-way keeps what he had.
func TestFactorIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.hire("anna", Member, ScopeTeam)
	_, err := h.ConfirmTOTP(h.ctx, a, "123456")
	wantCode(t, err, errs.Conflict)
	old, recovery := h.enrol(a)
	set, err := h.BeginTOTP(h.ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.ConfirmTOTP(h.ctx, a, "000000")
	wantCode(t, err, errs.Invalid)
	if err := h.enter("anna", goodPassword, h.code(old)); err != nil {
		t.Errorf("the old one: %v", err)
	}
	codes, err := h.ConfirmTOTP(h.ctx, a, h.code(set.Secret))
	if err != nil || len(codes) != recoveryCodes || slices.Contains(codes, recovery[0]) {
		t.Fatalf("%v %v", codes, err)
	}
	wantProblem(t, h.enter("anna", goodPassword, recovery[0]), "totp_wrong")
	more, err := h.NewRecoveryCodes(h.ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, h.enter("anna", goodPassword, codes[0]), "totp_wrong")
	if err := h.enter("anna", goodPassword, more[0]); err != nil {
		t.Error(err)
	}
}

// Links for a new password do not get around the second factor, and are not used up by trying.
func TestResetAsksForTheCode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	boss, _ := h.hire("boss", Admin, ScopeAll)
	a, _ := h.hire("anna", Member, ScopeTeam)
	secret, recovery := h.enrol(a)
	_, err := h.AgentResetLink(h.ctx, a, boss.AgentID)
	wantCode(t, err, errs.Forbidden)
	link, err := h.AgentResetLink(h.ctx, boss, a.AgentID)
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(link, "token=")
	next := Newcomer{Password: "seven purple kettles sing"}
	_, _, err = h.AcceptInvitation(h.ctx, token, next, Client{})
	wantProblem(t, err, "totp_required")
	next.Code = "000000"
	_, _, err = h.AcceptInvitation(h.ctx, token, next, Client{})
	wantProblem(t, err, "totp_wrong")
	if err := h.enter("anna", goodPassword, h.code(secret)); err != nil {
		t.Fatalf("the old password changed without a code: %v", err)
	}
	next.Code = recovery[0]
	if _, _, err = h.AcceptInvitation(h.ctx, token, next, Client{}); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, h.enter("anna", next.Password, ""), "totp_required")
}

func TestProve(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, token := h.hire("anna", Member, ScopeTeam)
	secret, _ := h.enrol(a)
	from := Client{IP: "192.0.2.1"}
	old := func() {
		t.Helper()
		h.exec(`UPDATE session SET proved_at = now() - interval '11 minutes'`)
		if a, err := h.Authenticate(h.ctx, token); err != nil || a.Fresh {
			t.Fatalf("%+v %v", a, err)
		}
	}
	old()
	wantCode(t, h.Prove(h.ctx, a, "wrong", "", from), errs.Invalid)
	wantCode(t, h.Prove(h.ctx, a, "", "000000", from), errs.Invalid)
	wantCode(t, h.Prove(h.ctx, a, "", "", from), errs.Invalid)
	old()
	if err := h.Prove(h.ctx, a, goodPassword, "", from); err != nil {
		t.Fatal(err)
	}
	if a, _ := h.Authenticate(h.ctx, token); !a.Fresh {
		t.Error("the password proves nothing")
	}
	old()
	if err := h.Prove(h.ctx, a, "", h.code(secret), from); err != nil {
		t.Fatal(err)
	}
	if a, _ := h.Authenticate(h.ctx, token); !a.Fresh {
		t.Error("the code proves nothing")
	}
	wantCode(t, h.Prove(h.ctx, a, "", h.code(secret), from), errs.Invalid) // replayed
	b, _ := h.hire("berta", Member, ScopeTeam)
	wantCode(t, h.Prove(h.ctx, b, "", "123456", from), errs.Invalid) // without a factor no code proves anything
}

// RFC 6238's own numbers, as far as six digits go.
func TestMatchStep(t *testing.T) {
	t.Parallel()
	key := []byte("12345678901234567890")
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"} {
		step, ok, err := matchStep(key, code, time.Unix(at, 0))
		if err != nil || !ok || step != at/totpStep {
			t.Errorf("%d: %d %v %v", at, step, ok, err)
		}
		if _, ok, _ := matchStep(key, code, time.Unix(at+2*totpStep, 0)); ok {
			t.Errorf("%d: good for two steps", at)
		}
	}
}
