package live

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
)

// people is what the events of staff have told: who is at work, and whose permissions changed when.
type people struct {
	statuses map[int64]string
	told     time.Time // when the last presence frame went out
	dirty    bool
	// known is the last access of agents who were connected since the start; changed the event that last changed it. A
	// client who was away meanwhile must read everything anew.
	known   map[int64]Access
	changed map[int64]events.Cursor
}

// presenceEvery keeps the frame, which names everybody, rare.
const presenceEvery = time.Second

func newPeople() people {
	return people{statuses: map[int64]string{}, known: map[int64]Access{}, changed: map[int64]events.Cursor{}}
}

// agentChanged follows agent.updated. The caller holds mu.
func (h *Hub) agentChanged(e *events.Event) {
	var a struct {
		ID       id     `json:"id"`
		Role     string `json:"role"`
		Scope    string `json:"scope"`
		TeamIDs  []id   `json:"team_ids"`
		Status   string `json:"status"`
		Disabled bool   `json:"disabled"`
	}
	if err := json.Unmarshal(e.Raw, &a); err != nil || a.ID == 0 {
		h.log.Error("an agent event cannot be read", "cursor", e.Cursor.String(), "error", err)
		return
	}
	agent := int64(a.ID)
	switch {
	case a.Disabled || e.Kind == "agent.deleted":
		h.setStatus(agent, "")
		h.people.changed[agent] = e.Cursor
		delete(h.people.known, agent)
		h.signOut(agent, 0)
		return
	case a.Status != "":
		h.setStatus(agent, a.Status)
	}
	now := Access{AgentID: agent, Role: a.Role, Scope: a.Scope, Teams: map[int64]bool{}}
	for _, t := range a.TeamIDs {
		now.Teams[int64(t)] = true
	}
	old, known := h.people.known[agent]
	if known && old.same(&now) {
		return
	}
	now.Name = old.Name
	h.changeAccess(agent, now, e.Cursor)
}

// teamChanged follows team.updated and team.deleted: who came in, who went out. The caller holds mu.
func (h *Hub) teamChanged(e *events.Event) {
	var t struct {
		ID        id   `json:"id"`
		MemberIDs []id `json:"member_ids"`
	}
	if err := json.Unmarshal(e.Raw, &t); err != nil || t.ID == 0 {
		h.log.Error("a team event cannot be read", "cursor", e.Cursor.String(), "error", err)
		return
	}
	team := int64(t.ID)
	members := map[int64]bool{}
	if e.Kind != "team.deleted" {
		for _, m := range t.MemberIDs {
			members[int64(m)] = true
		}
	}
	for agent, a := range h.people.known {
		if a.Teams[team] == members[agent] {
			continue
		}
		a.Teams = maps.Clone(a.Teams)
		if members[agent] {
			a.Teams[team] = true
		} else {
			delete(a.Teams, team)
		}
		h.changeAccess(agent, a, e.Cursor)
	}
	for agent := range members {
		if _, known := h.people.known[agent]; !known {
			h.people.changed[agent] = e.Cursor
		}
	}
	for _, c := range h.conns {
		if c.access == nil {
			c.touched++ // it is just being looked up
		}
	}
}

// changeAccess has the sockets of an agent looked up again. What the event says is only the occasion: staff is asked.
func (h *Hub) changeAccess(agent int64, now Access, at events.Cursor) {
	h.people.changed[agent] = at
	if _, known := h.people.known[agent]; known {
		h.people.known[agent] = now
	}
	if len(h.byAgent[agent]) == 0 || h.stopped {
		return
	}
	for _, c := range h.byAgent[agent] {
		c.touched++
	}
	h.work.Go(func() { h.refresh(h.ctx, agent) })
}

// refreshTries failures to look an agent up close his sockets: better read anew than shown too much.
const (
	refreshTries = 4
	refreshRetry = 100 * time.Millisecond
)

// refresh looks an agent up and applies what he may see now to his sockets.
func (h *Hub) refresh(ctx context.Context, agent int64) {
	for try := 1; ; try++ {
		h.mu.Lock()
		before := h.people.changed[agent]
		h.mu.Unlock()
		now, err := h.ask(ctx, agent)
		h.mu.Lock()
		switch {
		case ctx.Err() != nil:
		case err == nil && h.people.changed[agent] != before:
			// It changed again while we asked; the answer may be the old one, and another refresh is on its way.
		case err == nil:
			h.apply(agent, &now)
		case refused(err):
			h.signOut(agent, 0)
		case try < refreshTries:
			h.mu.Unlock()
			pause(ctx, refreshRetry)
			continue
		default:
			h.log.ErrorContext(ctx, "permissions could not be looked up; the agent's sockets begin anew", "agent_id", agent, "error", err)
			for _, c := range h.byAgent[agent] {
				c.live = false
				c.shutdown(closeReload, "permissions changed")
			}
		}
		h.mu.Unlock()
		return
	}
}

// apply gives the agent's sockets their new access. The caller holds mu.
func (h *Hub) apply(agent int64, now *Access) {
	h.people.known[agent] = *now
	for _, c := range h.byAgent[agent] {
		if c.access == nil {
			continue // hello notices by touched
		}
		if c.access.shrankTo(now) {
			c.live = false
			h.watch(c, 0)
			c.shutdown(closeReload, "permissions changed")
			continue
		}
		c.access = now
		c.counts = 0
	}
	h.recountSoon()
}

func (h *Hub) ask(ctx context.Context, agent int64) (Access, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	a, err := h.dir.Access(ctx, agent)
	a.AgentID = agent
	return a, err
}

// refused tells an answer about the agent from a failure to get one.
func refused(err error) bool {
	return errs.Is(err, errs.NotFound) || errs.Is(err, errs.Forbidden) || errs.Is(err, errs.Unauthenticated)
}

// setStatus notes a status, "" for nobody any more. The caller holds mu.
func (h *Hub) setStatus(agent int64, status string) {
	if h.people.statuses[agent] == status {
		return
	}
	if status == "" {
		delete(h.people.statuses, agent)
	} else {
		h.people.statuses[agent] = status
	}
	h.people.dirty = true
}

// flushPresence tells everybody who is at work, when that changed. The caller holds mu.
func (h *Hub) flushPresence(now time.Time) {
	if !h.people.dirty || now.Sub(h.people.told) < presenceEvery {
		return
	}
	h.people.dirty, h.people.told = false, now
	b := append(make([]byte, maxHeader, 64+32*len(h.people.statuses)), `{"type":"presence","agents":`...)
	f := seal(opText, append(appendPresence(b, h.people.statuses), '}'))
	for _, c := range h.conns {
		if c.live {
			c.send(f)
		}
	}
}

// loadStatuses reads once who is at work; from then on the events tell. What they told meanwhile is newer.
func (h *Hub) loadStatuses(ctx context.Context) {
	for wait := loadRetry; ctx.Err() == nil; wait = min(2*wait, loadRetries) {
		all, err := h.dir.Statuses(ctx)
		if err == nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			for agent, s := range all {
				if _, told := h.people.statuses[agent]; !told && !h.people.changed[agent].After(h.begun) {
					h.setStatus(agent, s)
				}
			}
			return
		}
		if ctx.Err() == nil {
			h.log.WarnContext(ctx, "who is at work could not be read", "error", err)
		}
		pause(ctx, wait)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
