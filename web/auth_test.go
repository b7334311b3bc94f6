package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/parley-hub/parley/staff"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base, name string
		secure     bool
	}{{"http://127.0.0.1:8080", "parley", false}, {"https://hub.example", "__Host-parley", true}} {
		e := newEdge(t, func(cfg *Config, _ *Deps) { cfg.BaseURL = c.base })
		if _, err := e.hub.CreateAgent(e.ctx, "anna@hub.example", "Anna", goodPassword, staff.Member, staff.ScopeTeam); err != nil {
			t.Fatal(err)
		}
		creds := map[string]string{"email": "anna@hub.example", "password": goodPassword}
		w := e.call(as{}, http.MethodPost, "/api/session", creds)
		ck := cookieOf(t, w)
		if ck.Name != c.name || ck.Secure != c.secure || !ck.HttpOnly || ck.SameSite != http.SameSiteLaxMode || ck.Path != "/" || ck.Domain != "" {
			t.Errorf("got %s", ck)
		}
		who := as{cookie: ck.Value}
		me := e.want(http.StatusOK, who, http.MethodGet, "/api/me", nil)
		if me["agent"].(map[string]any)["email"] != "anna@hub.example" || me["session_id"] == nil || me["theme"] != "system" || me["locale"] != "en" {
			t.Errorf("got %v", me)
		}
		ws := me["workspace"].(map[string]any)
		if ws["base_url"] != c.base || ws["insecure"] != false || ws["version"] != "test" || ws["name"] != "Parley" {
			t.Errorf("got %v", ws)
		}
		if perms := fmt.Sprint(me["permissions"]); perms != "[conversations.reply conversations.assign contacts.edit contacts.merge]" {
			t.Errorf("got %v", perms)
		}
		if hsts := w.Header().Get("Strict-Transport-Security"); (hsts != "") != c.secure {
			t.Errorf("HSTS %q with %s", hsts, c.base)
		}
		// Fixation: the session that the browser brought along ends, the new one is another.
		again := cookieOf(t, e.call(who, http.MethodPost, "/api/session", creds))
		if again.Value == ck.Value {
			t.Error("signing in keeps the session id")
		}
		e.want(http.StatusUnauthorized, who, http.MethodGet, "/api/me", nil)
		who = as{cookie: again.Value}
		w = e.call(who, http.MethodDelete, "/api/session", nil)
		if w.Code != http.StatusNoContent || cookieOf(t, w).MaxAge >= 0 {
			t.Errorf("got %d %v", w.Code, w.Header())
		}
		e.want(http.StatusUnauthorized, who, http.MethodGet, "/api/me", nil)
		e.want(http.StatusNoContent, who, http.MethodDelete, "/api/session", nil)
	}
}

func TestWrongSignIn(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.hire("anna", staff.Member, staff.ScopeTeam)
	var answers []string
	for i, c := range []map[string]any{
		{"email": "anna@hub.example", "password": "wrong"},
		{"email": "nobody@hub.example", "password": goodPassword},
		{"email": "anna@hub.example", "password": strings.Repeat("x", 300)},
		{"email": "x", "password": ""},
	} {
		w := e.call(as{remote: fmt.Sprintf("192.0.2.%d:1", 50+i)}, http.MethodPost, "/api/session", c)
		if w.Code != http.StatusUnauthorized || len(w.Result().Cookies()) != 0 {
			t.Errorf("%v: got %d %s", c, w.Code, w.Body)
		}
		answers = append(answers, w.Body.String())
	}
	for _, a := range answers[1:] {
		if a != answers[0] {
			t.Errorf("answers differ: %s and %s", a, answers[0])
		}
	}
}

func TestForgedRequests(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(c *Config, d *Deps) { c.BaseURL = "https://hub.example"; d.Live = liveFunc(nil) })
	who, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	team := map[string]string{"name": "Forged"}
	for _, h := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", "https://hub.example.evil.example"}} {
		for _, c := range []struct{ method, path string }{
			{"POST", "/api/teams"}, {"POST", "/api/session"}, {"DELETE", "/api/sessions"}, {"PATCH", "/api/me"}, {"PUT", "/api/me/status"}, {"POST", "/api/setup"},
		} {
			if w := e.call(who.with(h[0], h[1]), c.method, c.path, team); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "cross_origin") {
				t.Errorf("%s %s with %s: got %d %s", c.method, c.path, h, w.Code, w.Body)
			}
		}
		if h[0] == "Origin" {
			if w := e.call(who.with(h[0], h[1]), "GET", "/api/live", nil); w.Code != http.StatusForbidden {
				t.Errorf("websocket with %s: got %d", h, w.Code)
			}
		}
	}
	if n := e.count(`SELECT count(*) FROM team`); n != 0 {
		t.Errorf("%d teams were forged", n)
	}
	for i, h := range [][2]string{{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "none"}, {"Origin", "https://hub.example"}, {"X-None", ""}} {
		e.want(http.StatusCreated, who.with(h[0], h[1]), "POST", "/api/teams", map[string]string{"name": fmt.Sprint("Team ", i)})
	}
}

type liveFunc func(w http.ResponseWriter, r *http.Request, agentID, sessionID int64)

func (f liveFunc) Serve(w http.ResponseWriter, r *http.Request, a, s int64) { f(w, r, a, s) }

func TestLinksComeFromTheConfiguration(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(c *Config, _ *Deps) { c.BaseURL = "https://hub.example" })
	who, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	who.host = "evil.example"
	inv := e.want(http.StatusCreated, who.with("X-Forwarded-Host", "evil.example"), "POST", "/api/invitations", map[string]any{"email": "new@hub.example"})
	if link := inv["link"].(string); !strings.HasPrefix(link, "https://hub.example/") {
		t.Errorf("got %s", link)
	}
	if inv["role"] != "agent" || inv["scope"] != "team" {
		t.Errorf("got %v", inv)
	}
	list := e.want(http.StatusOK, who, "GET", "/api/invitations", nil)
	if strings.Contains(fmt.Sprint(list), "token=") {
		t.Error("the list gives the link out")
	}
}

func TestForwardedAddress(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(c *Config, _ *Deps) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	r := func(remote string, xff ...string) string {
		req, _ := http.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr = remote
		for _, x := range xff {
			req.Header.Add("X-Forwarded-For", x)
		}
		return e.client(req).IP
	}
	for _, c := range []struct {
		remote string
		xff    []string
		want   string
	}{
		{"203.0.113.5:1", nil, "203.0.113.5"},
		{"203.0.113.5:1", []string{"198.51.100.1"}, "203.0.113.5"}, // from a stranger it is worth nothing
		{"10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1, 10.0.0.7"}, "198.51.100.1"}, // the client wrote 1.1.1.1
		{"10.0.0.1:1", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:1", []string{"garbage"}, "10.0.0.1"},
		{"10.0.0.1:1", []string{"198.51.100.1, garbage"}, "10.0.0.1"},
		{"10.0.0.1:1", nil, "10.0.0.1"},
		{"[fd00::1]:1", []string{"2001:db8::5"}, "2001:db8::5"},
		{"[::ffff:10.0.0.1]:1", []string{"198.51.100.1"}, "198.51.100.1"},
	} {
		if got := r(c.remote, c.xff...); got != c.want {
			t.Errorf("%s %q: got %s, want %s", c.remote, c.xff, got, c.want)
		}
	}
}

// A new X-Forwarded-For with every guess does not slip past the throttle.
func TestThrottleSeesTheSocket(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.hire("anna", staff.Member, staff.ScopeTeam)
	guess := func(i int) int {
		who := as{remote: "203.0.113.9:1"}.with("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i)).with("X-Real-Ip", fmt.Sprint("198.51.100.", i))
		return e.call(who, "POST", "/api/session", map[string]string{"email": "anna@hub.example", "password": "guess"}).Code
	}
	for i := range 5 {
		if code := guess(i); code != http.StatusUnauthorized {
			t.Errorf("guess %d: got %d", i, code)
		}
	}
	w := e.call(as{remote: "203.0.113.9:1"}.with("X-Forwarded-For", "198.51.100.77"), "POST", "/api/session",
		map[string]string{"email": "anna@hub.example", "password": goodPassword})
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}

func TestDisabledAtOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	sue, id := e.hire("sue", staff.Supervisor, staff.ScopeTeam)
	tok := e.want(http.StatusCreated, sue, "POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"read"}})
	token := as{token: tok["secret"].(string)}
	e.want(http.StatusOK, token, "GET", "/api/agents", nil)
	e.want(http.StatusForbidden, token, "PUT", "/api/me/status", map[string]string{"status": "online"})
	e.want(http.StatusOK, boss, "PATCH", "/api/agents/"+id, map[string]any{"version": 1, "disabled": true})
	e.want(http.StatusUnauthorized, sue, "GET", "/api/me", nil)
	e.want(http.StatusUnauthorized, token, "GET", "/api/agents", nil)
	if n := e.count(`SELECT count(*) FROM event WHERE kind = 'session.ended' AND payload::jsonb = jsonb_build_object('agent_id', $1::text, 'session_id', null)`, id); n != 1 {
		t.Errorf("%d events tell the sockets", n)
	}
}

func TestReauth(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	e.exec(`UPDATE session SET created_at = now() - interval '31 minutes'`)
	in := map[string]any{"name": "x", "scopes": []string{"read"}}
	if p := e.want(http.StatusForbidden, boss, "POST", "/api/tokens", in); p["code"] != "reauth" {
		t.Errorf("got %v", p)
	}
	in["password"] = "wrong"
	e.want(http.StatusUnprocessableEntity, boss, "POST", "/api/tokens", in)
	in["password"] = goodPassword
	e.want(http.StatusCreated, boss, "POST", "/api/tokens", in)
}

func TestSetupOverHTTP(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	link, _, err := e.hub.EnsureSetupLink(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, link)
	if got := e.want(http.StatusOK, as{}, "GET", "/api/setup?token="+token, nil); got["needed"] != true || got["valid"] != true {
		t.Errorf("got %v", got)
	}
	in := map[string]string{"token": token, "name": "First", "email": "first@hub.example", "password": "password1234", "workspace_name": "Acme", "locale": "en"}
	if p := e.want(http.StatusUnprocessableEntity, as{}, "POST", "/api/setup", in); errorAt(p) != "body.password" {
		t.Errorf("got %v", p)
	}
	in["password"] = goodPassword
	w := e.call(as{}, "POST", "/api/setup", in)
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	me := e.want(http.StatusOK, as{cookie: cookieOf(t, w).Value}, "GET", "/api/me", nil)
	if me["workspace"].(map[string]any)["name"] != "Acme" || len(me["permissions"].([]any)) != len(staff.AllPermissions()) {
		t.Errorf("got %v", me)
	}
	e.want(http.StatusConflict, as{}, "POST", "/api/setup", in)
	if got := e.want(http.StatusOK, as{}, "GET", "/api/setup?token="+token, nil); got["needed"] != false || got["valid"] != false {
		t.Errorf("got %v", got)
	}
	page := e.call(as{}.with("Accept", "text/html"), "GET", "/setup?token="+token, nil)
	if page.Code != http.StatusOK || !strings.Contains(page.Body.String(), "<title>Parley") {
		t.Errorf("got %d %s", page.Code, page.Body)
	}
}

func TestInvitationOverHTTP(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	inv := e.want(http.StatusCreated, boss, "POST", "/api/invitations", map[string]any{
		"email": "new@hub.example", "name": "New", "role": "supervisor", "scope": "all", "team_ids": []string{},
	})
	token := tokenOf(t, inv["link"].(string))
	if got := e.want(http.StatusOK, as{}, "GET", "/api/invitations/accept?token="+token, nil); got["email"] != "new@hub.example" || got["role"] != "supervisor" || len(got) != 3 {
		t.Errorf("got %v", got)
	}
	for _, bad := range []string{"", "%20", "%00", strings.ToUpper(token)} {
		e.want(http.StatusNotFound, as{}, "GET", "/api/invitations/accept?token="+bad, nil)
	}
	in := map[string]any{"token": token, "name": "New One", "password": goodPassword, "locale": "ru"}
	e.want(http.StatusUnprocessableEntity, as{}, "POST", "/api/invitations/accept", map[string]any{"token": token, "name": "X", "password": goodPassword, "role": "admin"})
	w := e.call(as{}, "POST", "/api/invitations/accept", in)
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	me := e.want(http.StatusOK, as{cookie: cookieOf(t, w).Value}, "GET", "/api/me", nil)
	if a := me["agent"].(map[string]any); a["role"] != "supervisor" || a["name"] != "New One" || me["locale"] != "ru" {
		t.Errorf("got %v", me)
	}
	e.want(http.StatusNotFound, as{}, "POST", "/api/invitations/accept", in)
}
