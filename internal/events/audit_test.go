package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/testsignal"
)

func TestAudit(t *testing.T) {
	t.Parallel()
	pool := dbtest.Server(t)
	agent := func(status, role string) Event {
		return Event{Kind: "agent.updated", Actor: Actor{"agent", 1}, SubjectKind: "agent", SubjectID: "5", Payload: json.RawMessage(
			fmt.Sprintf(`{"id":"5","email":"a@b.c","name":"Ann","role":%q,"scope":"all","team_ids":[],"disabled":false,"capacity":20,"status":%q}`, role, status))}
	}
	login := Event{Kind: "login.failed", Actor: System, SubjectKind: "agent", SubjectID: "5", Payload: map[string]any{"ip": "192.0.2.1"}}
	secret := Event{Kind: "message.created", Actor: System, SubjectKind: "message", SubjectID: "m", Payload: map[string]any{"text": "psst"}}
	write(t, pool, agent("online", "agent"), login, secret) // before the follower began: it must not miss them
	s := newSpine(t, pool)
	s.follow(t, AuditFollower(AuditKinds()))
	s.write(t, agent("busy", "agent"), agent("busy", "admin"), agent("away", "admin"), login)
	all := func(f AuditFilter) []string {
		t.Helper()
		var out []string
		for cursor := ""; ; {
			rows, next, err := AuditRows(t.Context(), pool, f, cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				var d struct{ Role, IP string }
				if err := json.Unmarshal(r.Detail, &d); err != nil {
					t.Error(err)
				}
				if strings.Contains(string(r.Detail), "status") {
					t.Errorf("the detail tells too much: %s", r.Detail)
				}
				out = append(out, fmt.Sprintf("%s %s/%d %s%s", r.Kind, r.Actor.Kind, r.Actor.ID, d.Role, d.IP))
			}
			if cursor = next; cursor == "" {
				return out
			}
		}
	}
	testsignal.Until(t, "the audit is written", func() bool { return len(all(AuditFilter{})) >= 4 })
	want := []string{"login.failed system/0 192.0.2.1", "agent.updated agent/1 admin", "login.failed system/0 192.0.2.1", "agent.updated agent/1 agent"}
	if diff := cmp.Diff(want, all(AuditFilter{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:2], all(AuditFilter{Kind: "agent.", Actor: Actor{"agent", 1}, SubjectID: "5"})[:1]); diff != "" {
		t.Errorf("filtered (-want +got):\n%s", diff)
	}
	if got := all(AuditFilter{Kind: "login", SubjectKind: "nothing"}); len(got) != 0 {
		t.Errorf("a filter that matches nothing found %v", got)
	}
	for _, bad := range []string{"x", "1", "1.x", "-5.1"} {
		if _, _, err := AuditRows(t.Context(), pool, AuditFilter{}, bad, 2); err == nil {
			t.Errorf("cursor %q was taken", bad)
		}
	}
	for _, sql := range []string{`UPDATE audit SET kind = 'x'`, `DELETE FROM audit`, `TRUNCATE audit`} {
		if _, err := pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s was allowed", sql)
		}
	}
}
