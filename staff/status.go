package staff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// Status is what an agent says of himself.
type Status string

// The statuses; only Online gets something from a queue.
const (
	Online Status = "online"
	Busy   Status = "busy"
	Away   Status = "away"
	Off    Status = "off"
)

// HeartbeatEvery is how often the live feed calls Heartbeat for a connected agent; HeartbeatStale is when routing
// counts him as off, three lost beats later. His row keeps its status, so that he is back at once when he is back.
const (
	HeartbeatEvery = 20 * time.Second
	HeartbeatStale = 60 * time.Second
)

const sqlStatusLock = `
SELECT s.status, s.heartbeat_at < now() - interval '60 seconds' FROM agent_status s JOIN agent a ON a.id = s.agent_id
WHERE s.agent_id = $1 AND a.disabled_at IS NULL FOR UPDATE OF s`

const sqlStatusUpdate = `
UPDATE agent_status SET status = $2, heartbeat_at = now(), since = CASE WHEN status = $2 THEN since ELSE now() END
WHERE agent_id = $1`

const sqlHeartbeat = `UPDATE agent_status SET heartbeat_at = now() WHERE agent_id = $1`

const sqlHeartbeatFresh = `
UPDATE agent_status SET heartbeat_at = now() WHERE agent_id = $1 AND heartbeat_at >= now() - interval '60 seconds'
AND EXISTS (SELECT FROM agent WHERE id = $1 AND disabled_at IS NULL)`

const sqlPresence = `
SELECT s.agent_id, CASE WHEN s.heartbeat_at < now() - interval '60 seconds' OR a.disabled_at IS NOT NULL THEN 'off' ELSE s.status END
FROM agent_status s JOIN agent a ON a.id = s.agent_id`

// SetStatus says what an agent does from now on; it counts as a heartbeat. An unchanged status makes no event, unless
// the agent was counted as off because his heartbeat was old.
func (s *Service) SetStatus(ctx context.Context, agent ids.ID, status Status) error {
	switch status {
	case Online, Busy, Away, Off:
	default:
		return errs.Field("status", "must be online, busy, away or off")
	}
	return s.beat(ctx, agent, &status)
}

// Heartbeat says that an agent is still there. The first one after HeartbeatStale is an agent.updated, since he comes
// free for the queues.
func (s *Service) Heartbeat(ctx context.Context, agent ids.ID) error {
	// Nearly every beat finds a fresh one before it and is this single statement.
	tag, err := s.pool.Exec(ctx, sqlHeartbeatFresh, agent)
	if err != nil {
		return fmt.Errorf("store heartbeat of agent %s: %w", agent, err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	return s.beat(ctx, agent, nil)
}

func (s *Service) beat(ctx context.Context, agent ids.ID, status *Status) error {
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var have Status
		var old bool
		err := tx.QueryRow(ctx, sqlStatusLock, agent).Scan(&have, &old)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.New(errs.NotFound, "There is no such agent.")
		}
		if err != nil {
			return nil, fmt.Errorf("lock status of agent %s: %w", agent, err)
		}
		want := have
		if status != nil {
			want = *status
			_, err = tx.Exec(ctx, sqlStatusUpdate, agent, want)
		} else {
			_, err = tx.Exec(ctx, sqlHeartbeat, agent)
		}
		if err != nil {
			return nil, fmt.Errorf("store status of agent %s: %w", agent, err)
		}
		if want == have && (!old || want == Off) {
			return nil, nil
		}
		return agentEvents(ctx, tx, events.Actor{Kind: "agent", ID: int64(agent)}, []ids.ID{agent})
	})
}

// Presence is the status of everybody as others should see it: off when the heartbeat is old.
func Presence(ctx context.Context, db postgres.DB) (map[ids.ID]Status, error) {
	rows, err := db.Query(ctx, sqlPresence)
	if err != nil {
		return nil, fmt.Errorf("read presence: %w", err)
	}
	out := make(map[ids.ID]Status)
	var id ids.ID
	var st Status
	if _, err := pgx.ForEachRow(rows, []any{&id, &st}, func() error { out[id] = st; return nil }); err != nil {
		return nil, fmt.Errorf("read presence: %w", err)
	}
	return out, nil
}
