package web

import (
	"net/http"
	"strings"
	"testing"
)

func TestCSPReports(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	policy := e.call(as{}, "GET", "/healthz", nil).Header()
	if !strings.Contains(policy.Get("Content-Security-Policy"), "report-uri /api/csp-reports; report-to csp") ||
		policy.Get("Reporting-Endpoints") != `csp="/api/csp-reports"` {
		t.Errorf("got %v", policy)
	}
	const old = `{"csp-report":{"document-uri":"https://hub.example/inbox/canary-person","violated-directive":"img-src 'self'",
"blocked-uri":"https://evil.example/canary-person.png","script-sample":"canary-person","original-policy":"x"}}`
	const batch = `[{"type":"csp-violation","age":1,"url":"https://hub.example/canary-person","user_agent":"x","body":{
"effectiveDirective":"script-src-elem","blockedURL":"inline","sample":"canary-person","documentURL":"https://hub.example/canary-person"}},
{"type":"deprecation","body":{"effectiveDirective":"font-src"}},
{"type":"csp-violation","body":{"effectiveDirective":"canary-person","blockedURL":"canary-person:x"}}]`
	browser := as{}.with("Content-Type", "application/csp-report").with("Sec-Fetch-Site", "cross-site")
	for _, body := range []string{old, batch} {
		if w := e.call(browser, "POST", "/api/csp-reports", body); w.Code != http.StatusNoContent {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
	seen := e.call(as{remote: "127.0.0.1:1"}, "GET", "/metrics", nil).Body.String()
	for directive, counted := range map[string]bool{"img-src": true, "script-src-elem": true, "other": true, "font-src": false} {
		if strings.Contains(seen, `parley_csp_reports_total{directive="`+directive+`"} 1`) != counted {
			t.Errorf("%s is counted wrongly: %s", directive, seen)
		}
	}
	if log := e.logs.String(); strings.Contains(log, "canary-person") || !strings.Contains(log, "directive=img-src blocked=https") ||
		!strings.Contains(log, "directive=script-src-elem blocked=inline") {
		t.Errorf("got %s", log)
	}
	for _, bad := range []string{"", "x", "{}", "null", `{"csp-report":null}`, `"x"`, `[1]`} {
		if w := e.call(browser, "POST", "/api/csp-reports", bad); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%q: got %d", bad, w.Code)
		}
	}
	if w := e.call(browser, "POST", "/api/csp-reports", strings.Repeat(" ", reportLimit+2)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("too much: got %d", w.Code)
	}
	refused := 0
	for range 2 * reportsPerMinute { // the minute may turn once
		if e.call(browser, "POST", "/api/csp-reports", old).Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("nothing bounds the reports")
	}
}

func FuzzCSPViolations(f *testing.F) {
	f.Add([]byte(`{"csp-report":{"violated-directive":"img-src x"}}`))
	f.Add([]byte(`[{"type":"csp-violation","body":{"blockedURL":"%zz"}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, _ := cspViolations(data)
		if len(found) > reportsAtOnce {
			t.Fatalf("%d reports of one batch", len(found))
		}
		for _, v := range found {
			for _, s := range []string{cspDirective(v), cspBlocked(v)} {
				if s == "" || len(s) > 24 || strings.ContainsAny(s, " /:?@") {
					t.Fatalf("%q gets into the log", s)
				}
			}
		}
	})
}
