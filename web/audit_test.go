package web

import (
	"encoding/csv"
	"net/url"
	"strings"
	"testing"

	"github.com/parley-hub/parley/staff"
)

func TestAuditIsFilteredAndExported(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	boss, bossID := e.hire("boss", staff.Admin, staff.ScopeAll)
	auditor, _ := e.hire("auditor", staff.Auditor, staff.ScopeAll)
	anna, annaID := e.hire("anna", staff.Member, staff.ScopeAll)
	e.exec(`UPDATE agent SET name = '=HYPERLINK("http://evil.example")' WHERE id = $1`, annaID)
	// What the follower would have written.
	e.exec(`INSERT INTO audit (at, kind, actor_kind, actor_id, subject_kind, subject_id, detail, epoch, xid, event_id)
SELECT '2026-03-01T00:00:00Z'::timestamptz + make_interval(days => g), CASE WHEN g % 2 = 0 THEN 'login.failed' ELSE 'session.started' END,
	'agent', CASE WHEN g <= 5 THEN $1::bigint ELSE $2::bigint END, 'agent', '@7', '{"ip": "192.0.2.1"}', 1, '1'::xid8, 1000 + g FROM generate_series(1, 10) g`, annaID, bossID)
	n := func(query string) int {
		t.Helper()
		return len(items(e.want(200, auditor, "GET", "/api/audit?limit=100&"+query, nil)))
	}
	since := "from=" + url.QueryEscape("2026-03-01T00:00:00Z") + "&to=" + url.QueryEscape("2026-04-01T00:00:00Z")
	for query, want := range map[string]int{
		since: 10, since + "&kind=login.": 5, since + "&agent=" + annaID: 5, since + "&agent=" + annaID + "&kind=login.failed": 2,
		"from=" + url.QueryEscape("2026-03-03T00:00:00Z") + "&to=" + url.QueryEscape("2026-03-05T00:00:00Z"): 2, since + "&agent=999": 0,
	} {
		if got := n(query); got != want {
			t.Errorf("%s: %d rows, want %d", query, got, want)
		}
	}
	for query, field := range map[string]string{"from=yesterday": "query.from", "agent=x": "query.agent", "kind=" + strings.Repeat("x", 101): "query.kind"} {
		for _, path := range []string{"/api/audit?", "/api/audit/export?"} {
			if got := errorAt(e.want(422, boss, "GET", path+query, nil)); got != field {
				t.Errorf("%s%s: refused at %q", path, query, got)
			}
		}
	}
	e.want(403, anna, "GET", "/api/audit/export", nil)
	w := e.call(auditor, "GET", "/api/audit/export?"+since+"&agent="+annaID, nil)
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/csv; charset=utf-8" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Fatalf("got %d %v", w.Code, w.Header())
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 6 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if r := rows[1]; r[1] != "2026-03-06T00:00:00Z" || r[5] != `'=HYPERLINK("http://evil.example")` || r[7] != "'@7" || r[8] != `{"ip":"192.0.2.1"}` {
		t.Errorf("got %q", r)
	}
	if n := e.count(`SELECT count(*) FROM event WHERE kind = 'audit.exported'`); n != 1 {
		t.Errorf("%d exports are in the audit", n)
	}
	tooMany := 0
	for range 20 {
		if e.call(auditor, "GET", "/api/audit/export?"+since, nil).Code == 429 {
			tooMany++
		}
	}
	if tooMany == 0 {
		t.Error("exports have no pace")
	}
}

func TestCSVCell(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "Anna": "Anna", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx", "  =1": "'  =1", "a=1": "a=1",
	} {
		if got := csvCell(in); got != want {
			t.Errorf("%q: got %q", in, got)
		}
	}
}
