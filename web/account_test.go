package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/parley-hub/parley/staff"
)

func appCode(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (e *edge) stale() {
	e.t.Helper()
	e.exec(`UPDATE session SET proved_at = now() - interval '11 minutes'`)
}

func TestSecondFactorOverHTTP(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	anna, _ := e.hire("anna", staff.Member, staff.ScopeTeam)
	e.stale()
	if p := e.want(403, anna, "POST", "/api/me/totp", nil); p["code"] != "reauth" {
		t.Errorf("got %v", p)
	}
	e.want(204, anna, "POST", "/api/me/proof", map[string]string{"password": goodPassword})
	set := e.want(200, anna, "POST", "/api/me/totp", nil)
	secret := set["secret"].(string)
	now := time.Now()
	if p := e.want(422, anna, "POST", "/api/me/totp/confirm", map[string]string{"code": "000000"}); errorAt(p) != "body.code" {
		t.Errorf("got %v", p)
	}
	codes := e.want(200, anna, "POST", "/api/me/totp/confirm", map[string]string{"code": appCode(t, secret, now)})["codes"].([]any)
	creds := map[string]string{"email": "anna@hub.example", "password": goodPassword}
	if p := e.want(401, as{}, "POST", "/api/session", creds); p["code"] != "totp_required" {
		t.Errorf("got %v", p)
	}
	creds["totp"] = appCode(t, secret, now) // the one that confirmed
	if p := e.want(401, as{}, "POST", "/api/session", creds); p["code"] != "totp_wrong" {
		t.Errorf("got %v", p)
	}
	creds["totp"] = codes[0].(string)
	anna = as{cookie: cookieOf(t, e.call(as{}, "POST", "/api/session", creds)).Value}
	e.want(200, anna, "GET", "/api/agents", nil)
	if got := e.want(200, anna, "GET", "/api/me/totp", nil); got["enabled"] != true || got["recovery_codes"] != 7.0 {
		t.Errorf("got %v", got)
	}
	e.stale()
	if p := e.want(422, anna, "POST", "/api/me/proof", map[string]string{"totp": "000000"}); errorAt(p) != "body.totp" {
		t.Errorf("got %v", p)
	}
	e.want(403, anna, "POST", "/api/me/totp/codes", nil)
	e.want(403, anna, "DELETE", "/api/me/totp", nil)
	e.want(204, anna, "POST", "/api/me/proof", map[string]string{"totp": codes[1].(string)})
	e.want(200, anna, "POST", "/api/me/totp/codes", nil)
	e.want(204, anna, "DELETE", "/api/me/totp", nil)
	for _, secret := range append(codes, secret) {
		if strings.Contains(e.logs.String(), fmt.Sprint(secret)) {
			t.Error("a secret is in the log")
		}
	}
	if n := e.count(`SELECT count(*) FROM event WHERE payload::text LIKE '%' || $1 || '%'`, secret); n != 0 {
		t.Error("the secret is in the spine")
	}
}

// A session that has something to do first can do that, and nothing else: neither read, nor write, nor open a socket.
func TestFirstThingsFirst(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	e.want(200, boss, "PATCH", "/api/settings", map[string]any{"totp_roles": []string{"agent"}})
	_, id := e.hire("anna", staff.Member, staff.ScopeAll)
	e.want(204, boss, "POST", "/api/agents/"+id+"/expire-password", nil)
	w := e.call(as{}, "POST", "/api/session", map[string]string{"email": "anna@hub.example", "password": goodPassword})
	anna := as{cookie: cookieOf(t, w).Value}
	me := e.want(200, anna, "GET", "/api/me", nil)
	if got := fmt.Sprint(me["must"]); got != "[password totp]" {
		t.Errorf("got %s", got)
	}
	open := 0
	for _, rt := range e.routes {
		if rt.need == public {
			continue
		}
		if rt.early {
			open++
			continue
		}
		w := e.call(anna, rt.method, parameter.ReplaceAllString(rt.path, "1"), "{}")
		if w.Code != 403 || (rt.method != http.MethodHead && !strings.Contains(w.Body.String(), "must_change_password")) {
			t.Errorf("%s %s: got %d %s", rt.method, rt.path, w.Code, w.Body)
		}
	}
	if open != 6 {
		t.Errorf("%d routes are open to it", open)
	}
	e.want(204, anna, "POST", "/api/me/password", map[string]string{"current": goodPassword, "password": "seven purple kettles sing"})
	if p := e.want(403, anna, "GET", "/api/agents", nil); p["code"] != "must_set_up_totp" {
		t.Errorf("got %v", p)
	}
	secret := e.want(200, anna, "POST", "/api/me/totp", nil)["secret"].(string)
	e.want(200, anna, "POST", "/api/me/totp/confirm", map[string]string{"code": appCode(t, secret, time.Now())})
	e.want(200, anna, "GET", "/api/agents", nil)
	e.want(204, boss, "DELETE", "/api/agents/"+id+"/totp", nil)
	e.want(401, anna, "GET", "/api/me", nil)
}

// What must not be done from a desk left open, each once stale and once proved.
func TestWhatNeedsAProof(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	_, id := e.hire("anna", staff.Member, staff.ScopeAll)
	e.exec(`INSERT INTO channel (kind, name, state) VALUES ('telegram', 'Bot', 'up')`)
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"read"}}},
		{"PATCH", "/api/me", map[string]any{"email": "new@hub.example"}},
		{"POST", "/api/me/totp", nil},
		{"POST", "/api/me/totp/codes", nil},
		{"DELETE", "/api/me/totp", nil},
		{"DELETE", "/api/agents/" + id + "/totp", nil},
		{"POST", "/api/agents/" + id + "/expire-password", nil},
		{"POST", "/api/agents/" + id + "/reset-link", nil},
		{"PATCH", "/api/settings", map[string]any{"password_min": 14}},
		{"PATCH", "/api/settings", map[string]any{"totp_roles": []string{"admin"}}},
		{"POST", "/api/channels", map[string]any{"kind": "telegram", "name": "x", "settings": map[string]any{"token": "1:a"}}},
		{"PATCH", "/api/channels/1", map[string]any{"version": 1, "settings": map[string]any{"token": "1:a"}}},
		{"POST", "/api/channels/test", map[string]any{"kind": "telegram", "id": "1", "settings": map[string]any{"api_url": "http://evil.example"}}},
	} {
		e.stale()
		if p := e.want(403, boss, c.method, c.path, c.body); p["code"] != "reauth" {
			t.Errorf("%s %s: got %v", c.method, c.path, p)
		}
		e.want(204, boss, "POST", "/api/me/proof", map[string]string{"password": goodPassword})
		if w := e.call(boss, c.method, c.path, c.body); w.Code == 403 {
			t.Errorf("%s %s: a proof is not enough: %s", c.method, c.path, w.Body)
		}
	}
	e.stale()
	e.want(200, boss, "PATCH", "/api/settings", map[string]any{"undo_seconds": 7})
	if got := e.want(200, boss, "GET", "/api/settings", nil); got["password_min"] != 14.0 {
		t.Errorf("got %v", got)
	}
}

func TestAgentSessionsOverHTTP(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	anna, id := e.hire("anna", staff.Member, staff.ScopeTeam)
	list := items(e.want(200, boss, "GET", "/api/agents/"+id+"/sessions", nil))
	if len(list) != 1 {
		t.Fatalf("got %v", list)
	}
	e.want(404, boss, "DELETE", "/api/agents/"+id+"/sessions/0", nil)
	e.want(204, boss, "DELETE", "/api/agents/"+id+"/sessions/"+list[0].(map[string]any)["id"].(string), nil)
	e.want(401, anna, "GET", "/api/me", nil)
	e.want(204, boss, "DELETE", "/api/agents/"+id+"/sessions", nil)
	if got := e.want(200, boss, "GET", "/api/agents/"+id+"/security", nil); got["totp"] != false || got["password_expired"] != false {
		t.Errorf("got %v", got)
	}
	link := e.want(200, boss, "POST", "/api/agents/"+id+"/reset-link", nil)["link"].(string)
	w := e.call(as{}, "POST", "/api/invitations/accept", map[string]string{"token": tokenOf(t, link), "password": "seven purple kettles sing"})
	if w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	e.want(401, as{}, "POST", "/api/session", map[string]string{"email": "anna@hub.example", "password": goodPassword})
}

// What a scanner's address or the words on the list are is for those who manage the settings.
func TestSettingsAreShownByHalves(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	anna, _ := e.hire("anna", staff.Member, staff.ScopeTeam)
	e.want(200, boss, "PATCH", "/api/settings", map[string]any{"password_words": []string{"habesha"}, "clamd_address": "tcp://127.0.0.1:3310"})
	got := e.want(200, anna, "GET", "/api/settings", nil)
	if len(got["password_words"].([]any)) != 0 || got["clamd_address"] != "" {
		t.Errorf("got %v", got)
	}
	if got := e.want(200, boss, "GET", "/api/settings", nil); len(got["password_words"].([]any)) != 1 {
		t.Errorf("got %v", got)
	}
}
