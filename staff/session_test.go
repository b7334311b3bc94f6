package staff

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

func ptr[T any](v T) *T { return &v }

func patchID(id ids.ID) ids.Patch { return ids.Patch{Set: true, ID: id} }

func TestLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, token := h.hire("anna", Member, ScopeTeam)
	if a.Role != Member || a.SessionID == 0 || !a.Fresh || a.Name != "anna" {
		t.Errorf("got %+v", a)
	}
	if h.count(`SELECT count(*) FROM session WHERE token_hash = $1`, []byte(token)) != 0 ||
		h.count(`SELECT count(*) FROM session WHERE token_hash = $1`, hashSecret(token)) != 1 {
		t.Error("the session's secret is stored, or its hash is not")
	}
	if _, _, err := h.Login(h.ctx, Credentials{Email: "  ANNA@hub.example ", Password: goodPassword}, "", Client{IP: "192.0.2.1"}); err != nil {
		t.Errorf("the address is not taken as typed: %v", err)
	}
	for _, c := range [][2]string{
		{"anna@hub.example", "wrong password here"},
		{"anna@hub.example", ""},
		{"nobody@hub.example", goodPassword},
		{"", ""},
		{"anna@hub.example", goodPassword + "\x00"},
		{"anna@hub.example\x00", goodPassword},
		{"anna@hub.example", strings.Repeat("x", 100_000)},
	} {
		_, _, err := h.Login(h.ctx, Credentials{Email: c[0], Password: c[1]}, "", Client{IP: "192.0.2.2"})
		wantCode(t, err, errs.Unauthenticated)
		if err.Error() != errLogin().Error() {
			t.Errorf("%q: answers differ: %v", c[0], err)
		}
	}
	for _, bad := range []string{"", " ", token[1:], token + "=", token + " ", strings.ToUpper(token), "\x00", strings.Repeat("a", 1<<20)} {
		_, err := h.Authenticate(h.ctx, bad)
		wantCode(t, err, errs.Unauthenticated)
	}
}

// An unknown user costs the same work as a known one: one run of argon2 each.
func TestUnknownUserCostsTheSame(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hire("anna", Member, ScopeTeam)
	before := h.hasher.runs.Load()
	for i, email := range []string{"anna@hub.example", "nobody@hub.example"} {
		_, _, err := h.Login(h.ctx, Credentials{Email: email, Password: "not the right one"}, "", Client{IP: "192.0.2.2"})
		wantCode(t, err, errs.Unauthenticated)
		if n := h.hasher.runs.Load() - before; n != int64(i+1) {
			t.Errorf("%s: argon2 ran %d times", email, n)
		}
	}
	_, _, err := h.Login(h.ctx, Credentials{Email: "anna@hub.example", Password: strings.Repeat("x", 257)}, "", Client{IP: "192.0.2.2"})
	wantCode(t, err, errs.Unauthenticated)
	if n := h.hasher.runs.Load() - before; n != 2 {
		t.Error("a password that is too long was hashed")
	}
}

func TestSignInEndsThePlantedSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, planted := h.hire("mallory", Member, ScopeTeam)
	h.hire("anna", Member, ScopeTeam)
	token, a, err := h.Login(h.ctx, Credentials{Email: "anna@hub.example", Password: goodPassword}, planted, Client{})
	if err != nil || token == planted {
		t.Fatalf("%v", err)
	}
	if got, err := h.Authenticate(h.ctx, token); err != nil || got.AgentID != a.AgentID {
		t.Error(err)
	}
	_, err = h.Authenticate(h.ctx, planted)
	wantCode(t, err, errs.Unauthenticated)
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, token := h.hire("anna", Member, ScopeTeam)
	b, other := h.hire("berta", Member, ScopeTeam)
	wantCode(t, h.EndSession(h.ctx, b, a.SessionID), errs.NotFound) // somebody else's
	h.exec(`UPDATE session SET last_seen_at = now() - interval '13 hours' WHERE id = $1`, a.SessionID)
	_, err := h.Authenticate(h.ctx, token)
	wantCode(t, err, errs.Unauthenticated)
	h.exec(`UPDATE session SET last_seen_at = now() - interval '11 hours' WHERE id = $1`, a.SessionID)
	if _, err := h.Authenticate(h.ctx, token); err != nil {
		t.Error(err)
	}
	if n := h.count(`SELECT count(*) FROM session WHERE id = $1 AND last_seen_at > now() - interval '1 minute'`, a.SessionID); n != 1 {
		t.Error("using a session does not keep it alive")
	}
	h.exec(`UPDATE session SET expires_at = now() WHERE id = $1`, a.SessionID)
	_, err = h.Authenticate(h.ctx, token)
	wantCode(t, err, errs.Unauthenticated)
	n := h.eventCount()
	if err := h.Sweep(h.ctx); err != nil {
		t.Fatal(err)
	}
	kinds, payloads := h.events(n)
	if !slices.Equal(kinds, []string{"session.ended"}) || payloads[0]["session_id"] != num(a.SessionID) || payloads[0]["agent_id"] != num(a.AgentID) {
		t.Errorf("got %v %v", kinds, payloads)
	}
	if err := h.Logout(h.ctx, other); err != nil {
		t.Fatal(err)
	}
	_, err = h.Authenticate(h.ctx, other)
	wantCode(t, err, errs.Unauthenticated)
	if err := h.Logout(h.ctx, other); err != nil {
		t.Errorf("leaving twice: %v", err)
	}
}

func TestSessionsAreCapped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, first := h.hire("anna", Member, ScopeTeam)
	h.exec(`UPDATE session SET last_seen_at = now() - interval '1 hour' WHERE id = $1`, a.SessionID)
	h.exec(`INSERT INTO session (token_hash, agent_id, expires_at) SELECT sha256(g::text::bytea), $1, now() + interval '1 day' FROM generate_series(1, $2) g`,
		a.AgentID, DefaultSettings().SessionsMax-1)
	h.signIn("anna")
	if n := h.count(`SELECT count(*) FROM session WHERE agent_id = $1`, a.AgentID); n != DefaultSettings().SessionsMax {
		t.Errorf("got %d sessions", n)
	}
	_, err := h.Authenticate(h.ctx, first)
	wantCode(t, err, errs.Unauthenticated)
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hire("anna", Member, ScopeTeam)
	try := func(ip, password string) error {
		_, _, err := h.Login(h.ctx, Credentials{Email: "anna@hub.example", Password: password}, "", Client{IP: ip})
		return err
	}
	// Guesses at once count like guesses in a row.
	var wg sync.WaitGroup
	codes := make(chan errs.Code, 20)
	for range 20 {
		wg.Go(func() { codes <- errs.CodeOf(try("198.51.100.7", "a wrong password")) })
	}
	wg.Wait()
	close(codes)
	wrong := 0
	for c := range codes {
		switch c {
		case errs.Unauthenticated:
			wrong++
		case errs.TooMany:
		default:
			t.Errorf("got %s", c)
		}
	}
	if wrong != freePerAccount {
		t.Errorf("%d guesses were looked at, want %d", wrong, freePerAccount)
	}
	err := try("198.51.100.7", goodPassword)
	wantCode(t, err, errs.TooMany)
	var e *errs.E
	if !errors.As(err, &e) || e.Extra["retry_after"].(int) < 1 || e.Extra["retry_after"].(int) > 5 {
		t.Errorf("got %+v", e)
	}
	if err := try("198.51.100.8", goodPassword); err != nil {
		t.Errorf("a stranger's guesses lock the owner out: %v", err)
	}
	// The delay grows, and ends.
	h.exec(`UPDATE login_attempt SET until = now() WHERE key LIKE 'account:%'`)
	wantCode(t, try("198.51.100.7", "a wrong password"), errs.Unauthenticated)
	if n := h.count(`SELECT extract(epoch FROM until - last_at)::int FROM login_attempt WHERE key LIKE 'account:%' AND fails = 6`); n != 10 {
		t.Errorf("the second delay is %d s, want 10", n)
	}
	h.exec(`UPDATE login_attempt SET until = now(), fails = 1000 WHERE key LIKE 'account:%'`)
	wantCode(t, try("198.51.100.7", "a wrong password"), errs.Unauthenticated)
	if n := h.count(`SELECT extract(epoch FROM until - last_at)::int FROM login_attempt WHERE key LIKE 'account:%'`); n != int(longestDelay.Seconds()) {
		t.Errorf("the longest delay is %d s", n)
	}
	h.exec(`UPDATE login_attempt SET until = now() WHERE key LIKE 'account:%'`)
	if err := try("198.51.100.7", goodPassword); err != nil {
		t.Errorf("after the delay: %v", err)
	}
	if n := h.count(`SELECT count(*) FROM login_attempt WHERE key LIKE 'account:%'`); n != 0 {
		t.Error("a right password does not take the count back")
	}
}

func TestThrottleKeys(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::1": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "unknown", "evil": "unknown",
	} {
		if got := network(ip); got != want {
			t.Errorf("%s: got %s, want %s", ip, got, want)
		}
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hire("anna", Member, ScopeTeam)
	_, there := h.signIn("anna")
	a, here := h.signIn("anna")
	from := Client{IP: "192.0.2.1"}
	const next = "seven purple kettles sing"
	wantCode(t, h.ChangePassword(h.ctx, a, "wrong", next, from), errs.Invalid)
	wantCode(t, h.ChangePassword(h.ctx, a, goodPassword, "short", from), errs.Invalid)
	wantCode(t, h.ChangePassword(h.ctx, a, goodPassword, goodPassword, from), errs.Invalid)
	if err := h.ChangePassword(h.ctx, a, goodPassword, next, from); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Authenticate(h.ctx, here); err != nil {
		t.Errorf("the session that changed it ended: %v", err)
	}
	_, err := h.Authenticate(h.ctx, there)
	wantCode(t, err, errs.Unauthenticated)
	_, _, err = h.Login(h.ctx, Credentials{Email: "anna@hub.example", Password: goodPassword}, "", from)
	wantCode(t, err, errs.Unauthenticated)
	if _, _, err = h.Login(h.ctx, Credentials{Email: "anna@hub.example", Password: next}, "", from); err != nil {
		t.Error(err)
	}
	for range freePerAccount {
		_ = h.ChangePassword(h.ctx, a, "wrong", next, from)
	}
	wantCode(t, h.ChangePassword(h.ctx, a, next, "another kettle of fish 9", from), errs.TooMany)
}

func TestRehashOnLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.hire("anna", Member, ScopeTeam)
	// The hash of another time: the same password with one pass.
	const old = "$argon2id$v=19$m=8192,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"
	enc := old + oldKey(goodPassword)
	h.exec(`UPDATE agent SET password_hash = $1`, enc)
	h.signIn("anna")
	if n := h.count(`SELECT count(*) FROM agent WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,p=1$%'`); n != 1 {
		t.Error("the hash was not renewed")
	}
	h.signIn("anna")
}
