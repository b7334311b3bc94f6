package inbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// SetAside is an event that could not be stored, with its raw form.
type SetAside struct {
	ID       ids.ID    `json:"id"`
	EventKey string    `json:"event_key"`
	Error    string    `json:"error"`
	At       time.Time `json:"at"`
	Raw      []byte    `json:"raw" doc:"base64"`
}

// maxAside is how many set-aside events are listed at once.
const maxAside = 100

// SetAside lists what a channel delivered and nobody could store, the newest first.
func (c *Channels) SetAside(ctx context.Context, a staff.Access, id ids.ID) ([]SetAside, error) {
	if err := may(a, staff.ManageChannels, "look at what was set aside"); err != nil {
		return nil, err
	}
	rows, err := c.pool.Query(ctx, `
SELECT id, event_key, error, at, substring(raw FROM 1 FOR 65536) FROM quarantine
WHERE channel_id = $1 AND resolved_at IS NULL ORDER BY id DESC LIMIT $2`, int64(id), maxAside)
	if err != nil {
		return nil, fmt.Errorf("read quarantine: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[SetAside])
}
