package live

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// cast is one agent for each way to see things.
func cast() map[int64]Access {
	out := map[int64]Access{}
	for i, a := range []struct {
		scope string
		teams []int64
	}{{"own", nil}, {"own", []int64{1}}, {"own", []int64{1, 2}}, {"team", nil}, {"team", []int64{1}}, {"team", []int64{1, 2}}, {"all", nil}, {"all", []int64{2}}} {
		agent := int64(i + 1)
		acc := Access{AgentID: agent, Scope: a.scope, Role: "agent", Teams: map[int64]bool{}}
		for _, t := range a.teams {
			acc.Teams[t] = true
		}
		out[agent] = acc
	}
	return out
}

func places8() []place {
	var out []place
	for _, team := range []int64{0, 1, 2, 3} {
		for _, assignee := range []int64{0, 1, 2, 5, 99} {
			out = append(out, place{team, assignee})
		}
	}
	return out
}

func asStaff(a Access) staff.Access {
	out := staff.Access{AgentID: ids.ID(a.AgentID), Role: staff.Role(a.Role), Scope: staff.Scope(a.Scope)}
	for t := range a.Teams {
		out.Teams = append(out.Teams, ids.ID(t))
	}
	slices.Sort(out.Teams)
	return out
}

// TestSeesIsTheRuleOfStaff: what the feed shows and what the lists show must never differ.
func TestSeesIsTheRuleOfStaff(t *testing.T) {
	t.Parallel()
	for _, a := range cast() {
		for _, p := range places8() {
			if got, want := a.Sees(p.team, p.assignee), asStaff(a).Sees(ids.ID(p.team), ids.ID(p.assignee)); got != want {
				t.Errorf("%+v sees %+v: %v, staff says %v", a, p, got, want)
			}
		}
	}
}

// TestPermissionMatrix moves one conversation from every place to every place: each agent gets the row if he may see it
// now, "gone" if he only could before, and its messages only while he may see it.
func TestPermissionMatrix(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	people := cast()
	clients := map[int64]*client{}
	for agent, a := range people {
		r.access[agent] = a
		clients[agent], _ = r.join(agent)
	}
	want := map[int64][]string{}
	var evs []events.Event
	n := int64(0)
	for _, from := range places8() {
		for _, to := range places8() {
			n++
			evs = append(evs, moved(n, from, to), message(n, to))
			for agent, a := range people {
				st := asStaff(a)
				now, was := st.Sees(ids.ID(to.team), ids.ID(to.assignee)), st.Sees(ids.ID(from.team), ids.ID(from.assignee))
				switch {
				case now:
					want[agent] = append(want[agent], fmt.Sprintf("conversation.updated %d", n), fmt.Sprintf("message.created %d", n))
				case was && from != to:
					want[agent] = append(want[agent], fmt.Sprintf("conversation.gone %d", n))
				}
			}
		}
	}
	for part := range slices.Chunk(evs, 100) {
		r.write(part...)
	}
	r.write(marker("end"))
	for agent, c := range clients {
		var got []string
		for _, f := range c.until("end") {
			got = append(got, f.Kind+" "+f.ConversationID)
			if f.Kind == "conversation.gone" && string(f.Data) != fmt.Sprintf(`{"id":"%s"}`, f.ConversationID) {
				t.Errorf("gone tells %s", f.Data)
			}
		}
		if diff := cmp.Diff(want[agent], got); diff != "" {
			t.Errorf("agent %d %+v (-want +got):\n%s", agent, people[agent], diff)
		}
	}
}

// TestAudiences: who gets the events that are about no conversation.
func TestAudiences(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, "own")
	r.hire(2, "all")
	one, _ := r.join(1)
	two, _ := r.join(2)
	kinds := []string{
		"contact.created", "contact.updated", "contact.merged", "lead.created", "team.updated", "channel.updated", "channel.deleted", "setting.updated",
		"session.started", "login.failed", "token.created", "audit.read", "invitation.created", "call.ringing", "agent.password_changed", "agent.totp_removed", "unheard.of", "message.created", "readings.x",
	}
	var evs []events.Event
	for _, k := range kinds {
		evs = append(evs, events.Event{Kind: k, Actor: events.System, SubjectKind: "x", SubjectID: "1", Payload: map[string]any{"id": "9", "member_ids": []string{}}})
	}
	evs = append(evs,
		events.Event{Kind: "read.updated", Actor: events.Actor{Kind: "agent", ID: 2}, SubjectKind: "conversation", SubjectID: "5", ConversationID: 5, Payload: map[string]any{"agent_id": "1", "in_no": 3}},
		events.Event{Kind: "read.updated", Actor: events.Actor{Kind: "agent", ID: 2}, SubjectKind: "conversation", SubjectID: "5", ConversationID: 5, Payload: map[string]any{}},
		events.Event{Kind: "session.note", Actor: events.System, SubjectKind: "x", SubjectID: "1", ConversationID: 5},
	)
	r.write(evs...)
	r.write(marker("end"))
	for agent, c := range map[int64]*client{1: one, 2: two} {
		var got []string
		for _, f := range c.until("end") {
			got = append(got, f.Kind)
		}
		if diff := cmp.Diff(append(kinds[:8:8], "read.updated"), got); diff != "" {
			t.Errorf("agent %d (-want +got):\n%s", agent, diff)
		}
	}
}

func TestShrank(t *testing.T) {
	t.Parallel()
	acc := func(role, scope string, teams ...int64) *Access {
		a := &Access{Role: role, Scope: scope, Teams: map[int64]bool{}}
		for _, t := range teams {
			a.Teams[t] = true
		}
		return a
	}
	for _, tc := range []struct {
		from, to *Access
		want     bool
	}{
		{acc("agent", "all"), acc("agent", "all"), false},
		{acc("agent", "all", 1), acc("agent", "all"), false},
		{acc("agent", "all"), acc("agent", "team", 1), true},
		{acc("agent", "team", 1), acc("agent", "own", 1), true},
		{acc("agent", "team", 1), acc("agent", "team", 1, 2), false},
		{acc("agent", "team", 1, 2), acc("agent", "team", 2), true},
		{acc("agent", "own", 1), acc("agent", "team", 1), false},
		{acc("agent", "own", 1), acc("agent", "all"), false},
		{acc("admin", "all"), acc("agent", "all"), true},
	} {
		if got := tc.from.shrankTo(tc.to); got != tc.want {
			t.Errorf("%+v to %+v: %v", tc.from, tc.to, got)
		}
	}
}
