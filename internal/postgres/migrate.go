package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/parley-hub/parley/internal/errs"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrateLock is the advisory lock under which nodes that start together migrate one after the other ("parl").
const migrateLock int64 = 0x7061726c

const (
	migrateLockRetry = 100 * time.Millisecond
	undefinedTable   = "42P01"
)

// Migrations gives the embedded migrations, named like 0001_spine.sql.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		panic(err) // the name is a constant of this file
	}
	return sub
}

// LatestVersion is the schema version this program knows.
func LatestVersion() int64 {
	names, err := fs.Glob(Migrations(), "*.sql")
	if err != nil || len(names) == 0 {
		panic("postgres: no embedded migrations")
	}
	return versionOf(names[len(names)-1]) // Glob sorts
}

func versionOf(name string) int64 {
	digits, _, _ := strings.Cut(path.Base(name), "_")
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		panic("postgres: migration without a number: " + name)
	}
	return v
}

// CurrentVersion is the schema version of the database, 0 when it has none yet.
func CurrentVersion(ctx context.Context, db DB) (int64, error) {
	var v int64
	err := db.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&v)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == undefinedTable {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return v, nil
}

// Migrate brings the schema (ours, then River's) to the version of this program and makes the partitions that will be
// needed. Any number of nodes may call it at once: one works, the others wait and find it done. It refuses a database
// that a newer program has migrated.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	return migrate(ctx, pool, Version{Schema: LatestVersion()})
}

// Version says which schema a database has.
type Version struct {
	Schema int64 // ours
	Jobs   int64 // River's; 0 = the newest that this program knows
}

// Versions reads both, zeros when there is no schema yet.
func Versions(ctx context.Context, db DB) (v Version, err error) {
	if v.Schema, err = CurrentVersion(ctx, db); err != nil || v.Schema == 0 {
		return v, err
	}
	v.Jobs, err = riverVersion(ctx, db)
	return v, err
}

// MigrateTo is Migrate up to an older version, which a copy of that version is then read into.
func MigrateTo(ctx context.Context, pool *pgxpool.Pool, v Version) error {
	return migrate(ctx, pool, v)
}

func migrate(ctx context.Context, pool *pgxpool.Pool, v Version) error {
	// A pool of its own: a migration may take longer than the statement timeout of the house, but must not wait long
	// for a lock, since whatever queues behind it waits too. The lock timeout stays; the next start tries again.
	cfg := pool.Config().Copy()
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = 4, 0, 0
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = "0"
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	own, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("open migration pool: %w", err)
	}
	defer own.Close()

	release, err := lockMigrations(ctx, own)
	if err != nil {
		return err
	}
	defer release()
	if err := refuseNewer(ctx, own); err != nil {
		return err
	}
	if err := migrateOurs(ctx, own, v.Schema); err != nil {
		return err
	}
	if err := migrateRiver(ctx, own, int(v.Jobs)); err != nil {
		return err
	}
	return EnsurePartitions(ctx, own, time.Now())
}

// lockMigrations waits for the advisory lock by asking again and again: a waiting pg_advisory_lock would itself be a
// statement that CREATE INDEX CONCURRENTLY of the working node waits for.
func lockMigrations(ctx context.Context, pool *pgxpool.Pool) (release func(), err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, &errs.E{Code: errs.Unavailable, Msg: "the database does not answer", Err: err}
	}
	tick := time.NewTicker(migrateLockRetry)
	defer tick.Stop()
	for {
		var got bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, migrateLock).Scan(&got); err != nil {
			conn.Release()
			return nil, fmt.Errorf("take migration lock: %w", err)
		}
		if got {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			conn.Release()
			return nil, fmt.Errorf("wait for another node's migration: %w", ctx.Err())
		}
	}
	return func() {
		// Closing the session gives the lock back whatever state the connection is in.
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		_ = conn.Hijack().Close(closing)
	}, nil
}

func refuseNewer(ctx context.Context, pool *pgxpool.Pool) error {
	have, err := CurrentVersion(ctx, pool)
	if err != nil {
		return err
	}
	if know := LatestVersion(); have > know {
		return errs.New(errs.Conflict, "this database was made by a newer Parley (schema %d, this program knows %d): start that version or a later one", have, know)
	}
	have, err = riverVersion(ctx, pool)
	if err != nil {
		return err
	}
	m, err := riverMigrator(pool)
	if err != nil {
		return err
	}
	all := m.AllVersions()
	if know := int64(all[len(all)-1].Version); have > know {
		return errs.New(errs.Conflict, "this database was made by a newer Parley (job schema %d, this program knows %d): start that version or a later one", have, know)
	}
	return nil
}

func riverVersion(ctx context.Context, db DB) (int64, error) {
	var v int64
	err := db.QueryRow(ctx, `SELECT coalesce(max(version), 0) FROM river_migration`).Scan(&v)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == undefinedTable {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read job schema version: %w", err)
	}
	return v, nil
}

func migrateOurs(ctx context.Context, pool *pgxpool.Pool, version int64) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, db, Migrations(),
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func migrateRiver(ctx context.Context, pool *pgxpool.Pool, version int) error {
	m, err := riverMigrator(pool)
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: version}); err != nil {
		return fmt.Errorf("migrate jobs: %w", err)
	}
	return nil
}

func riverMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("read job migrations: %w", err)
	}
	return m, nil
}

// Fingerprint is text that differs between programs whose schemas differ: every migration, ours and River's.
func Fingerprint() (string, error) {
	var b strings.Builder
	names, err := fs.Glob(Migrations(), "*.sql")
	if err != nil {
		return "", fmt.Errorf("list migrations: %w", err)
	}
	for _, name := range names {
		sql, err := fs.ReadFile(Migrations(), name)
		if err != nil {
			return "", fmt.Errorf("read migration %s: %w", name, err)
		}
		fmt.Fprintf(&b, "%s\n%s\n", name, sql)
	}
	m, err := riverMigrator(nil)
	if err != nil {
		return "", err
	}
	for _, v := range m.AllVersions() {
		fmt.Fprintf(&b, "river %d\n%s\n", v.Version, v.SQLUp)
	}
	return b.String(), nil
}
