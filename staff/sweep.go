package staff

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// Run ends sessions whose time is over and forgets old attempts and links, until ctx ends. Nothing depends on it for
// correctness except open sockets: an expired cookie is refused anyway, but a socket learns of its end from the event.
// Every node may run it; they delete different rows.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.SweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "sweep of sessions", "error", err)
			}
		}
	}
}

// Sweep does one round of Run.
func (s *Service) Sweep(ctx context.Context) error {
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		rows, err := tx.Query(ctx, sqlSessionsExpired, DefaultSettings().SessionIdleHours)
		if err != nil {
			return nil, fmt.Errorf("end expired sessions: %w", err)
		}
		var evs []events.Event
		var id, agent ids.ID
		_, err = pgx.ForEachRow(rows, []any{&id, &agent}, func() error {
			evs = append(evs, sessionEnded(System(), agent, id))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("end expired sessions: %w", err)
		}
		return evs, nil
	})
	if err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, sqlInvitationSweep); err != nil {
		return fmt.Errorf("remove old invitations: %w", err)
	}
	if _, err := s.pool.Exec(ctx, sqlAttemptSweep, forgetAfter.Seconds()); err != nil {
		return fmt.Errorf("forget attempts: %w", err)
	}
	return nil
}
