package live

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/testsignal"
)

func ended(agent, session int64) events.Event {
	body := map[string]any{"agent_id": fmt.Sprint(agent), "session_id": nil}
	if session != 0 {
		body["session_id"] = fmt.Sprint(session)
	}
	return events.Event{Kind: "session.ended", Actor: events.System, SubjectKind: "agent", SubjectID: fmt.Sprint(agent), Payload: body}
}

func (r *room) socket(agent, session int64) *client {
	r.t.Helper()
	c, err := r.try(agent, session)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

func TestEndedSessionsAreClosed(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	r.hire(2, scopeAll)
	first, second, mute, other := r.socket(1, 11), r.socket(1, 12), r.socket(1, 12), r.socket(2, 11)
	for _, c := range []*client{first, second, other} {
		c.hello("")
	}
	start := time.Now()
	r.write(ended(1, 11))
	if code := first.closed(); code != closeSignedOut {
		t.Errorf("closed with %d", code)
	}
	r.write(marker("one"))
	second.until("one")
	r.write(ended(1, 0))
	for _, c := range []*client{second, mute} {
		if code := c.closed(); code != closeSignedOut {
			t.Errorf("closed with %d", code)
		}
	}
	if d := time.Since(start); d > time.Second {
		t.Logf("it took %s", d)
	}
	r.write(marker("two"))
	other.until("two")
	// The cookie of the ended session may still be on its way to us; a new session of the same agent is welcome.
	if code := r.socket(1, 11).closed(); code != closeSignedOut {
		t.Errorf("an ended session came in: closed with %d", code)
	}
	if f := r.socket(1, 13).hello(""); f.Type != "ready" {
		t.Errorf("a new session got %+v", f)
	}
}

// TestSessionEndsWhileTheSocketOpens: web has looked at the cookie, then everything of the agent is signed out, then the
// socket is registered.
func TestSessionEndsWhileTheSocketOpens(t *testing.T) {
	t.Parallel()
	s := newSessions()
	v := Viewer{AgentID: 1, SessionID: 5}
	mark := s.mark
	if s.ended(v, mark) {
		t.Error("nothing has ended")
	}
	now := time.Now()
	s.mark++
	s.last = append(s.last, endedSession{s.mark, 1, 0, now})
	if !s.ended(v, mark) || s.ended(v, s.mark) || s.ended(Viewer{2, 5}, mark) {
		t.Error("the end of all sessions must count for sockets that were opening, of that agent")
	}
	s.forget(now.Add(2 * sessionMemory))
	if s.ended(v, mark) {
		t.Error("not forgotten")
	}
}

func TestDisabledAgentsAreSignedOut(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	r.hire(2, scopeAll)
	c, _ := r.join(1)
	other, _ := r.join(2)
	a, _ := r.Access(t.Context(), 1)
	r.fire(1)
	r.write(agentRow(a, "off", true))
	if code := c.closed(); code != closeSignedOut {
		t.Errorf("closed with %d", code)
	}
	if f := other.await("presence"); f.Type != "presence" {
		t.Error("no presence")
	}
	late := r.dial(1)
	late.send(map[string]string{"type": "hello"})
	if code := late.closed(); code != closeSignedOut {
		t.Errorf("a disabled agent came in: closed with %d", code)
	}
}

func TestShrunkenAccessBeginsAnew(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	r.hire(2, scopeTeam, 4)
	r.hire(3, scopeTeam, 4)
	one, _ := r.join(1)
	two, _ := r.join(2)
	three, _ := r.join(3)

	r.hire(1, scopeOwn)
	a, _ := r.Access(t.Context(), 1)
	r.write(agentRow(a, "online", false))
	if code := one.closed(); code != closeReload {
		t.Errorf("all to own: closed with %d", code)
	}
	r.hire(2, scopeTeam, 5)
	r.write(events.Event{Kind: "team.updated", Actor: events.System, SubjectKind: "team", SubjectID: "4", Payload: map[string]any{"id": "4", "member_ids": []string{"3"}}})
	if code := two.closed(); code != closeReload {
		t.Errorf("out of a team: closed with %d", code)
	}
	r.hire(3, scopeTeam)
	r.write(events.Event{Kind: "team.deleted", Actor: events.System, SubjectKind: "team", SubjectID: "4", Payload: map[string]any{"id": "4"}})
	if code := three.closed(); code != closeReload {
		t.Errorf("the team is gone: closed with %d", code)
	}
}

func TestGrownAccessShowsMore(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeTeam)
	c, _ := r.join(1)
	r.write(message(1, place{4, 9}), marker("before"))
	if got := c.until("before"); len(got) != 0 {
		t.Errorf("it saw %d events", len(got))
	}
	r.hire(1, scopeTeam, 4)
	r.write(events.Event{Kind: "team.updated", Actor: events.System, SubjectKind: "team", SubjectID: "4", Payload: map[string]any{"id": "4", "member_ids": []string{"1"}}})
	testsignal.Until(t, "the new access holds", func() bool {
		r.hub.mu.Lock()
		defer r.hub.mu.Unlock()
		return r.hub.byAgent[1][0].access.Teams[4]
	})
	r.write(message(2, place{4, 9}), marker("after"))
	var got []string
	for _, f := range c.until("after") {
		got = append(got, f.Kind)
	}
	if diff := cmp.Diff([]string{"team.updated", "message.created"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUnknownAccessBeginsAnew: when staff cannot be asked what an agent may see now, he is not shown the old.
func TestUnknownAccessBeginsAnew(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	c, _ := r.join(1)
	a, _ := r.Access(t.Context(), 1)
	a.Scope = scopeOwn
	r.office.mu.Lock()
	r.down = true
	r.office.mu.Unlock()
	r.write(agentRow(a, "online", false))
	if code := c.closed(); code != closeReload {
		t.Errorf("closed with %d", code)
	}
	late := r.dial(1)
	late.send(map[string]string{"type": "hello"})
	if code := late.closed(); code != closeLater {
		t.Errorf("hello without a database: closed with %d", code)
	}
}

func TestPresenceFollowsTheAgents(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	r.hire(2, scopeAll)
	c, _ := r.join(1)
	for _, status := range []string{"busy", "away"} {
		a, _ := r.Access(t.Context(), 2)
		r.write(agentRow(a, status, false))
		want := fmt.Sprintf(`{"1":"online","2":%q}`, status)
		testsignal.Until(t, status, func() bool { f := c.await("presence"); return sameJSON(t, string(f.Agents), want) })
	}
}

func TestCountsComeWhenTheyChange(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	c, _ := r.join(1)
	start := time.Now()
	for i := range 200 {
		r.count(i + 1)
		<-time.After(time.Millisecond)
	}
	frames, last := 0, 0
	for last != 200 {
		last = c.await("counts").Mine
		frames++
	}
	if limit := 2 + int(time.Since(start)/tick); frames > limit {
		t.Errorf("%d frames in %s, at most %d", frames, time.Since(start), limit)
	}
	r.count(200) // nothing new
	r.count(201)
	if f := c.await("counts"); f.Mine != 201 {
		t.Errorf("got %d", f.Mine)
	}
}
