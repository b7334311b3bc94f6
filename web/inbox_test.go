package web

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

// newHub is the edge with the rooms behind the inbox and the people who are served.
func newHub(t *testing.T, more ...func(*Config, *Deps)) *edge {
	t.Helper()
	return newEdge(t, append([]func(*Config, *Deps){func(c *Config, d *Deps) {
		box, _, err := secret.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
		if err != nil {
			t.Fatal(err)
		}
		d.Desk = inbox.NewDesk(d.Pool, quietBus{}, d.Log)
		if d.Finder, err = inbox.NewFinder(t.Context(), d.Pool); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Finder.Close)
		d.Channels = inbox.NewChannels(d.Pool, quietBus{}, box, nil, c.BaseURL, d.Log)
		d.CRM = crm.New(d.Pool, quietBus{}, d.Log, inbox.MergeFollower{})
	}}, more...)...)
}

// talk makes a channel (once), a person and a conversation with n messages of his.
func (e *edge) talk(name string, assignee string, n int) (contact, conversation int, messages []uuid.UUID) {
	e.t.Helper()
	if e.count(`SELECT count(*) FROM channel`) == 0 {
		e.exec(`INSERT INTO channel (kind, name, state) VALUES ('telegram', 'Bot', 'up')`)
	}
	contact = e.count(`INSERT INTO contact (name) VALUES ($1) RETURNING id`, name)
	identity := e.count(`INSERT INTO identity (kind, value, contact_id) VALUES ('telegram', $1, $2) RETURNING id`, fmt.Sprint(900+contact), contact)
	conversation = e.count(`INSERT INTO conversation (channel_id, contact_id, identity_id, assignee_id, in_count, message_count, last_text)
VALUES ((SELECT min(id) FROM channel), $1, $2, nullif($3, '')::bigint, $4, $4, 'hello') RETURNING id`, contact, identity, assignee, n)
	for i := range n {
		id := uuid.Must(uuid.NewV7())
		messages = append(messages, id)
		e.exec(`INSERT INTO message (at, id, conversation_id, identity_id, kind, direction, author_kind, text, status, in_no)
VALUES (now() - make_interval(secs => $5), $1, $2, $3, 'message', 'in', 'contact', 'hello ' || $4::int, 'received', $4)`, id, conversation, identity, i+1, n-i)
	}
	return contact, conversation, messages
}

func items(out map[string]any) []any { list, _ := out["items"].([]any); return list }

func TestInboxOverHTTP(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	anna, annaID := e.hire("anna", staff.Member, staff.ScopeOwn)
	bob, bobID := e.hire("bob", staff.Member, staff.ScopeAll)
	_, talk, messages := e.talk("Sara", "", 3)
	_, bobs, _ := e.talk("Tom", bobID, 1)
	path := fmt.Sprintf("/api/conversations/%d", talk)

	if got := items(e.want(200, anna, "GET", "/api/conversations", nil)); len(got) != 1 {
		t.Errorf("anna sees %d conversations", len(got))
	}
	all := e.want(200, bob, "GET", "/api/conversations?limit=1", nil)
	if len(items(all)) != 1 || all["next_cursor"] == nil {
		t.Fatalf("a page of one: %v", all)
	}
	rest := e.want(200, bob, "GET", "/api/conversations?limit=1&cursor="+url.QueryEscape(all["next_cursor"].(string)), nil)
	if len(items(rest)) != 1 || rest["next_cursor"] != nil {
		t.Errorf("the last page: %v", rest)
	}
	if got := items(e.want(200, bob, "GET", "/api/conversations?q=sar&view=all", nil)); len(got) != 1 {
		t.Errorf("search finds %d", len(got))
	}
	for query, field := range map[string]string{
		"view=nonsense": "query.view", "status=gone": "query.status", "limit=0": "query.limit", "limit=201": "query.limit", "cursor=x": "query.cursor",
		"assignee=bob": "query.assignee", "team=x": "query.team",
	} {
		if got := errorAt(e.want(422, bob, "GET", "/api/conversations?"+query, nil)); got != field {
			t.Errorf("%s: refused at %q", query, got)
		}
	}
	e.want(404, anna, "GET", fmt.Sprintf("/api/conversations/%d", bobs), nil)
	e.want(404, anna, "GET", fmt.Sprintf("/api/conversations/%d/timeline", bobs), nil)
	e.want(404, anna, "PATCH", fmt.Sprintf("/api/conversations/%d", bobs), map[string]any{"priority": 1})
	e.want(404, anna, "GET", "/api/conversations/99999999", nil)
	e.want(422, anna, "GET", "/api/conversations/abc", nil)

	c := e.want(200, anna, "PATCH", path, map[string]any{"version": 1, "assignee_id": annaID, "tags": []string{"vip"}, "priority": 2})
	if c["assignee_id"] != annaID || c["unread"] != 3.0 || c["version"] != 2.0 {
		t.Errorf("taken: %v", c)
	}
	if p := e.want(409, bob, "PATCH", path, map[string]any{"assignee_id": bobID}); p["code"] != "conflict" || p["assignee_id"] != annaID {
		t.Errorf("taken by another: %v", p)
	}
	e.want(409, bob, "PATCH", path, map[string]any{"version": 1, "status": "closed"})
	if c = e.want(200, anna, "PATCH", path, map[string]any{"snoozed_until": time.Now().Add(time.Hour).Format(time.RFC3339)}); c["status"] != "snoozed" {
		t.Errorf("snoozed: %v", c)
	}
	c = e.want(200, anna, "PATCH", path, map[string]any{"status": "open", "snoozed_until": nil, "assignee_id": ""})
	if c["status"] != "open" || c["assignee_id"] != nil {
		t.Errorf("given back: %v", c)
	}
	for body, field := range map[string]string{
		`{"status": "gone"}`: "body.status", `{"priority": 9}`: "body.priority", `{"tags": [""]}`: "body.tags", `{"assignee_id": "x"}`: "body.assignee_id",
		`{"colour": "red"}`: "body.colour", `{"snoozed_until": "2001-01-01T00:00:00Z"}`: "body.snoozed_until", `{"team_id": "77777"}`: "body.team_id",
	} {
		if got := errorAt(e.want(422, anna, "PATCH", path, body)); got != field {
			t.Errorf("%s: refused at %q", body, got)
		}
	}

	tl := e.want(200, anna, "GET", path+"/timeline?limit=2", nil)
	if len(items(tl)) != 2 || tl["prev_cursor"] == nil || tl["next_cursor"] != nil {
		t.Errorf("timeline: %v", tl)
	}
	older := e.want(200, anna, "GET", path+"/timeline?before="+url.QueryEscape(tl["prev_cursor"].(string)), nil)
	first := items(older)[0].(map[string]any)
	if first["text"] != "hello 1" || first["author"].(map[string]any)["name"] != "Sara" {
		t.Errorf("older: %v", first)
	}
	e.want(422, anna, "GET", path+"/timeline?before=x", nil)
	e.want(204, anna, "POST", path+"/read", map[string]any{"message_id": messages[1]})
	if c = e.want(200, anna, "GET", path, nil); c["unread"] != 1.0 || c["read_in_no"] != 2.0 {
		t.Errorf("after reading two: %v", c)
	}
	e.want(404, anna, "POST", path+"/read", map[string]any{"message_id": uuid.New()})
	e.want(422, anna, "POST", path+"/read", map[string]any{"message_id": "x"})

	message := path + "/messages/" + messages[0].String()
	if m := e.want(200, anna, "GET", message, nil); m["text"] != "hello 1" {
		t.Errorf("message: %v", m)
	}
	e.want(200, anna, "GET", message+"/revisions", nil)
	e.want(404, anna, "GET", message+"/raw", nil)
	e.exec(`INSERT INTO message_raw SELECT at, id, '<script>alert(1)</script>' FROM message WHERE id = $1`, messages[0])
	w := e.call(anna, "GET", message+"/raw", nil)
	if w.Code != 200 || w.Body.String() != "<script>alert(1)</script>" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" ||
		w.Header().Get("Content-Disposition") == "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("raw: %d %v %s", w.Code, w.Header(), w.Body)
	}
	e.want(404, anna, "GET", fmt.Sprintf("/api/conversations/%d/messages/%s/raw", bobs, messages[0]), nil)
	if tags := items(e.want(200, anna, "GET", "/api/tags", nil)); len(tags) != 1 {
		t.Errorf("tags: %v", tags)
	}
	e.want(503, anna, "GET", "/api/counts", nil) // no sidebar runs here
}

func TestHealthNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	e.talk("Sara", "", 1)
	e.exec(`INSERT INTO channel (kind, name, state, reason, enabled) VALUES ('email', 'Mail', 'needs_login', 'The password was refused.', true), ('email', 'Off', 'failed', '', false)`)
	anna, _ := e.hire("anna", staff.Member, staff.ScopeOwn)
	h := e.want(200, anna, "GET", "/api/health", nil)
	if list := h["channels"].([]any); len(list) != 2 || h["insecure"] != false {
		t.Errorf("health: %v", h)
	}
	problems := h["problems"].([]any)
	if len(problems) != 1 || problems[0].(map[string]any)["code"] != "channel_down" || problems[0].(map[string]any)["text"] != "Mail is not connected: The password was refused." {
		t.Errorf("problems: %v", problems)
	}
}

func TestFullDisksAreForWhoCanActOnThem(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(c *Config, d *Deps) {
		d.Channels = inbox.NewChannels(d.Pool, quietBus{}, nil, nil, c.BaseURL, d.Log)
		d.Disks = func() []DiskUse { return []DiskUse{{What: "database", Free: 5 << 20, Total: 9 << 30, Low: true}} }
	})
	admin, _ := e.hire("root", staff.Admin, staff.ScopeAll)
	anna, _ := e.hire("anna", staff.Member, staff.ScopeOwn)
	h := e.want(200, admin, "GET", "/api/health", nil)
	if p := h["problems"].([]any); len(p) != 1 || p[0].(map[string]any)["code"] != "disk_low" || len(h["disks"].([]any)) != 1 {
		t.Errorf("health of the admin: %v", h)
	}
	if h := e.want(200, anna, "GET", "/api/health", nil); len(h["problems"].([]any)) != 0 || len(h["disks"].([]any)) != 0 {
		t.Errorf("health of an agent: %v", h)
	}
}

func TestAuditorChangesNothing(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	contact, talk, messages := e.talk("Sara", "", 1)
	who, _ := e.hire("olga", staff.Auditor, staff.ScopeAll)
	e.want(200, who, "GET", fmt.Sprintf("/api/conversations/%d", talk), nil)
	e.want(204, who, "POST", fmt.Sprintf("/api/conversations/%d/read", talk), map[string]any{"message_id": messages[0]})
	for _, r := range [][3]string{
		{http.MethodPatch, fmt.Sprintf("/api/conversations/%d", talk), `{"status":"closed"}`},
		{http.MethodPost, "/api/contacts", `{"name":"x"}`},
		{http.MethodPatch, fmt.Sprintf("/api/contacts/%d", contact), `{"version":1,"name":"x"}`},
		{http.MethodDelete, fmt.Sprintf("/api/contacts/%d", contact), ``},
		{http.MethodPost, fmt.Sprintf("/api/contacts/%d/merge", contact), `{"from":["1"]}`},
		{http.MethodPost, "/api/merges/1/undo", ``},
		{http.MethodPost, "/api/leads", fmt.Sprintf(`{"contact_id":"%d"}`, contact)},
		{http.MethodPatch, "/api/leads/1", `{"version":1}`},
	} {
		e.want(403, who, r[0], r[1], r[2])
	}
}

func TestSearchOverHTTP(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	boss, _ := e.hire("boss", staff.Admin, staff.ScopeAll)
	anna, _ := e.hire("anna", staff.Member, staff.ScopeOwn)
	_, bobID := e.hire("bob", staff.Member, staff.ScopeOwn)
	_, mine, _ := e.talk("Sara Lee", "", 2)
	e.talk("Tom", bobID, 1)
	if err := inbox.FillSearch(t.Context(), e.pool, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	section := func(out map[string]any, kind string) []any {
		list, _ := out[kind].(map[string]any)
		return items(list)
	}
	for _, tc := range []struct {
		who              as
		query            string
		messages, people int
	}{
		{boss, "q=hello", 3, 0},
		{anna, "q=hello", 2, 0},
		{boss, "q=hel&kinds=messages&limit=1", 1, 0},
		{boss, "q=lee", 0, 1},
		{boss, "q=lee&kinds=messages", 0, 0},
		{boss, "q=lee&kinds=people,files", 0, 1},
		{boss, "q=", 0, 0},
		{boss, "q=hello+from:tom", 1, 0},
		{anna, "q=hello+from:tom", 0, 0},
	} {
		out := e.want(200, tc.who, "GET", "/api/search?"+tc.query, nil)
		if m, p := len(section(out, "messages")), len(section(out, "people")); m != tc.messages || p != tc.people {
			t.Errorf("%s: %d messages and %d people, want %d and %d", tc.query, m, p, tc.messages, tc.people)
		}
	}
	out := e.want(200, anna, "GET", "/api/search?q=hello+2&kinds=messages", nil)
	m, _ := section(out, "messages")[0].(map[string]any)
	if m["conversation_id"] != fmt.Sprint(mine) || fmt.Sprint(m["text"]) != "[map[hit:true text:hello] map[hit:false text: ] map[hit:true text:2]]" {
		t.Errorf("found %v", m)
	}
	for query, field := range map[string]string{
		"q=has:gold": "query.q", "q=x&kinds=houses": "query.kinds", "q=x&limit=0": "query.limit", "q=x&limit=51": "query.limit",
		"q=x&kinds=messages&cursor=x": "query.cursor", "q=x&zone=Nowhere": "query.zone",
	} {
		p := e.want(422, boss, "GET", "/api/search?"+query, nil)
		if got := errorAt(p); !strings.HasPrefix(got, field) {
			t.Errorf("%s: refused at %q", query, got)
		}
	}
	if p := e.want(422, boss, "GET", "/api/search?q=after:soon", nil); p["code"] != "search_day" {
		t.Errorf("a day that is none: %v", p)
	}
}
