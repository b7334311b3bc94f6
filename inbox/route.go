package inbox

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/events"
)

// Router gives waiting conversations to people. It runs on the node that holds the lease "router": one goroutine,
// woken by events (a conversation that queues, an agent who comes free or goes away) and by a timer for what no event
// tells (hours that begin, heartbeats that stop). It is never part of the way in: a conversation is stored first and
// routed a moment later.
//
// A conversation is given by an UPDATE that demands that nobody has it, so it has exactly one owner whatever else
// happens at the same time. The most urgent and then the oldest goes first.
type Router struct {
	pool *pgxpool.Pool
	bus  bus.Bus
	log  *slog.Logger
	wake chan struct{}

	// Assigned, Returned and Replied count what the router did, for /metrics.
	Assigned, Returned, Replied atomic.Int64
}

const (
	// routeEvery: hours begin, capacity settings change, a wake-up may be lost.
	routeEvery = 5 * time.Second
	// routeBatch keeps the transaction short; more follow at once.
	routeBatch = 50
)

// NewRouter makes the router; Observe feeds it, Run works.
func NewRouter(pool *pgxpool.Pool, b bus.Bus, log *slog.Logger) *Router {
	return &Router{pool: pool, bus: b, log: log.With("component", "router"), wake: make(chan struct{}, 1)}
}

// Observe is given every event of the spine, in order.
func (r *Router) Observe(evs []events.Event) {
	for _, e := range evs {
		if concernsQueue(e) {
			r.nudge()
			return
		}
	}
}

// concernsQueue: a conversation without owner, one that somebody let go or finished, and everything about people.
func concernsQueue(e events.Event) bool {
	switch {
	case e.Kind == EventConversationCreated || e.Kind == EventConversationUpdated:
		return e.AssigneeID == 0 || e.AssigneeBefore != 0
	case e.Kind == EventMessageCreated:
		return e.AssigneeID == 0 && hasRider(&e)
	case strings.HasPrefix(e.Kind, "agent."), strings.HasPrefix(e.Kind, "team."), strings.HasPrefix(e.Kind, "hours."), strings.HasPrefix(e.Kind, "absence."):
		return true
	}
	return false
}

func (r *Router) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run routes until ctx ends; the caller holds the lease.
func (r *Router) Run(ctx context.Context) error {
	tick := time.NewTicker(routeEvery)
	defer tick.Stop()
	for {
		if err := r.Round(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "route", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-tick.C:
		}
	}
}

// Round takes back what absent people hold, gives out what waits, and answers where nobody is there.
func (r *Router) Round(ctx context.Context) error {
	if err := r.takeBack(ctx); err != nil {
		return err
	}
	teams, err := queuedTeams(ctx, r.pool)
	if err != nil {
		return err
	}
	for _, t := range teams {
		for {
			n, err := r.routeTeam(ctx, t)
			if err != nil {
				return err
			}
			if n < routeBatch {
				break
			}
		}
	}
	return nil
}
