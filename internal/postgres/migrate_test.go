package postgres_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

func open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func one[T any](t testing.TB, db postgres.DB, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := db.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func run(t testing.TB, db postgres.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestNodesMigrateTogether(t *testing.T) {
	t.Parallel()
	url := dbtest.Empty(t)
	done := make(chan error)
	const nodes = 3
	for range nodes {
		pool := open(t, url)
		go func() { done <- postgres.Migrate(t.Context(), pool) }()
	}
	var err error
	for range nodes {
		err = errors.Join(err, <-done)
	}
	if err != nil {
		t.Fatal(err)
	}
	pool := open(t, url)
	have, err := postgres.CurrentVersion(t.Context(), pool)
	if err != nil || have != postgres.LatestVersion() || have < 4 {
		t.Errorf("version %d (%v), want %d", have, err, postgres.LatestVersion())
	}
	if n := one[int](t, pool, `SELECT count(*) FROM stage`); n != 6 {
		t.Errorf("%d stages, want 6: the migrations ran more than once", n)
	}
	if one[bool](t, pool, `SELECT to_regclass('river_job') IS NULL`) {
		t.Error("the tables of the jobs are missing")
	}
	if err := postgres.Migrate(t.Context(), pool); err != nil {
		t.Errorf("again: %v", err)
	}
	if n := pool.Stat().TotalConns(); n > 2 {
		t.Errorf("%d connections of the caller's pool are used", n)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	run(t, pool, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	err := postgres.Migrate(t.Context(), pool)
	wantWords(t, err, "newer Parley", "schema 9999", "start that version")
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("code %s, want conflict", errs.CodeOf(err))
	}
	run(t, pool, `DELETE FROM goose_db_version WHERE version_id = 9999`)
	run(t, pool, `INSERT INTO river_migration (line, version) VALUES ('main', 999)`)
	wantWords(t, postgres.Migrate(t.Context(), pool), "newer Parley", "job schema 999")
}

func TestVersionOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	if v, err := postgres.CurrentVersion(t.Context(), open(t, dbtest.Empty(t))); err != nil || v != 0 {
		t.Errorf("got %d, %v; want 0", v, err)
	}
}

const partitionsSQL = `SELECT array_agg(inhrelid::regclass::text ORDER BY inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = $1::text::regclass`

func TestPartitions(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	now := one[time.Time](t, pool, `SELECT now()`).UTC()
	day := func(n int) string { return now.AddDate(0, 0, n).Format("event_2006_01_02") }
	month := func(n int) string {
		return time.Date(now.Year(), now.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC).Format("message_2006_01")
	}

	days := one[[]string](t, pool, partitionsSQL, "event")
	if len(days) != 16 || days[0] != day(-1) || days[15] != day(14) {
		t.Errorf("days %v, want %s to %s", days, day(-1), day(14))
	}
	months := one[[]string](t, pool, partitionsSQL, "message")
	if len(months) != 5 || months[0] != month(0) || months[3] != month(3) || months[4] != "message_past" {
		t.Errorf("months %v, want %s to %s and the past", months, month(0), month(3))
	}

	// A message of long ago, of now and of the last day that has a partition find their place.
	for i, at := range []time.Time{now.AddDate(-20, 0, 0), now, time.Date(now.Year(), now.Month()+4, 1, 0, 0, -1, 0, time.UTC)} {
		run(t, pool, `INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, status) VALUES ($1, gen_random_uuid(), $2, 'note', 'in', 'agent', 'received')`, at, i)
	}

	// The hub sleeps for ten months: no month is left out when it wakes, for messages of that time may come.
	later := now.AddDate(0, 10, 0)
	for range 2 {
		if err := postgres.EnsurePartitions(t.Context(), pool, later); err != nil {
			t.Fatal(err)
		}
	}
	if months = one[[]string](t, pool, partitionsSQL, "message"); len(months) < 14 || len(months) > 16 {
		t.Errorf("%d months, want all of the year: %v", len(months), months)
	}
	if gaps := one[int](t, pool, `
SELECT count(*) FROM generate_series(date_trunc('month', now(), 'UTC'), $1, '1 month') AS m
WHERE to_regclass('message_' || to_char(m AT TIME ZONE 'UTC', 'YYYY_MM')) IS NULL`, later); gaps != 0 {
		t.Errorf("%d months are missing", gaps)
	}
	if days = one[[]string](t, pool, partitionsSQL, "event"); days[0] != day(-1) {
		t.Errorf("a clock that is ahead has dropped %s", day(-1))
	}
	wantWords(t, postgres.EnsurePartitions(t.Context(), pool, now.AddDate(200, 0, 0)), "is the clock right")
}

func TestOldDaysOfTheSpineAreDropped(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	for _, age := range []int{14, 15, 30} {
		run(t, pool, fmt.Sprintf(`DO $$ BEGIN EXECUTE format('CREATE TABLE event_age_%[1]d PARTITION OF event FOR VALUES FROM (%%L) TO (%%L)',
			date_trunc('day', now(), 'UTC') - make_interval(days => %[1]d), date_trunc('day', now(), 'UTC') - make_interval(days => %[2]d)); END $$`, age, age-1))
	}
	if err := postgres.EnsurePartitions(t.Context(), pool, time.Now()); err != nil {
		t.Fatal(err)
	}
	days := one[[]string](t, pool, partitionsSQL, "event")
	if len(days) != 17 || days[16] != "event_age_14" {
		t.Errorf("left are %v, want the one of 14 days and the 16 of now", days)
	}
}
