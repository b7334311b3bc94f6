package inbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

// queue is a team as routing sees it.
type queue struct {
	ID        int64
	Strategy  string
	Sticky    bool
	AutoReply string
	Grace     int
}

// candidate is somebody who could take a conversation now.
type candidate struct {
	staff.DutyAgent
	load int       // open conversations
	turn time.Time // when he last got one from this team
}

func (c candidate) free() bool { return c.load < c.Capacity }

// queued is a conversation that waits, with the people whom it knows.
type queuedRow struct {
	ID, Number  int64
	Owner, Last int64 // the contact's owner, and who had the contact's last conversation
	AutoReplied bool
	LastIn      bool
	Channel     int64
}

const (
	queuedTeamsSQL = `
SELECT t.id, t.strategy, t.sticky, t.auto_reply, t.offline_grace_s FROM team t
WHERE EXISTS (SELECT 1 FROM conversation c WHERE c.team_id = t.id AND c.assignee_id IS NULL AND c.status = 'open' AND c.queued_at IS NOT NULL) ORDER BY t.id`
	// with nobody on duty ($3 false) only those that the automatic reply is still owed to; an automatic message waits for
	// nothing, and two robots must not talk
	queueSQL = `
SELECT c.id, c.number, coalesce(p.owner_id, 0),
       coalesce((SELECT o.assignee_id FROM conversation o WHERE o.contact_id = c.contact_id AND o.id <> c.id AND o.assignee_id IS NOT NULL ORDER BY o.last_at DESC LIMIT 1), 0),
       c.auto_replied_at IS NOT NULL, c.last_direction = 'in' AND c.waiting_since IS NOT NULL, c.channel_id
FROM conversation c JOIN contact p ON p.id = c.contact_id
WHERE c.team_id = $1 AND c.assignee_id IS NULL AND c.status = 'open' AND c.queued_at IS NOT NULL
  AND ($3 OR (c.auto_replied_at IS NULL AND c.last_direction = 'in' AND c.waiting_since IS NOT NULL
    AND EXISTS (SELECT 1 FROM channel ch WHERE ch.id = c.channel_id AND ch.deleted_at IS NULL AND NOT ch.receive_only)))
ORDER BY c.priority DESC, c.queued_at, c.id LIMIT $2 FOR UPDATE OF c SKIP LOCKED`
	loadSQL = `SELECT assignee_id, count(*)::int FROM conversation WHERE assignee_id = ANY ($1::bigint[]) AND status = 'open' GROUP BY assignee_id`
	turnSQL = `SELECT agent_id, at FROM routing_turn WHERE team_id = $1 AND agent_id = ANY ($2::bigint[])`
	giveSQL = `UPDATE conversation SET assignee_id = $2, queued_at = NULL, version = version + 1 WHERE id = $1 AND assignee_id IS NULL AND status = 'open'`
	tookSQL = `
INSERT INTO routing_turn (team_id, agent_id, at) VALUES ($1, $2, clock_timestamp()) ON CONFLICT (team_id, agent_id) DO UPDATE SET at = excluded.at`
)

func queuedTeams(ctx context.Context, db postgres.DB) ([]queue, error) {
	rows, err := db.Query(ctx, queuedTeamsSQL)
	if err != nil {
		return nil, fmt.Errorf("read queues: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[queue])
}

// routeTeam gives out up to routeBatch conversations of one team, in one transaction; it tells how many it
// gave or answered.
func (r *Router) routeTeam(ctx context.Context, q queue) (n int, err error) {
	var given int
	var channels []int64
	err = postgres.InTx(ctx, r.pool, func(tx pgx.Tx) error {
		given, channels = 0, nil
		people, err := candidates(ctx, tx, q.ID)
		if err != nil {
			return err
		}
		if len(people) == 0 && q.AutoReply == "" {
			return nil
		}
		rows, err := tx.Query(ctx, queueSQL, q.ID, routeBatch, len(people) > 0)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (queuedRow, error) {
			var x queuedRow
			err := row.Scan(&x.ID, &x.Number, &x.Owner, &x.Last, &x.AutoReplied, &x.LastIn, &x.Channel)
			return x, err
		})
		if err != nil {
			return err
		}
		for _, c := range list {
			if len(people) == 0 {
				if c.AutoReplied || !c.LastIn {
					continue
				}
				if err := autoReply(ctx, tx, c, q.AutoReply); err != nil {
					return err
				}
				channels = append(channels, c.Channel)
				continue
			}
			i, why := pick(q, people, c)
			if i < 0 {
				continue
			}
			done, err := handTo(ctx, tx, q, c, people[i], why)
			if err != nil {
				return err
			}
			if done {
				people[i].load++
				people[i].turn = time.Now()
				given++
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("route team %d: %w", q.ID, err)
	}
	r.Assigned.Add(int64(given))
	r.Replied.Add(int64(len(channels)))
	if given > 0 || len(channels) > 0 {
		events.Wake(r.bus)
	}
	for _, ch := range channels {
		wakeOutbox(r.bus, ch)
	}
	return given + len(channels), nil
}

// candidates are the team's people on duty with their load, in order of id.
func candidates(ctx context.Context, db postgres.DB, team int64) ([]candidate, error) {
	onDuty, err := staff.OnDuty(ctx, db, ids.ID(team))
	if err != nil || len(onDuty) == 0 {
		return nil, err
	}
	out := make([]candidate, len(onDuty))
	at := map[int64]int{}
	agents := make([]int64, len(onDuty))
	for i, d := range onDuty {
		out[i], agents[i], at[int64(d.ID)] = candidate{DutyAgent: d}, int64(d.ID), i
	}
	rows, err := db.Query(ctx, loadSQL, agents)
	if err != nil {
		return nil, err
	}
	var agent int64
	var load int
	if _, err := pgx.ForEachRow(rows, []any{&agent, &load}, func() error { out[at[agent]].load = load; return nil }); err != nil {
		return nil, err
	}
	if rows, err = db.Query(ctx, turnSQL, team, agents); err != nil {
		return nil, err
	}
	var turn time.Time
	_, err = pgx.ForEachRow(rows, []any{&agent, &turn}, func() error { out[at[agent]].turn = turn; return nil })
	return out, err
}

// pick chooses by the team's strategy, the sticky owner first; -1 = nobody has room. why names the reason for people.
func pick(q queue, people []candidate, c queuedRow) (i int, why string) {
	if q.Sticky {
		for _, known := range []struct {
			agent int64
			why   string
		}{{c.Owner, "owner"}, {c.Last, "last"}} {
			i := slices.IndexFunc(people, func(p candidate) bool { return int64(p.ID) == known.agent })
			if known.agent != 0 && i >= 0 && people[i].free() {
				return i, known.why
			}
		}
	}
	if q.Strategy == "manual" {
		return -1, ""
	}
	order := make([]int, 0, len(people))
	for i := range people {
		if people[i].free() {
			order = append(order, i)
		}
	}
	if len(order) == 0 {
		return -1, ""
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if q.Strategy == "least_busy" {
			if c := cmp.Compare(people[a].load, people[b].load); c != 0 {
				return c
			}
		}
		return people[a].turn.Compare(people[b].turn) // whoever waited longest for something
	})
	return order[0], q.Strategy
}

func handTo(ctx context.Context, tx pgx.Tx, q queue, c queuedRow, to candidate, why string) (bool, error) {
	tag, err := tx.Exec(ctx, giveSQL, c.ID, int64(to.ID))
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	if _, err := tx.Exec(ctx, tookSQL, q.ID, int64(to.ID)); err != nil {
		return false, err
	}
	return true, tellRouted(ctx, tx, c.ID, q.ID, 0, line{
		event: "assigned", text: "Given to " + to.Name, to: Named{ID: to.ID, Name: to.Name}, more: map[string]any{"why": why},
	})
}

// tellRouted writes the line and the events of a change of owner by the router; the row is changed already.
func tellRouted(ctx context.Context, tx pgx.Tx, conversation, teamBefore, assigneeBefore int64, l line) error {
	keys, err := addLines(ctx, tx, conversation, 0, []line{l})
	if err != nil {
		return err
	}
	items, err := loadItems(ctx, tx, keys)
	if err != nil {
		return err
	}
	convs, err := loadConversations(ctx, tx, []int64{conversation})
	if err != nil {
		return err
	}
	c, ok := convs[conversation]
	if !ok || len(items) == 0 {
		return errors.New("the routed conversation vanished")
	}
	return events.Append(ctx, tx,
		conversationEvent(EventConversationUpdated, systemActor, c, teamBefore, assigneeBefore),
		itemEvent(EventMessageCreated, systemActor, items[0], c))
}
