package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-hub/parley/e2e/rig"
)

// Whoever comes online gets the conversations that wait longest, as many as he can take; what he finishes makes room.
func TestRouter(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	ann, annMe, err := w.Invite(ctx, "Ann", "agent", "team")
	check(t, err)
	bob, bobMe, err := w.Invite(ctx, "Bob", "agent", "team")
	check(t, err)
	var team struct{ ID string }
	check(t, w.Admin.Post(ctx, "/api/teams", map[string]any{
		"name": "Sales", "strategy": "round_robin", "member_ids": []string{annMe.ID, bobMe.ID},
	}, &team))
	for _, a := range []rig.Agent{annMe, bobMe} {
		check(t, w.Admin.Get(ctx, "/api/agents/"+a.ID, &a))
		check(t, w.Admin.Patch(ctx, "/api/agents/"+a.ID, map[string]any{"version": a.Version, "capacity": 2}, nil))
	}
	telegram(t, w, map[string]any{"team_id": team.ID})
	watch := live(t, w.Admin, "")

	var convs []string
	for i := range 5 {
		u := w.Fake.NewUser(fmt.Sprintf("Customer %d", i), "en")
		u.Send("hello")
		convs = append(convs, must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, u.First+" "+u.Last)).ID)
	}
	owner := func(i int) string {
		var k rig.Conversation
		check(t, w.Admin.Get(ctx, "/api/conversations/"+convs[i], &k))
		if k.AssigneeID == nil {
			return ""
		}
		return *k.AssigneeID
	}
	expect := func(when string, want ...string) {
		t.Helper()
		last := ""
		err := rig.Until(ctx, when, rig.Patience, func() (bool, error) {
			got := make([]string, len(convs))
			for i := range convs {
				got[i] = owner(i)
			}
			last = fmt.Sprint(got)
			return last == fmt.Sprint(want), nil
		})
		if err != nil {
			t.Fatalf("%v: owners %s, want %q", err, last, want)
		}
	}
	expect("nobody is there", "", "", "", "", "")

	began := time.Now()
	check(t, ann.JSON(ctx, "PUT", "/api/me/status", map[string]string{"status": "online"}, nil))
	f, err := watch.WaitEvent(ctx, "conversation.updated", nil)
	check(t, err)
	t.Logf("assigned %s after coming online", f.Came.Sub(began).Round(time.Millisecond))
	if f.ConversationID == nil || *f.ConversationID != convs[0] {
		t.Errorf("the first to be given is %v, want the oldest, %s", f.ConversationID, convs[0])
	}
	expect("Ann is full", annMe.ID, annMe.ID, "", "", "")

	check(t, bob.JSON(ctx, "PUT", "/api/me/status", map[string]string{"status": "online"}, nil))
	expect("Bob is full", annMe.ID, annMe.ID, bobMe.ID, bobMe.ID, "")

	check(t, ann.Patch(ctx, "/api/conversations/"+convs[0], map[string]any{"status": "closed"}, nil))
	expect("Ann has room", annMe.ID, annMe.ID, bobMe.ID, bobMe.ID, annMe.ID)

	// Whom the router would choose now, and why not.
	var dry struct {
		AgentID *string  `json:"agent_id"`
		Why     []string `json:"why"`
	}
	check(t, w.Admin.Get(ctx, "/api/routing/dry-run?channel="+must[[]rig.Channel](t)(rig.All[rig.Channel](ctx, w.Admin, "/api/channels"))[0].ID, &dry))
	if dry.AgentID != nil || len(dry.Why) == 0 {
		t.Errorf("the dry run chooses %v because of %q, while everybody is full", dry.AgentID, dry.Why)
	}
}
