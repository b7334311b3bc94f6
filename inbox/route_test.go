package inbox

import (
	"log/slog"
	"testing"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

func (o *office) onDuty(agents ...staff.Access) {
	o.t.Helper()
	for _, a := range agents {
		o.exec(`INSERT INTO agent_status (agent_id, status) VALUES ($1, 'online') ON CONFLICT (agent_id) DO UPDATE SET status = 'online', since = now(), heartbeat_at = now()`, int64(a.AgentID))
	}
}

func (o *office) waits(team ids.ID) ids.ID {
	o.t.Helper()
	id := o.open(Open, team, 0)
	o.exec(`UPDATE conversation SET queued_at = clock_timestamp(), waiting_since = clock_timestamp() WHERE id = $1`, int64(id))
	return id
}

func (o *office) router() *Router { return NewRouter(o.pool, o.bus, slog.New(slog.DiscardHandler)) }

func (o *office) round(r *Router) {
	o.t.Helper()
	if err := r.Round(o.ctx); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) ownerOf(id ids.ID) ids.ID {
	o.t.Helper()
	return ids.ID(o.id(`SELECT coalesce(assignee_id, 0) FROM conversation WHERE id = $1`, int64(id)))
}

func TestRouterSpreadsEvenlyAndSkipsTheAbsent(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"least_busy", "round_robin"} {
		o := newOffice(t)
		team := o.team()
		o.exec(`UPDATE team SET strategy = $2 WHERE id = $1`, int64(team), strategy)
		var people []staff.Access
		for range 5 {
			people = append(people, o.agent(staff.Member, staff.ScopeTeam, team))
		}
		o.exec(`UPDATE agent SET capacity = 1000`)
		o.onDuty(people[:4]...)
		for range 100 {
			o.waits(team)
		}
		o.round(o.router())
		for i, p := range people {
			want := int64(25)
			if i == 4 {
				want = 0
			}
			if n := o.id(`SELECT count(*) FROM conversation WHERE assignee_id = $1`, int64(p.AgentID)); n != want {
				t.Errorf("%s: agent %d has %d, want %d", strategy, i, n, want)
			}
		}
		if n := o.id(`SELECT count(*) FROM event WHERE kind = 'conversation.updated' AND assignee_id IS NOT NULL`); n != 100 {
			t.Errorf("%s: got %d events, want 100", strategy, n)
		}
	}
}

func TestRouterKeepsToCapacityAndDrainsWhenSomebodyComesFree(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	a := o.agent(staff.Member, staff.ScopeTeam, team)
	o.exec(`UPDATE agent SET capacity = 2`)
	o.onDuty(a)
	first, second, third := o.waits(team), o.waits(team), o.waits(team)
	urgent := o.waits(team)
	o.exec(`UPDATE conversation SET priority = 3 WHERE id = $1`, int64(urgent))
	r := o.router()
	o.round(r)
	if o.ownerOf(urgent) != a.AgentID || o.ownerOf(first) != a.AgentID {
		t.Error("the urgent one and the oldest go first")
	}
	if o.ownerOf(second) != 0 || o.ownerOf(third) != 0 {
		t.Error("nobody gets more than he can take")
	}
	o.exec(`UPDATE conversation SET status = 'closed', closed_at = now() WHERE id = $1`, int64(first))
	o.round(r)
	if o.ownerOf(second) != a.AgentID || o.ownerOf(third) != 0 {
		t.Error("whoever comes free gets the oldest, and one only")
	}
}

func TestRouterPrefersWhomTheCustomerKnows(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	a, b := o.agent(staff.Member, staff.ScopeTeam, team), o.agent(staff.Member, staff.ScopeTeam, team)
	o.onDuty(a, b)
	p := o.stranger()
	old := o.openWith(p, Closed, team, b.AgentID)
	o.exec(`UPDATE conversation SET closed_at = now() WHERE id = $1`, int64(old))
	again := o.openWith(p, Open, team, 0)
	o.exec(`UPDATE conversation SET queued_at = now() WHERE id = $1`, int64(again))
	for range 3 { // so that b is not the least busy one
		o.open(Open, team, b.AgentID)
	}
	o.round(o.router())
	if got := o.ownerOf(again); got != b.AgentID {
		t.Errorf("got owner %s, want %s who talked to this person last", got, b.AgentID)
	}
}

func TestRouterTakesBackFromTheAbsentAfterTheGrace(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	gone, there := o.agent(staff.Member, staff.ScopeTeam, team), o.agent(staff.Member, staff.ScopeTeam, team)
	o.onDuty(gone, there)
	id := o.waits(team)
	o.exec(`UPDATE conversation SET assignee_id = $2, queued_at = NULL WHERE id = $1`, int64(id), int64(gone.AgentID))
	o.exec(`UPDATE agent_status SET heartbeat_at = now() - interval '2 minutes' WHERE agent_id = $1`, int64(gone.AgentID))
	r := o.router()
	o.round(r)
	if o.ownerOf(id) != gone.AgentID {
		t.Fatal("within the grace the conversation stays")
	}
	o.exec(`UPDATE agent_status SET heartbeat_at = now() - interval '6 minutes', since = now() - interval '1 hour' WHERE agent_id = $1`, int64(gone.AgentID))
	o.round(r)
	if got := o.ownerOf(id); got != there.AgentID {
		t.Errorf("got owner %s, want %s who is there", got, there.AgentID)
	}
}

func TestRouterAnswersOnceWhenNobodyIsThere(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	o.exec(`UPDATE team SET auto_reply = 'We are back at nine.' WHERE id = $1`, int64(team))
	o.waits(team)
	r := o.router()
	o.round(r)
	o.round(r)
	if n := o.id(`SELECT count(*) FROM outbox`); n != 1 {
		t.Errorf("got %d automatic replies, want 1", n)
	}
	if n := o.id(`SELECT count(*) FROM conversation WHERE waiting_since IS NOT NULL AND assignee_id IS NULL`); n != 1 {
		t.Error("the customer still waits for a person")
	}
}

func TestRouterLeavesManualTeamsAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := o.team()
	o.exec(`UPDATE team SET strategy = 'manual' WHERE id = $1`, int64(team))
	o.onDuty(o.agent(staff.Member, staff.ScopeTeam, team))
	id := o.waits(team)
	o.round(o.router())
	if o.ownerOf(id) != 0 {
		t.Error("a team that takes by hand is given nothing")
	}
}
