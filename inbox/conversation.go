package inbox

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/postgres"
)

// Desk is what an agent does in the inbox besides sending: reading lists and timelines, taking, handing over, snoozing
// and closing conversations, noting, and marking as read. Every method takes the caller's Access and shows or changes
// only what that covers. It is safe for concurrent use.
type Desk struct {
	pool *pgxpool.Pool
	bus  bus.Bus
	log  *slog.Logger

	people   *crm.Service
	channels *Channels
}

// NewDesk makes the desk on a migrated database.
func NewDesk(pool *pgxpool.Pool, b bus.Bus, log *slog.Logger) *Desk {
	return &Desk{pool: pool, bus: b, log: log.With("component", "desk")}
}

// Meet gives the desk what writing first and mail need: who the recipients are, and what a channel can do. Without it the
// desk answers, and no more.
func (d *Desk) Meet(people *crm.Service, ch *Channels) { d.people, d.channels = people, ch }

// change runs fn in one transaction, marks the request's idempotency key there, appends the events that fn returns in the
// same one, and wakes the tailers after commit.
func (d *Desk) change(ctx context.Context, fn func(tx pgx.Tx) ([]events.Event, error)) error {
	wake := false
	err := postgres.InTx(ctx, d.pool, func(tx pgx.Tx) error {
		evs, err := fn(tx)
		if err == nil {
			err = idem.Done(ctx, tx)
		}
		if wake = err == nil && len(evs) > 0; !wake {
			return err
		}
		return events.Append(ctx, tx, evs...)
	})
	if err == nil && wake {
		events.Wake(d.bus)
	}
	return err
}
