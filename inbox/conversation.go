package inbox

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

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
}

// NewDesk makes the desk on a migrated database.
func NewDesk(pool *pgxpool.Pool, b bus.Bus, log *slog.Logger) *Desk {
	return &Desk{pool: pool, bus: b, log: log.With("component", "desk")}
}

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
