package postgres

import (
	"context"
	"fmt"
)

// BumpEpoch adds 1 to the spine's epoch. Transaction ids are comparable only inside one cluster: whatever moves the rows
// into another one (restore, dump and load, a new major version) calls this before anything is served, else followers
// would wait for ids that never come.
func BumpEpoch(ctx context.Context, db DB) (epoch int32, err error) {
	if err := db.QueryRow(ctx, `UPDATE spine SET epoch = epoch + 1 RETURNING epoch`).Scan(&epoch); err != nil {
		return 0, fmt.Errorf("raise the spine's epoch: %w", err)
	}
	return epoch, nil
}
