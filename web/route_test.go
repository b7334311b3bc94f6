package web

import (
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/parley-hub/parley/staff"
)

// TestPublicRoutes: what needs nobody signed in is written down twice, so that no route becomes public by a slip.
func TestPublicRoutes(t *testing.T) {
	t.Parallel()
	want := []string{
		"DELETE /api/session", "GET /api/images", "GET /api/invitations/accept", "GET /api/openapi.json", "GET /api/setup", "GET /forms/{key}",
		"GET /forms/{key}/form.js", "GET /healthz", "GET /hooks/{kind}/{channel}", "GET /metrics", "GET /readyz", "OPTIONS /forms/{key}",
		"POST /api/csp-reports", "POST /api/invitations/accept", "POST /api/session", "POST /api/setup", "POST /forms/{key}",
		"POST /hooks/{kind}/{channel}",
	}
	s, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range s.routes {
		if r.need == public {
			got = append(got, r.method+" "+r.path)
		}
		if p := r.need.permission(); p != "" && !slices.Contains(staff.AllPermissions(), p) {
			t.Errorf("%s %s: there is no permission %q", r.method, r.path, p)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

var parameter = regexp.MustCompile(`\{[a-z]+\}`)

// TestCrawl asks every route as nobody, as somebody with too little, and as a token with too little.
func TestCrawl(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	roles := map[staff.Role]as{}
	for _, r := range []staff.Role{staff.Admin, staff.Supervisor, staff.Member, staff.Auditor} {
		roles[r], _ = e.hire(string(r), r, staff.ScopeAll)
	}
	made := e.want(http.StatusCreated, roles[staff.Admin], http.MethodPost, "/api/tokens", map[string]any{"name": "none", "scopes": []string{"audit.read"}})
	narrow := as{token: made["secret"].(string)}
	events := e.count(`SELECT count(*) FROM event`)
	refused := 0
	for _, rt := range e.routes {
		if rt.need == public {
			continue
		}
		path := parameter.ReplaceAllString(rt.path, "1")
		for name, who := range map[string]as{
			"nobody": {}, "garbage": {cookie: "x"}, "empty token": as{}.with("Authorization", "Bearer "), "basic": as{}.with("Authorization", "Basic eDp5"),
			"a made-up token":                  {token: "prl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
			"a bad token beside a good cookie": {token: "prl_x", cookie: roles[staff.Admin].cookie},
		} {
			if w := e.call(who, rt.method, path, "{}"); w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s as %s: got %d, want 401", rt.method, rt.path, name, w.Code)
			}
		}
		if p := rt.need.permission(); p != "" {
			for role, who := range roles {
				if (staff.Access{Role: role}).Can(p) {
					continue
				}
				refused++
				if w := e.call(who, rt.method, path, "{}"); w.Code != http.StatusForbidden {
					t.Errorf("%s %s as %s: got %d, want 403", rt.method, rt.path, role, w.Code)
				}
			}
		}
		if rt.need != may(staff.ReadAudit) {
			if w := e.call(narrow, rt.method, path, "{}"); w.Code != http.StatusForbidden {
				t.Errorf("%s %s with a token for the audit only: got %d, want 403", rt.method, rt.path, w.Code)
			}
		}
	}
	if refused < 20 {
		t.Errorf("only %d refusals were tried", refused)
	}
	if n := e.count(`SELECT count(*) FROM event`); n != events {
		t.Errorf("refused requests left %d events", n-events)
	}
}

// An auditor is signed in but never writes anything that is not his own.
func TestAuditorOnlyReads(t *testing.T) {
	t.Parallel()
	s, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	own := []string{
		"PUT /api/me/status", "POST /api/absences", "DELETE /api/absences/{id}", "PATCH /api/me", "POST /api/me/password",
		"DELETE /api/sessions", "DELETE /api/sessions/{id}", "POST /api/tokens", "DELETE /api/tokens/{id}",
		"POST /api/me/proof", "POST /api/me/totp", "POST /api/me/totp/confirm", "POST /api/me/totp/codes", "DELETE /api/me/totp",
		"POST /api/views", "PATCH /api/views/{id}", "DELETE /api/views/{id}", // to share one needs the permission to reply
		"PUT /api/me/notifications", "POST /api/push/subscriptions", "DELETE /api/push/subscriptions/{id}",
	}
	for _, r := range s.routes {
		line := r.method + " " + r.path
		if r.unsafe() && r.need != public && r.need.permission() == "" && !slices.Contains(own, line) && !ownReading(line) {
			t.Errorf("%s needs no permission: an auditor can do it", line)
		}
	}
}

// ownReading are the marks that everybody keeps of what he has read.
func ownReading(line string) bool {
	return line == "POST /api/conversations/{id}/read" || line == "POST /api/notifications/read"
}
