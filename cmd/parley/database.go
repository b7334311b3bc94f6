package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/config"
	"github.com/parley-hub/parley/internal/postgres"
)

// database is the pool, and the private server behind it when that is ours.
type database struct {
	pool   *pgxpool.Pool
	server *postgres.Server // nil: somebody else's
}

// openDatabase opens PARLEY_DATABASE_URL, or starts the private server.
func openDatabase(ctx context.Context, cfg config.Config, log *slog.Logger) (*database, error) {
	db, url := &database{}, cfg.DatabaseURL
	if url == "" {
		s, err := postgres.StartServer(ctx, postgres.ServerOptions{DataDir: cfg.DataDir, BinDir: cfg.PGBin, Log: log})
		if err != nil {
			return nil, err
		}
		db.server, url = s, s.URL
	}
	pool, err := postgres.Open(ctx, url)
	if err != nil {
		return nil, errors.Join(err, db.close(ctx))
	}
	db.pool = pool
	return db, nil
}

// poolPatience bounds the wait for the last connections. Everybody who used one has ended, but one that was cut off in
// the middle of a statement waits up to 15 s for the server to hang up (observed after crashes of the database); our own
// server hangs up when it is stopped, another one when we are gone.
const poolPatience = 3 * time.Second

func (d *database) close(ctx context.Context) error {
	if d.pool != nil {
		closed := make(chan struct{})
		go func() {
			d.pool.Close()
			close(closed)
		}()
		timer := time.NewTimer(poolPatience)
		select {
		case <-closed:
		case <-timer.C:
		}
		timer.Stop()
	}
	if d.server == nil {
		return nil
	}
	return d.server.Stop(context.WithoutCancel(ctx))
}

// withDatabase gives fn the migrated database, also while the server of these settings is running; it is for commands
// that end.
func withDatabase(ctx context.Context, c call, fn func(pool *pgxpool.Pool) error) error {
	return withDatabaseAsIs(ctx, c, func(pool *pgxpool.Pool) error {
		// Does nothing when the running server has done it.
		if err := postgres.Migrate(ctx, pool); err != nil {
			return err
		}
		return fn(pool)
	})
}

// withDatabaseAsIs is withDatabase for what works on any schema.
func withDatabaseAsIs(ctx context.Context, c call, fn func(pool *pgxpool.Pool) error) (err error) {
	if err := c.refuse(); err != nil {
		return err
	}
	cfg := c.cfg
	if cfg.DatabaseURL == "" {
		if _, err := os.Stat(cfg.DataDir); err != nil {
			return fmt.Errorf("there is no data directory yet (%w); parley serve makes it", err)
		}
		if cfg.DatabaseURL, err = postgres.Attach(ctx, cfg.DataDir, c.log); err != nil {
			return err
		}
	}
	db, err := openDatabase(ctx, cfg, c.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close(ctx)) }()
	return fn(db.pool)
}
