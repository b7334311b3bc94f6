package web

import (
	"fmt"
	"testing"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/staff"
)

func TestContactsOverHTTP(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	admin, adminID := e.hire("root", staff.Admin, staff.ScopeAll)
	anna, _ := e.hire("anna", staff.Member, staff.ScopeOwn)
	contact, _, _ := e.talk("Sara", adminID, 1)

	made := e.want(201, anna, "POST", "/api/contacts", map[string]any{
		"name": "Tom", "identities": []map[string]string{{"kind": "phone", "value": "+371 2000 0001"}, {"kind": "email", "value": "tom@example.org"}}, "owner_id": adminID,
	})
	if made["owner_id"] != adminID || len(made["identities"].([]any)) != 2 || made["company_id"] != nil {
		t.Errorf("made: %v", made)
	}
	p := e.want(409, anna, "POST", "/api/contacts", map[string]any{"name": "Tim", "identities": []map[string]string{{"kind": "phone", "value": "+37120000001"}}})
	if p["contact_id"] != made["id"] {
		t.Errorf("conflict: %v", p)
	}
	for body, field := range map[string]string{
		`{"name": ""}`: "body.name", `{"name": "x", "identities": [{"kind": "pigeon", "value": "1"}]}`: "body.identities[0].kind",
		`{"name": "x", "owner_id": "99999"}`: "body.owner_id", `{}`: "body",
	} {
		if got := errorAt(e.want(422, anna, "POST", "/api/contacts", body)); got != field {
			t.Errorf("%s: refused at %q", body, got)
		}
	}
	path := fmt.Sprint("/api/contacts/", made["id"])
	changed := e.want(200, anna, "PATCH", path, map[string]any{"version": 1, "name": "Tom Berg", "owner_id": "", "fields": map[string]any{"city": "Riga"}})
	if changed["name"] != "Tom Berg" || changed["owner_id"] != nil || changed["fields"].(map[string]any)["city"] != "Riga" || changed["version"] != 2.0 {
		t.Errorf("changed: %v", changed)
	}
	e.want(409, anna, "PATCH", path, map[string]any{"version": 1, "name": "x"})
	e.want(422, anna, "PATCH", path, map[string]any{"name": "x"}) // the version is missing

	if list := items(e.want(200, anna, "GET", "/api/contacts?q=2000+0001", nil)); len(list) != 1 {
		t.Errorf("search: %v", list)
	}
	page := e.want(200, anna, "GET", "/api/contacts?limit=1", nil)
	if len(items(page)) != 1 || page["next_cursor"] == nil {
		t.Errorf("page: %v", page)
	}
	if rest := e.want(200, anna, "GET", fmt.Sprint("/api/contacts?limit=1&cursor=", page["next_cursor"]), nil); len(items(rest)) != 1 || rest["next_cursor"] != nil {
		t.Errorf("last page: %v", rest)
	}
	// the card is everybody's, what was said is not
	sara := fmt.Sprint("/api/contacts/", contact)
	if got := e.want(200, anna, "GET", sara, nil); len(got["conversations"].([]any)) != 0 {
		t.Errorf("anna's card: %v", got)
	}
	if got := items(e.want(200, anna, "GET", sara+"/timeline", nil)); len(got) != 0 {
		t.Errorf("anna reads %v", got)
	}
	if got := e.want(200, admin, "GET", sara, nil); len(got["conversations"].([]any)) != 1 {
		t.Errorf("the admin's card: %v", got)
	}

	merged := e.want(200, anna, "POST", sara+"/merge", map[string]any{"from": []any{made["id"]}})
	if merged["contact"].(map[string]any)["id"] != fmt.Sprint(contact) || len(merged["merges"].([]any)) != 1 {
		t.Errorf("merged: %v", merged)
	}
	if got := e.want(200, anna, "GET", path, nil); got["id"] != fmt.Sprint(contact) {
		t.Errorf("a merged id leads to %v", got["id"])
	}
	if got := items(e.want(200, admin, "GET", path+"/timeline", nil)); len(got) != 1 {
		t.Errorf("the timeline by a merged id: %v", got)
	}
	if back := e.want(200, anna, "POST", fmt.Sprintf("/api/merges/%v/undo", merged["id"]), nil); back["id"] != made["id"] {
		t.Errorf("undone: %v", back)
	}
	e.want(404, anna, "POST", fmt.Sprintf("/api/merges/%v/undo", merged["id"]), nil)
	e.want(422, anna, "POST", sara+"/merge", map[string]any{"from": []any{fmt.Sprint(contact)}})
	e.want(404, anna, "POST", "/api/merges/999998/undo", nil)

	e.want(403, anna, "DELETE", path, nil)
	e.want(204, admin, "DELETE", path, nil)
	if got := e.want(200, anna, "GET", path, nil); got["name"] != "Erased" || len(got["identities"].([]any)) != 0 {
		t.Errorf("erased: %v", got)
	}
	e.want(404, anna, "GET", "/api/contacts/99999999", nil)
}

func TestLeadsOverHTTP(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	anna, annaID := e.hire("anna", staff.Member, staff.ScopeOwn)
	contact, _, _ := e.talk("Sara", "", 1)
	lines := items(e.want(200, anna, "GET", "/api/pipelines", nil))
	stages := lines[0].(map[string]any)["stages"].([]any)
	stage := func(i int) any { return stages[i].(map[string]any)["id"] }
	lead := e.want(201, anna, "POST", "/api/leads", map[string]any{"contact_id": fmt.Sprint(contact), "title": "Bicycles", "owner_id": annaID})
	if lead["stage_id"] != stage(0) || lead["contact"].(map[string]any)["name"] != "Sara" || lead["outcome"] != nil {
		t.Errorf("lead: %v", lead)
	}
	e.want(409, anna, "POST", "/api/leads", map[string]any{"contact_id": fmt.Sprint(contact)})
	e.want(422, anna, "POST", "/api/leads", map[string]any{"contact_id": "99999999"})
	path := fmt.Sprint("/api/leads/", lead["id"])
	won := e.want(200, anna, "PATCH", path, map[string]any{"version": 1, "stage_id": stage(4), "owner_id": nil})
	if won["outcome"] != "won" || won["closed_at"] == nil || won["owner_id"] != nil {
		t.Errorf("won: %v", won)
	}
	e.want(409, anna, "PATCH", path, map[string]any{"version": 1, "title": "x"})
	if got := errorAt(e.want(422, anna, "PATCH", path, map[string]any{"version": 2, "stage_id": "99999"})); got != "body.stage_id" {
		t.Errorf("refused at %q", got)
	}
	for query, want := range map[string]int{"": 1, fmt.Sprint("?contact=", contact): 1, fmt.Sprint("?stage=", stage(4)): 1, fmt.Sprint("?stage=", stage(0)): 0} {
		if got := items(e.want(200, anna, "GET", "/api/leads"+query, nil)); len(got) != want {
			t.Errorf("%s: %d leads, want %d", query, len(got), want)
		}
	}
}

func TestBoardOverHTTP(t *testing.T) {
	t.Parallel()
	e := newHub(t)
	admin, _ := e.hire("root", staff.Admin, staff.ScopeAll)
	anna, annaID := e.hire("anna", staff.Member, staff.ScopeOwn)
	contact, _, _ := e.talk("Sara", "", 1)
	lead := e.want(201, anna, "POST", "/api/leads", map[string]any{"contact_id": fmt.Sprint(contact), "title": "Chairs", "amount": 1250, "owner_id": annaID})
	pipeline := lead["pipeline_id"].(string)
	totals := items(e.want(200, anna, "GET", "/api/lead-totals?pipeline="+pipeline+"&owner="+annaID, nil))
	if len(totals) != 1 || totals[0].(map[string]any)["amount"] != 1250.0 {
		t.Errorf("totals: %v", totals)
	}
	if got := items(e.want(200, anna, "GET", "/api/lead-totals?owner=none&pipeline="+pipeline, nil)); len(got) != 0 {
		t.Errorf("nobody's: %v", got)
	}
	if got := items(e.want(200, anna, "GET", "/api/leads?q=chair&source=manual&pipeline="+pipeline, nil)); len(got) != 1 {
		t.Errorf("by words: %v", got)
	}
	e.want(422, anna, "GET", "/api/leads?owner=somebody", nil)
	for body, field := range map[string]string{
		`{"version": 1, "amount": -1}`: "body.amount", `{"version": 1, "amount": 2000000000000}`: "body.amount", `{"version": 1, "stage_id": "999"}`: "body.stage_id",
	} {
		if got := errorAt(e.want(422, anna, "PATCH", fmt.Sprint("/api/leads/", lead["id"]), body)); got != field {
			t.Errorf("%s: refused at %q", body, got)
		}
	}
	line := items(e.want(200, anna, "GET", "/api/pipelines", nil))[0].(map[string]any)
	stages := line["stages"].([]any)
	stages[1].(map[string]any)["rot_days"] = 3
	for _, s := range stages {
		delete(s.(map[string]any), "position")
	}
	path := "/api/pipelines/" + pipeline
	e.want(403, anna, "PATCH", path, map[string]any{"version": 1, "name": "x"})
	if got := e.want(200, admin, "PATCH", path, map[string]any{"version": 1, "currency": "ETB", "stages": stages}); got["currency"] != "ETB" || got["stages"].([]any)[1].(map[string]any)["rot_days"] != 3.0 {
		t.Errorf("changed: %v", got)
	}
	if got := errorAt(e.want(422, admin, "PATCH", path, map[string]any{"version": 2, "stages": stages[1:]})); got != "body.stages" {
		t.Errorf("a stage with a lead went, refused at %q", got)
	}
	made := e.want(201, admin, "POST", "/api/pipelines", map[string]any{"name": "Service", "stages": []map[string]any{
		{"name": "New", "kind": "incoming"}, {"name": "Work", "kind": "open"}, {"name": "Done", "kind": "won"}, {"name": "Not", "kind": "lost"},
	}})
	if made["currency"] != "USD" || len(made["stages"].([]any)) != 4 {
		t.Errorf("made: %v", made)
	}
}

func TestDataOfPeopleOverHTTP(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(c *Config, d *Deps) {
		d.Channels = inbox.NewChannels(d.Pool, quietBus{}, nil, nil, c.BaseURL, d.Log)
		d.Desk = inbox.NewDesk(d.Pool, quietBus{}, d.Log)
		d.CRM = crm.New(d.Pool, quietBus{}, d.Log, inbox.MergeFollower{})
		d.Exports, d.Keeper = inbox.NewExports(d.Pool, quietBus{}, d.CRM, nil, d.Log), inbox.NewKeeper(d.Pool, quietBus{})
	})
	admin, _ := e.hire("root", staff.Admin, staff.ScopeAll)
	anna, _ := e.hire("anna", staff.Member, staff.ScopeAll)
	contact, _, _ := e.talk("Sara", "", 1)
	sara := fmt.Sprint("/api/contacts/", contact)
	for _, r := range [][2]string{{"POST", sara + "/export"}, {"PUT", sara + "/hold"}, {"GET", "/api/contact-exports"}, {"GET", "/api/contact-exports/1/file"}, {"GET", "/api/channels/1/retention"}} {
		e.want(403, anna, r[0], r[1], map[string]any{"hold": true})
	}
	asked := e.want(202, admin, "POST", sara+"/export", nil)
	if asked["state"] != "queued" || asked["contact"].(map[string]any)["name"] != "Sara" {
		t.Errorf("asked: %v", asked)
	}
	e.want(404, admin, "POST", "/api/contacts/99999/export", nil)
	e.want(503, admin, "GET", fmt.Sprint("/api/contact-exports/", asked["id"], "/file"), nil)
	e.want(404, admin, "GET", "/api/contact-exports/x/file", nil)
	if got := items(e.want(200, admin, "GET", "/api/contact-exports", nil)); len(got) != 1 {
		t.Errorf("mine: %v", got)
	}
	if got := e.want(200, admin, "PUT", sara+"/hold", map[string]any{"hold": true}); got["legal_hold"] != true {
		t.Errorf("held: %v", got)
	}
	e.want(409, admin, "DELETE", sara, nil)

	channel := fmt.Sprintf("/api/channels/%d/retention", e.count(`SELECT min(id) FROM channel`))
	kept := e.want(200, admin, "GET", channel, nil)
	if kept["message_days"] != 0.0 || kept["version"] != 1.0 {
		t.Errorf("kept: %v", kept)
	}
	body := map[string]any{"version": 1, "message_days": 365, "raw_days": 30, "file_days": 90}
	if got := e.want(200, admin, "PUT", channel, body); got["file_days"] != 90.0 || got["version"] != 2.0 {
		t.Errorf("changed: %v", got)
	}
	e.want(409, admin, "PUT", channel, body)
	body["raw_days"] = -1
	if got := errorAt(e.want(422, admin, "PUT", channel, body)); got != "body.raw_days" {
		t.Errorf("refused at %q", got)
	}
	e.want(404, admin, "GET", "/api/channels/99999/retention", nil)
}
