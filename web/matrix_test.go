package web

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/inbox/notify"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/staff"
)

// estate is what one agent has and another must not reach: an id of every kind that a path can hold.
type estate struct {
	conversation, contact, lead, merge           int
	message, attachment                          uuid.UUID
	agent, session, token, absence               string
	channel, quarantine, team, hours, invitation int
	ownConversation                              int // of the stranger himself
	canned, view, bulk, push, export, pipeline   int
}

func (e *edge) estate(owner as, ownerID, strangerID string) estate {
	e.t.Helper()
	var x estate
	var messages []uuid.UUID
	x.contact, x.conversation, messages = e.talk("Sara", ownerID, 1)
	x.message, x.agent = messages[0], ownerID
	_, x.ownConversation, _ = e.talk("Tom", strangerID, 1)
	x.attachment = uuid.New()
	e.exec(`INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, kind, name, type, state, blob)
SELECT $1, 1, $2, at, id, 'document', 'a.txt', 'text/plain', 'ok', 'x' FROM message WHERE id = $3`, x.attachment, x.conversation, x.message)
	x.channel = e.count(`SELECT min(id) FROM channel`)
	x.quarantine = e.count(`INSERT INTO quarantine (channel_id, event_key, raw, error) VALUES ($1, 'k', 'raw', 'x') RETURNING id`, x.channel)
	lead := e.want(201, owner, "POST", "/api/leads", map[string]any{"contact_id": fmt.Sprint(x.contact)})
	_, _ = fmt.Sscan(lead["id"].(string), &x.lead)
	x.session = items(e.want(200, owner, "GET", "/api/sessions", nil))[0].(map[string]any)["id"].(string)
	x.token = e.want(201, owner, "POST", "/api/tokens", map[string]any{"name": "x", "scopes": []string{"read"}})["id"].(string)
	x.absence = e.want(201, owner, "POST", "/api/absences", map[string]any{
		"agent_id": ownerID, "from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z",
	})["id"].(string)
	x.team = e.count(`INSERT INTO team (name) VALUES ('Theirs') RETURNING id`)
	x.hours = e.count(`INSERT INTO hours (name, timezone) VALUES ('Theirs', 'UTC') RETURNING id`)
	x.invitation = e.count(`INSERT INTO invitation (token_hash, email, role, scope, expires_at)
VALUES ('x', 'new@hub.example', 'agent', 'own', now() + interval '1 day') RETURNING id`)
	x.canned = e.count(`INSERT INTO canned (scope, agent_id, title) VALUES ('own', $1, 'Sara') RETURNING id`, ownerID)
	x.view = e.count(`INSERT INTO view (agent_id, name, filter) VALUES ($1, 'Sara', '{"status": "active"}') RETURNING id`, ownerID)
	x.bulk = e.count(`INSERT INTO bulk (agent_id, change, total) VALUES ($1, '{}', 1) RETURNING id`, ownerID)
	x.push = e.count(`INSERT INTO push_subscription (agent_id, session_id, endpoint, p256dh, auth)
SELECT $1, min(id), 'https://push.example/1', 'x', 'x' FROM session RETURNING id`, ownerID)
	x.export = e.count(`INSERT INTO contact_export (contact_id, agent_id) VALUES ($1, $2) RETURNING id`, x.contact, ownerID)
	x.pipeline = e.count(`SELECT min(id) FROM pipeline`)
	return x
}

// path puts the owner's ids into a route's path; "" = this test does not know what the parameter names.
func (x estate) path(route string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(route, "/api/"), "/")
	id := map[string]any{
		"conversations": x.conversation, "contacts": x.contact, "leads": x.lead, "merges": x.merge, "attachments": x.attachment,
		"agents": x.agent, "sessions": x.session, "tokens": x.token, "absences": x.absence, "channels": x.channel, "teams": x.team,
		"hours": x.hours, "invitations": x.invitation, "canned": x.canned, "views": x.view, "bulk": x.bulk, "push": x.push,
		"contact-exports": x.export, "pipelines": x.pipeline,
	}[first]
	out := strings.NewReplacer("{message}", x.message.String(), "{session}", x.session, "{quarantine}", fmt.Sprint(x.quarantine)).Replace(route)
	if strings.Contains(out, "{id}") {
		if id == nil {
			return ""
		}
		out = strings.Replace(out, "{id}", fmt.Sprint(id), 1)
	}
	if strings.Contains(out, "{") {
		return ""
	}
	return out
}

// everybodys are things that every agent may read, or change by his permission alone, whoever made them: the house's
// furniture, and people who are served, whose cards are common (what was said with them is not).
func everybodys(line string) bool {
	return slices.Contains([]string{
		"GET /api/agents/{id}", "GET /api/channels/{id}", "GET /api/contacts/{id}", "PATCH /api/contacts/{id}",
		"POST /api/contacts/{id}/merge", "POST /api/merges/{id}/undo", "PATCH /api/leads/{id}", "GET /api/contacts/{id}/timeline",
	}, line)
}

// bodies are right ones, so that a refusal is about the thing and not about its form.
var bodies = map[string]string{
	"PATCH /api/conversations/{id}":                           `{"priority": 1}`,
	"POST /api/conversations/{id}/read":                       `{"message_id": "%m"}`,
	"POST /api/conversations/{id}/messages":                   `{"id": "0197a000-0000-7000-8000-000000000001", "text": "x"}`,
	"PATCH /api/conversations/{id}/messages/{message}":        `{"text": "x"}`,
	"POST /api/conversations/{id}/messages/{message}/resolve": `{"sent": true}`,
	"PUT /api/conversations/{id}/messages/{message}/reaction": `{"emoji": "x"}`,
	"PUT /api/conversations/{id}/draft":                       `{"version": 0, "text": "x"}`,
	"PATCH /api/canned/{id}":                                  `{"version": 1, "scope": "own", "title": "x", "text": "x"}`,
	"PATCH /api/views/{id}":                                   `{"version": 1, "name": "x", "filter": {"status": "active"}}`,
}

// TestStrangersMatrix asks every route that names a thing for somebody else's: by a colleague who has the same
// permissions and sees only his own, and by his API token. He gets what a missing thing gets, and nothing changes.
func TestStrangersMatrix(t *testing.T) {
	t.Parallel()
	e := newHub(t, func(_ *Config, d *Deps) {
		store, err := blob.OpenDir(filepath.Join(t.TempDir(), "files"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		d.Files = inbox.NewFiles(d.Pool, quietBus{}, store, d.Log)
		d.Notify = notify.New(notify.Config{}, d.Pool, quietBus{}, nil, egress.Guard{}, d.Log)
	})
	owner, ownerID := e.hire("owner", staff.Supervisor, staff.ScopeOwn)
	stranger, strangerID := e.hire("stranger", staff.Member, staff.ScopeOwn)
	x := e.estate(owner, ownerID, strangerID)
	token := e.wideToken("stranger", strangerID)
	before := e.count(`SELECT count(*) FROM event`)
	asked := 0
	for _, rt := range e.routes {
		line := rt.method + " " + rt.path
		if rt.need == public || !strings.Contains(rt.path, "{") || everybodys(line) {
			continue
		}
		path := x.path(rt.path)
		if path == "" {
			t.Errorf("%s: say in estate.path whose id this is, or in everybodys that it is common", line)
			continue
		}
		body := strings.ReplaceAll(bodies[line], "%m", x.message.String())
		want := []int{http.StatusNotFound}
		if p := rt.need.permission(); p != "" && !(staff.Access{Role: staff.Member}).Can(p) {
			want = []int{http.StatusForbidden}
		} else if line == "DELETE /api/push/subscriptions/{id}" { // a device that is gone is fine; whose it is is not told
			want = []int{http.StatusNoContent}
		} else if rt.unsafe() && body == "" {
			want = append(want, http.StatusForbidden, http.StatusUnprocessableEntity) // a route that this table has no body for
		}
		for name, who := range map[string]as{"a cookie": stranger, "a token": token} {
			asked++
			w := e.call(who, rt.method, path, body)
			if name == "a token" && rt.need == sessionOnly && w.Code == http.StatusForbidden {
				continue
			}
			if !slices.Contains(want, w.Code) {
				t.Errorf("%s with %s: got %d %s, want %v", line, name, w.Code, w.Body, want)
			}
		}
		if rt.method == http.MethodGet && rt.need == signedIn && !strings.Contains(rt.path, "/raw") && !strings.Contains(rt.path, "/body") && !strings.Contains(rt.path, "attachments") {
			if w := e.call(owner, rt.method, path, ""); w.Code != http.StatusOK {
				t.Errorf("%s by its owner: got %d %s", line, w.Code, w.Body)
			}
		}
		// A child is looked for under its parent: an own conversation does not open somebody else's message.
		if strings.Contains(rt.path, "/messages/{message}") {
			under := strings.Replace(path, fmt.Sprint("/", x.conversation, "/"), fmt.Sprint("/", x.ownConversation, "/"), 1)
			if w := e.call(stranger, rt.method, under, body); w.Code != http.StatusNotFound && w.Code != http.StatusUnprocessableEntity {
				t.Errorf("%s under his own conversation: got %d %s", line, w.Code, w.Body)
			}
		}
	}
	if asked < 50 {
		t.Errorf("only %d questions were asked", asked)
	}
	if n := e.count(`SELECT count(*) FROM event`); n != before {
		t.Errorf("refused requests left %d events", n-before)
	}
	if n := e.count(`SELECT count(*) FROM push_subscription`); n != 1 {
		t.Errorf("somebody's device was taken away")
	}
	// Lists and counters keep to the same scope.
	for _, list := range []string{
		"/api/conversations?view=all", "/api/conversations?view=all&q=sara", "/api/conversations?view=all&assignee=" + ownerID,
		fmt.Sprintf("/api/contacts/%d/timeline", x.contact), "/api/outbox", "/api/tokens", "/api/absences?agent=" + ownerID,
	} {
		for _, it := range items(e.want(200, stranger, "GET", list, nil)) {
			if s := fmt.Sprint(it); strings.Contains(s, "Sara") || strings.Contains(s, x.message.String()) || strings.Contains(s, "agent_id:"+ownerID+" ") && list == "/api/tokens" {
				t.Errorf("%s shows %v", list, it)
			}
		}
	}
}

// wideToken makes a token of a member, who may not make one himself: what it can do ends at his rights anyway.
func (e *edge) wideToken(name, agent string) as {
	e.t.Helper()
	e.exec(`UPDATE agent SET role = 'supervisor' WHERE id = $1`, agent)
	defer e.exec(`UPDATE agent SET role = 'agent' WHERE id = $1`, agent)
	w := e.call(as{}, "POST", "/api/session", map[string]string{"email": name + "@hub.example", "password": goodPassword})
	made := e.want(201, as{cookie: cookieOf(e.t, w).Value}, "POST", "/api/tokens", map[string]any{
		"name": "all", "scopes": []string{"read", "write", "conversations.reply", "conversations.assign", "contacts.edit", "contacts.merge"},
	})
	return as{token: made["secret"].(string)}
}
