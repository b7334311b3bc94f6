package inbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/events"
)

const (
	// rows that somebody holds just now are left for the next round
	wakeSnoozedSQL = `UPDATE conversation c SET version = version + 1, status = 'open', snoozed_until = NULL, last_at = now(),
	queued_at = CASE WHEN assignee_id IS NULL THEN coalesce(queued_at, now()) END
WHERE c.id IN (SELECT id FROM conversation WHERE status = 'snoozed' AND snoozed_until <= now()
	ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING c.id`

	nextSnoozedSQL = `SELECT extract(epoch FROM min(snoozed_until) - clock_timestamp())::float8 FROM conversation WHERE status = 'snoozed'`
)

const (
	wakeChunk = 100 // conversations in one transaction
	// maxNap: how long the worker trusts its hints. A snooze set on another node is heard through the spine; if that was
	// missed, or the clock was set, this bounds the delay.
	maxNap = time.Minute
	minNap = 50 * time.Millisecond
)

// Snooze brings snoozed conversations back when their time has come. Every node runs one; they do not disturb each other.
type Snooze struct {
	desk  *Desk
	nudge chan struct{}
}

// NewSnooze makes the worker; give Observe to the tailer and run Run.
func NewSnooze(d *Desk) *Snooze { return &Snooze{desk: d, nudge: make(chan struct{}, 1)} }

// Observe hears from the spine that something was snoozed, here or on another node. A false alarm costs one small query.
func (s *Snooze) Observe(evs []events.Event) {
	for i := range evs {
		if evs[i].Kind == EventConversationUpdated && bytes.Contains(evs[i].Raw, []byte(`"snoozed"`)) {
			select {
			case s.nudge <- struct{}{}:
			default:
			}
			return
		}
	}
}

// Run sleeps until the next snoozed conversation is due, wakes what is due, and so on until ctx ends.
func (s *Snooze) Run(ctx context.Context) error {
	for {
		nap, err := s.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.desk.log.ErrorContext(ctx, "waking snoozed conversations failed, trying again", "err", err)
			nap = time.Second
		}
		timer := time.NewTimer(nap)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.nudge:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// round wakes everything that is due and says how long there is nothing to do.
func (s *Snooze) round(ctx context.Context) (time.Duration, error) {
	for {
		n, err := s.desk.WakeSnoozed(ctx)
		if err != nil {
			return 0, err
		}
		if n < wakeChunk {
			break
		}
	}
	var in *float64
	if err := s.desk.pool.QueryRow(ctx, nextSnoozedSQL).Scan(&in); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("next snoozed conversation: %w", err)
	}
	if in == nil || *in > maxNap.Seconds() {
		return maxNap, nil
	}
	return max(minNap, time.Duration(*in*float64(time.Second))), nil
}

// WakeSnoozed opens up to a hundred conversations whose time has come and returns how many. They go to the top of the
// list: that is what they were put away for.
func (d *Desk) WakeSnoozed(ctx context.Context) (int, error) {
	n := 0
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		rows, err := tx.Query(ctx, wakeSnoozedSQL, wakeChunk)
		if err != nil {
			return nil, fmt.Errorf("wake snoozed conversations: %w", err)
		}
		keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, fmt.Errorf("wake snoozed conversations: %w", err)
		}
		n = len(keys)
		list, err := loadConversations(ctx, tx, keys)
		if err != nil {
			return nil, err
		}
		by := events.Actor{Kind: "system"}
		var evs []events.Event
		for _, id := range keys {
			c := list[id]
			lines, err := addLines(ctx, tx, id, 0, []line{{
				event: "status", from: Snoozed, to: Open, text: "The snooze is over.", more: map[string]any{"snooze": "over"},
			}})
			if err != nil {
				return nil, err
			}
			items, err := loadItems(ctx, tx, lines)
			if err != nil {
				return nil, err
			}
			evs = append(evs, conversationEvent(EventConversationUpdated, by, c, idOf(c.TeamID), idOf(c.AssigneeID)))
			for _, it := range items {
				evs = append(evs, itemEvent(EventMessageCreated, by, it, c))
			}
		}
		return evs, nil
	})
	return n, err
}
