package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// DryRun tells who would get a new conversation now, and why.
type DryRun struct {
	TeamID  *ids.ID  `json:"team_id"`
	AgentID *ids.ID  `json:"agent_id"`
	Why     []string `json:"why" nullable:"false" doc:"in words, one per step"`
}

// WhoWouldGet answers for a conversation on a channel, of a contact (0 = a stranger), without changing anything.
func (r *Router) WhoWouldGet(ctx context.Context, channel, contact ids.ID) (DryRun, error) {
	out := DryRun{Why: []string{}}
	var q queue
	err := r.pool.QueryRow(ctx, `
SELECT t.id, t.strategy, t.sticky, t.auto_reply, t.offline_grace_s FROM channel c JOIN team t ON t.id = c.team_id WHERE c.id = $1 AND c.deleted_at IS NULL`, int64(channel)).
		Scan(&q.ID, &q.Strategy, &q.Sticky, &q.AutoReply, &q.Grace)
	if errors.Is(err, pgx.ErrNoRows) {
		out.Why = append(out.Why, "The channel has no team: the conversation waits in Unassigned for whoever takes it.")
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.TeamID = ids.Ptr(ids.ID(q.ID))
	all, err := staff.Duty(ctx, r.pool, ids.ID(q.ID))
	if err != nil {
		return out, err
	}
	people, err := candidates(ctx, r.pool, q.ID)
	if err != nil {
		return out, err
	}
	for _, d := range all {
		if d.Why != "" {
			out.Why = append(out.Why, fmt.Sprintf("%s is not on duty (%s).", d.Name, d.Why))
		}
	}
	for _, p := range people {
		out.Why = append(out.Why, fmt.Sprintf("%s has %d of %d.", p.Name, p.load, p.Capacity))
	}
	var c queuedRow
	err = r.pool.QueryRow(ctx, `
SELECT coalesce(p.owner_id, 0), coalesce((SELECT o.assignee_id FROM conversation o WHERE o.contact_id = p.id AND o.assignee_id IS NOT NULL ORDER BY o.last_at DESC LIMIT 1), 0)
FROM contact p WHERE p.id = $1`, int64(contact)).Scan(&c.Owner, &c.Last)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return out, err
	}
	i, why := pick(q, people, c)
	switch {
	case i >= 0:
		out.AgentID = ids.Ptr(people[i].ID)
		out.Why = append(out.Why, map[string]string{
			"owner": "%s owns this contact.", "last": "%s talked to this contact last.", "least_busy": "%s has the fewest open conversations.",
			"round_robin": "It is the turn of %s.",
		}[why])
		out.Why[len(out.Why)-1] = fmt.Sprintf(out.Why[len(out.Why)-1], people[i].Name)
	case len(people) == 0 && q.AutoReply != "":
		out.Why = append(out.Why, "Nobody is on duty: the automatic reply is sent, and the conversation waits.")
	case len(people) == 0:
		out.Why = append(out.Why, "Nobody is on duty: the conversation waits.")
	case q.Strategy == "manual":
		out.Why = append(out.Why, "The team takes its conversations by hand.")
	default:
		out.Why = append(out.Why, "Everybody has as many as they may: the conversation waits.")
	}
	return out, nil
}
