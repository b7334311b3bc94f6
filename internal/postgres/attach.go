package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

// attachLimit is how long a hub that is just starting may take until its database answers.
const attachLimit = 30 * time.Second

// Attach finds the private server that a running hub keeps for dataDir, for a command that works beside it. url is ""
// when no hub runs there: then StartServer is the way. The server stays the hub's; whoever attached only opens a pool.
func Attach(ctx context.Context, dataDir string, log *slog.Logger) (url string, err error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w", err)
	}
	name := filepath.Join(dir, "parley.lock")
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	lock, err := cluster.TryLock(name)
	if err != nil {
		return "", fmt.Errorf("lock the data directory: %w", err)
	}
	if lock != nil {
		lock.Release()
		return "", nil
	}
	p, err := findPlace(dir, log)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, attachLimit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		_, socketDir, err := cluster.Postmaster(p.pgdata)
		if err == nil {
			url = cluster.URL(owner, database, socketDir)
			if err = ping(ctx, url); err == nil {
				return url, nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", &errs.E{Code: errs.Unavailable, Msg: "a Parley is using " + dir + ", but its database does not answer", Err: err}
		}
	}
}
