package live

import (
	"encoding/json"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/testsignal"
)

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatal(err)
	}
	return cmp.Equal(x, y)
}

// nodes are two hubs on one database and one bus.
func nodes(t *testing.T, cfg Config) (a, b *room, o *office) {
	t.Helper()
	o = newOffice()
	pool, wire := dbtest.Server(t), newBus(t)
	return openOn(t, cfg, o, pool, wire), openOn(t, cfg, o, pool, wire), o
}

// TestTypingReachesThoseWhoMaySee on both nodes, and nobody else.
func TestTypingReachesThoseWhoMaySee(t *testing.T) {
	t.Parallel()
	a, b, o := nodes(t, Config{})
	o.where[7] = place{4, 1}
	o.hire(1, scopeOwn)
	o.hire(2, scopeTeam, 4)
	o.hire(3, scopeTeam, 5)
	o.hire(4, scopeAll)
	one, _ := a.join(1)
	two, _ := b.join(2)
	three, _ := b.join(3)
	four, _ := a.join(4)

	three.send(map[string]any{"type": "typing", "conversation_id": "7", "on": true})
	if f := three.next(); f.Type != "error" || f.Code != "not_found" {
		t.Errorf("typing where one may not see: %+v", f)
	}
	one.send(map[string]any{"type": "typing", "conversation_id": "7", "on": true})
	want := map[string]string{"kind": "agent", "id": "1", "name": "Agent 1"}
	for agent, c := range map[int]*client{2: two, 4: four} {
		if f := c.next(); f.Type != "typing" || f.ConversationID != "7" || !f.On || !cmp.Equal(f.Who, want) {
			t.Errorf("agent %d got %+v", agent, f)
		}
	}
	one.send(map[string]any{"type": "typing", "conversation_id": "7", "on": false})
	for agent, c := range map[int]*client{2: two, 4: four} {
		if f := c.next(); f.Type != "typing" || f.On {
			t.Errorf("agent %d got %+v", agent, f)
		}
	}
	b.hub.Typing(7, Who{Kind: "contact", ID: 50, Name: "Zoë"}, true)
	for agent, c := range map[int]*client{1: one, 2: two, 4: four} {
		if f := c.next(); f.Type != "typing" || !f.On || f.Who["name"] != "Zoë" || f.Who["kind"] != "contact" {
			t.Errorf("agent %d got %+v", agent, f)
		}
	}
	// Nobody else was told anything, and the typist not of himself.
	a.write(marker("end"))
	if got := three.until("end"); len(got) != 0 {
		t.Errorf("a stranger got %+v", got)
	}
	if got := one.until("end"); len(got) != 0 {
		t.Errorf("the typist got %+v", got)
	}
}

func TestTypingIsRareAndExpires(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(1_700_000_000_000)
	r := open(t, Config{Now: func() time.Time { return time.UnixMilli(now.Load()).UTC() }})
	r.where[7] = place{}
	r.hire(1, scopeAll)
	c, _ := r.join(1)
	who := Who{Kind: "contact", ID: 5, Name: "Ann"}
	for range 50 {
		r.hub.Typing(7, who, true)
	}
	r.hub.Typing(7, who, false)
	r.hub.Typing(7, Who{Kind: "contact", ID: 6, Name: "Bob"}, true)
	if f := c.next(); !f.On || f.Who["id"] != "5" {
		t.Errorf("got %+v", f)
	}
	testsignal.Until(t, "the last notice has arrived", func() bool {
		r.hub.mu.Lock()
		defer r.hub.mu.Unlock()
		return r.hub.typing.in[7].who[typist{"contact", 6}] != nil
	})
	now.Add(300) // the next tick tells what is true now: one has stopped, one has begun
	got := map[string]bool{}
	for range 2 {
		f := c.next()
		got[f.Who["id"]] = f.On
	}
	if diff := cmp.Diff(map[string]bool{"5": false, "6": true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	now.Add(typingLasts.Milliseconds() + 1000)
	if f := c.next(); f.On || f.Who["id"] != "6" {
		t.Errorf("got %+v", f)
	}
}

func viewersOf(t *testing.T, f frame) []string {
	t.Helper()
	var out []string
	if f.Type != "viewers" {
		t.Fatalf("got %+v", f)
	}
	if err := json.Unmarshal(f.Agents, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// awaitViewers reads until a viewers frame says what is wanted; frames between are earlier states.
func awaitViewers(t *testing.T, c *client, want ...string) {
	t.Helper()
	for {
		if got := viewersOf(t, c.next()); slices.Equal(got, want) {
			return
		}
	}
}

func TestViewers(t *testing.T) {
	t.Parallel()
	a, b, o := nodes(t, Config{})
	o.where[7] = place{4, 0}
	o.hire(1, scopeAll)
	o.hire(2, scopeTeam, 4)
	o.hire(3, scopeTeam, 5)
	one, _ := a.join(1)
	two, _ := b.join(2)
	three, _ := b.join(3)
	watch := func(c *client, conversation any) {
		c.send(map[string]any{"type": "watch", "conversation_id": conversation})
	}
	watch(three, "7")
	if f := three.next(); f.Code != "not_found" {
		t.Errorf("watching what one may not see: %+v", f)
	}
	watch(one, "7")
	awaitViewers(t, one, "1")
	awaitViewers(t, two, "1") // from the other node
	watch(two, "7")
	awaitViewers(t, two, "1", "2")
	awaitViewers(t, one, "1", "2")
	// The conversation moves to where the second may not see it: he no longer watches.
	a.write(moved(7, place{4, 0}, place{6, 1}))
	for f := one.next(); ; f = one.next() {
		if f.Type == "viewers" && slices.Equal(viewersOf(t, f), []string{"1"}) {
			break
		}
	}
	for f := two.next(); f.Kind != "conversation.gone"; f = two.next() {
	}
	watch(two, "7")
	f := two.next()
	for f.Type == "event" { // the news of it may come more than once
		f = two.next()
	}
	if f.Code != "not_found" {
		t.Errorf("watching what one may no longer see: %+v", f)
	}
	watch(one, nil)
	awaitViewers(t, one)
	// A socket that ends does not look any more.
	o.hire(4, scopeAll)
	four, _ := b.join(4)
	watch(four, "7")
	awaitViewers(t, one, "4")
	_ = four.ws.Close()
	awaitViewers(t, one)
	b.write(marker("end"))
	if got := three.until("end"); len(got) != 0 {
		t.Errorf("a stranger got %+v", got)
	}
}
