package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/internal/postgres"
)

// world is what the cases share: the binary, and a PostgreSQL that syncs. Each case takes databases and hubs of its own.
type world struct {
	size   float64
	dir    string
	binary string
	pg     *rig.Postgres
	last   atomic.Int64 // databases made
	update atomic.Int64 // ids of updates and messages, unique in a run
}

// serverSettings are those of the hub's own server that bear on speed; commit times tell when a message was committed.
func serverSettings() []string {
	return []string{
		"fsync=on", "synchronous_commit=on", "track_commit_timestamp=on", "shared_buffers=128MB", "work_mem=8MB",
		"random_page_cost=1.1", "jit=off", "wal_compression=on", "wal_buffers=16MB", "max_wal_size=1GB", "max_connections=200",
	}
}

func newWorld(ctx context.Context, size float64, binary string) (w *world, err error) {
	w = &world{size: size, binary: binary}
	if w.dir, err = os.MkdirTemp("", "parley-bench-"); err != nil {
		return nil, err
	}
	if binary == "" {
		w.binary, err = rig.Build(ctx, w.dir)
	}
	if err == nil {
		w.pg, err = rig.NewPostgres(ctx, "", serverSettings()...)
	}
	if err != nil {
		return nil, errors.Join(err, w.close(context.WithoutCancel(ctx)))
	}
	return w, nil
}

func (w *world) close(ctx context.Context) error {
	var err error
	if w.pg != nil {
		err = w.pg.Close(ctx)
	}
	return errors.Join(err, os.RemoveAll(w.dir))
}

// times is n times the size of the run, at least least.
func (w *world) times(n, least int) int { return max(int(float64(n)*w.size), least) }

// rounds is how often limit and product take turns.
func (w *world) rounds() int {
	if w.size < 1 {
		return 1
	}
	return 3
}

// database makes an empty one and returns its name and its address.
func (w *world) database(ctx context.Context) (name, url string, err error) {
	name = fmt.Sprintf("bench%d", w.last.Add(1))
	url, err = w.pg.Database(ctx, name)
	return name, url, err
}

// migrated is a pool on a new database with the hub's tables.
func (w *world) migrated(ctx context.Context) (*pgxpool.Pool, error) {
	_, url, err := w.database(ctx)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// hub is a running installation.
type hub struct {
	*rig.World
	name string // of its database
	url  string
}

// with lends a new installation to fn.
func (w *world) with(ctx context.Context, fn func(h *hub) error) (err error) {
	name, url, err := w.database(ctx)
	if err != nil {
		return err
	}
	cfg := rig.Config{Binary: w.binary, DataDir: filepath.Join(w.dir, name, "data"), DatabaseURL: url}
	world, err := rig.NewWorld(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close(context.WithoutCancel(ctx))) }()
	return fn(&hub{World: world, name: name, url: url})
}

// ask asks for one number.
func ask[T any](ctx context.Context, h *hub, sql string, args ...any) (T, error) {
	list, err := rig.Column[T](ctx, h.url, sql, args...)
	if err == nil && len(list) != 1 {
		err = fmt.Errorf("%d rows of %s", len(list), sql)
	}
	if err != nil {
		var zero T
		return zero, err
	}
	return list[0], nil
}
