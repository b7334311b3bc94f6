package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

// database looks at the schema as it is: a doctor changes nothing.
func (r *report) database(ctx context.Context, c call) {
	err := withDatabaseAsIs(ctx, c, func(pool *pgxpool.Pool) error {
		current, err := r.server(ctx, c, pool)
		if err != nil || !current {
			return err
		}
		if err := r.nodes(ctx, pool); err != nil {
			return err
		}
		if err := r.spine(ctx, c, pool); err != nil {
			return err
		}
		parked, err := events.ParkedEvents(ctx, pool, 10)
		if err != nil {
			return err
		}
		for _, p := range parked {
			r.warn("followers", "%s set an event aside: %s", p.Follower, p.Error)
		}
		return r.channels(ctx, c, pool)
	})
	if err != nil {
		r.say("database", err, "")
	}
}

const serverSQL = `SELECT current_setting('server_version'), pg_database_size(current_database()), clock_timestamp(),
	(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), current_setting('max_connections')::int,
	(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`

// server tells whether the schema is the one that this program works on.
func (r *report) server(ctx context.Context, c call, pool *pgxpool.Pool) (current bool, err error) {
	var (
		name         string
		bytes        int64
		now          time.Time
		used, places int
		super        bool
	)
	sent := time.Now()
	if err := pool.QueryRow(ctx, serverSQL).Scan(&name, &bytes, &now, &used, &places, &super); err != nil {
		return false, err
	}
	took := time.Since(sent)
	kind := "PARLEY_DATABASE_URL"
	if c.cfg.DatabaseURL == "" {
		kind = "built in"
	}
	r.say("database", nil, "PostgreSQL %s (%s) answers in %s, %s, %d of %d connections", name, kind, took.Round(10*time.Microsecond), size(bytes), used, places)
	if skew := now.Sub(sent.Add(took / 2)); skew.Abs() > clockSkew {
		r.warn("clock", "the database's clock is off from this machine's by %s: let both follow a time server (chrony, systemd-timesyncd)", skew.Round(time.Millisecond))
	}
	if used*5 > places*4 {
		r.warn("database", "%d of %d connections are taken: raise max_connections, or put pool_max_conns into the URL of each node", used, places)
	}
	if super {
		r.warn("database", "the role is a superuser: give the hub one that only owns its database")
	}
	have, err := postgres.Versions(ctx, pool)
	if err != nil {
		return false, err
	}
	switch know := postgres.LatestVersion(); {
	case have.Schema == know:
		r.say("schema", nil, "%d, as this program has it", have.Schema)
		return true, nil
	case have.Schema == 0:
		r.warn("schema", "there is none yet; parley serve makes it")
	case have.Schema < know:
		r.warn("schema", "%d, and this program has %d: take a backup, then start it (or run parley migrate)", have.Schema, know)
	default:
		r.say("schema", fmt.Errorf("%d is newer than this program (%d): start the version that made it, or a later one", have.Schema, know), "")
	}
	return false, nil
}

func (r *report) nodes(ctx context.Context, pool *pgxpool.Pool) error {
	var n int
	if err := pool.QueryRow(ctx, `SELECT count(DISTINCT node) FROM lease WHERE expires_at > now()`).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		r.warn("nodes", "no node is running: nothing is fetched or sent (parley serve)")
		return nil
	}
	r.say("nodes", nil, "%d running", n)
	return nil
}
