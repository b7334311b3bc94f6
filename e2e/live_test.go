package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-hub/parley/e2e/rig"
)

// However often a client's connection breaks, and though the hub is killed in between: in the end its screen shows what
// the API tells, for every client.
func TestLiveConverges(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w := world(t, config(t))
	bob, _, err := w.Invite(ctx, "Bob", "agent", "all")
	check(t, err)
	eve, eveMe, err := w.Invite(ctx, "Eve", "agent", "own")
	check(t, err)
	telegram(t, w, nil)

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var screens []*screen
	for i := range 20 {
		s := newScreen([]*rig.Client{w.Admin, bob, eve}[i%3])
		screens = append(screens, s)
		wg.Go(func() {
			if err := s.run(ctx); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	network, calm := context.WithCancel(ctx)
	wg.Go(func() {
		for rig.Pause(network, rand.N(30*time.Millisecond)) { //nolint:gosec // any client
			screens[rand.IntN(len(screens))].drop() //nolint:gosec // any client
		}
	})
	var convs []string
	for i := range 12 {
		u := w.Fake.NewUser(fmt.Sprintf("Customer %d", i), "en")
		for n := range 5 {
			u.Send(fmt.Sprintf("question %d", n))
		}
		convs = append(convs, must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, u.First+" "+u.Last)).ID)
	}
	for n := range pick(60, 600) {
		id := convs[n%len(convs)]
		switch n % 5 {
		case 0, 1:
			if _, err := rig.Say(ctx, w.Admin, id, fmt.Sprintf("answer %d", n), nil); rig.StatusOf(err) != 409 { // closed
				check(t, err)
			}
		case 2:
			_ = must[rig.Item](t)(rig.Say(ctx, bob, id, fmt.Sprintf("note %d", n), map[string]any{"note": true}))
		case 3:
			who := []string{eveMe.ID, "", w.Me.ID}[n/5%3]
			assign(t, w.Admin, id, who)
		case 4:
			status := []string{"closed", "open", "waiting"}[n/5%3]
			check(t, w.Admin.Patch(ctx, "/api/conversations/"+id, map[string]any{"status": status}, nil))
		}
		if n == 30 {
			check(t, w.Hub.Restart(ctx))
		}
	}
	calm()
	resumed, reloaded := 0, 0
	for i, s := range screens {
		last := ""
		err := rig.Until(ctx, "the screen shows what is there", rig.Patience, func() (bool, error) {
			var err error
			last, err = s.differs(ctx)
			return last == "", err
		})
		if err != nil {
			t.Fatalf("client %d: %v\n%s", i, err, last)
		}
		s.mu.Lock()
		resumed, reloaded = resumed+s.resumed, reloaded+s.reloaded
		s.mu.Unlock()
	}
	t.Logf("%d sockets resumed, %d read everything", resumed, reloaded)
	if resumed == 0 {
		t.Error("no socket ever resumed: the test proves nothing")
	}
}

// Somebody who sees only his own conversations learns nothing of what is said in others', over HTTP or the live feed, and
// what is taken away from him is gone from his screen. (The names of contacts are everybody's.)
func TestOwnScope(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	eve, me, err := w.Invite(ctx, "Eve", "agent", "own")
	check(t, err)
	// Without a team, or in one of his, a conversation that waits would be his to take.
	var team struct{ ID string }
	check(t, w.Admin.Post(ctx, "/api/teams", map[string]any{"name": "Others", "strategy": "manual", "member_ids": []string{w.Me.ID}}, &team))
	telegram(t, w, map[string]any{"team_id": team.ID})
	l := live(t, eve, "")
	stranger, other := w.Fake.NewUser("Sara Secretname", "en"), w.Fake.NewUser("Omar Openname", "en")
	stranger.Send("SECRET one")
	stranger.SendDocument("secret.txt", "text/plain", []byte("SECRET document"), "")
	hidden := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Secretname"))
	other.Send("hello from Omar")
	seen := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Omar Openname"))
	assign(t, w.Admin, seen.ID, me.ID)

	// It appears when it is given to him.
	_, err = l.Wait(ctx, "the conversation", func(f rig.Frame) bool {
		return f.Type == "event" && strings.HasPrefix(f.Kind, "conversation.") && f.ConversationID != nil && *f.ConversationID == seen.ID
	})
	check(t, err)
	var file string
	items := must[[]rig.Item](t)(rig.Timeline(ctx, w.Admin, hidden.ID))
	for _, i := range items {
		for _, a := range i.Attachments {
			file = a.ID
		}
	}
	if file == "" {
		t.Fatal("the document did not arrive")
	}

	// What he may not see answers as what is not there.
	for _, path := range []string{
		"/api/conversations/%s", "/api/conversations/%s/timeline", "/api/conversations/%s/messages/" + items[0].ID,
	} {
		want := rig.StatusOf(eve.Get(ctx, fmt.Sprintf(path, "999999999"), nil))
		if got := rig.StatusOf(eve.Get(ctx, fmt.Sprintf(path, hidden.ID), nil)); got != want || got < 400 {
			t.Errorf("GET %s of somebody else's = %d, of nobody's %d", path, got, want)
		}
	}
	for _, path := range []string{
		"/api/attachments/" + file, "/api/attachments/" + file + "/preview", "/api/conversations?view=all", "/api/conversations?view=unassigned",
		"/api/contacts/" + hidden.Contact.ID, "/api/contacts/" + hidden.Contact.ID + "/timeline", "/api/contacts?q=Secretname", "/api/leads",
		"/api/audit", "/api/health",
		"/api/conversations?view=all&q=Secretname", "/api/conversations?view=all&q=SECRET", "/api/outbox?state=uncertain",
	} {
		if answer, err := eve.Do(ctx, "GET", path, nil, nil); err == nil && strings.Contains(string(answer), "SECRET") {
			t.Errorf("GET %s shows what is not his: %s", path, answer)
		}
	}
	if err := eve.Patch(ctx, "/api/conversations/"+hidden.ID, map[string]any{"assignee_id": me.ID}, nil); rig.StatusOf(err) < 400 {
		t.Errorf("he took what he does not see: %v", err)
	}
	if _, err := rig.Say(ctx, eve, hidden.ID, "hello", nil); rig.StatusOf(err) < 400 {
		t.Errorf("he wrote where he does not see: %v", err)
	}

	// Taken away, it is gone, and what happens there afterwards is not told.
	assign(t, w.Admin, seen.ID, w.Me.ID)
	gone, err := l.WaitEvent(ctx, "conversation.gone", nil)
	check(t, err)
	if !strings.Contains(string(gone.Data), `"`+seen.ID+`"`) {
		t.Errorf("gone is %s", gone.Data)
	}
	other.Send("SECRET now")
	stranger.Send("SECRET two")
	// Something that he may see comes after: then everything before has come or never will.
	third := w.Fake.NewUser("Third One", "en")
	third.Send("for Eve")
	k := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Third One"))
	assign(t, w.Admin, k.ID, me.ID)
	_, err = l.Wait(ctx, "the next conversation", func(f rig.Frame) bool { return f.ConversationID != nil && *f.ConversationID == k.ID })
	check(t, err)
	for _, f := range l.Frames() {
		if strings.Contains(string(f.Raw), "SECRET") || f.ConversationID != nil && *f.ConversationID == hidden.ID {
			t.Errorf("his socket was told: %s", f.Raw)
		}
	}

	// Switched off, he is out at once: socket, session and all.
	var now rig.Agent
	check(t, w.Admin.Get(ctx, "/api/agents/"+me.ID, &now))
	check(t, w.Admin.Patch(ctx, "/api/agents/"+me.ID, map[string]any{"version": now.Version, "disabled": true}, nil))
	code, err := l.Ended(ctx)
	check(t, err)
	if code != 4002 {
		t.Errorf("the socket was closed with %d, want 4002", code)
	}
	if status := rig.StatusOf(eve.Get(ctx, "/api/me", nil)); status != 401 {
		t.Errorf("GET /api/me = %d for somebody who is disabled", status)
	}
	if _, err := eve.Live(ctx, ""); rig.StatusOf(err) != 401 {
		t.Errorf("a socket for somebody who is disabled: %v", err)
	}
	email := map[string]string{"email": "eve@hub.test", "password": rig.Password}
	if status := rig.StatusOf(w.Client().Post(ctx, "/api/session", email, nil)); status < 400 {
		t.Errorf("POST /api/session = %d for somebody who is disabled", status)
	}
}

// The feed stays what it is whatever a client says.
func TestLiveRubbish(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	telegram(t, w, nil)
	good := live(t, w.Admin, "")
	for _, frame := range []string{
		"", "x", "null", "[]", "{}", `{"type":null}`, `{"type":"hello"}`, `{"type":"hello","since":"9999999.1.1"}`, `{"type":"nonsense"}`,
		`{"type":"watch","conversation_id":"x"}`, `{"type":"watch","conversation_id":"99999999999999999999999"}`,
		`{"type":"read","conversation_id":"1","message_id":"x"}`, `{"type":"read","conversation_id":"-1","message_id":""}`,
		`{"type":"typing","conversation_id":"1","on":"yes"}`, `{"type":"status","status":"<script>"}`, `{"type":"status"}`,
		strings.Repeat("[", 10_000), `{"type":"` + strings.Repeat("a", 60_000) + `"}`, `{"type":"ping","x":"\u0000\ud800"}`,
	} {
		l, err := w.Admin.Live(ctx, "")
		check(t, err)
		_ = l.SendRaw([]byte(frame)) // it may be thrown out
		// Whoever stays in can still ask for something.
		_ = l.Send(map[string]string{"type": "ping"})
		_, _ = l.Wait(ctx, "an answer", func(f rig.Frame) bool { return f.Type == "pong" })
		l.Close()
	}
	for _, since := range []string{"x", "1.2", "-1.-1.-1", "99999999999999999999.1.1", "1.1.99999999999999999999", "0.0.0", "1.0.0;", strings.Repeat("9", 5000)} {
		l, err := w.Admin.Live(ctx, since)
		check(t, err)
		if l.Greeting.Type != "snapshot" && since != "0.0.0" {
			t.Errorf("since %.30q was greeted with %s", since, l.Greeting.Type)
		}
		l.Close()
	}
	w.Fake.NewUser("Sara Bekele", "en").Send("still there?")
	f, err := good.WaitEvent(ctx, "message.created", nil)
	check(t, err)
	var item rig.Item
	check(t, json.Unmarshal(f.Data, &item))
	if strings.Contains(w.Hub.Log(), "panic") {
		t.Error("something panicked")
	}
}

// assign gives a conversation to somebody, also when somebody else has it: that takes the version which was seen.
func assign(t *testing.T, c *rig.Client, conversation, agent string) {
	t.Helper()
	check(t, rig.Until(t.Context(), "the conversation is given", rig.Patience, func() (bool, error) {
		var k rig.Conversation
		if err := c.Get(t.Context(), "/api/conversations/"+conversation, &k); err != nil {
			return false, err
		}
		err := c.Patch(t.Context(), "/api/conversations/"+conversation, map[string]any{"assignee_id": agent, "version": k.Version}, nil)
		if rig.StatusOf(err) == 409 { // it changed meanwhile
			return false, nil
		}
		return err == nil, err
	}))
}
