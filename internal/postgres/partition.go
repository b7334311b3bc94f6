package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/errs"
)

const (
	eventDaysAhead     = 14
	eventDaysKept      = 14
	messageMonthsAhead = 3
	// maxNewPartitions stops a clock that jumped into the far future from making thousands of tables.
	maxNewPartitions = 130
	// partitionLock serialises nodes that make partitions at the same time ("part").
	partitionLock int64 = 0x70617274
)

// A partition's upper bound is read from its definition.
const (
	partitionEndSQL = `
SELECT max(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = $1::text::regclass`
	oldEventsSQL = `
SELECT c.relname
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'event'::regclass
  AND substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz
      <= least(now(), $1::timestamptz) - make_interval(days => $2)
ORDER BY c.relname`
)

// partitioned describes one table that is split by time.
type partitioned struct {
	table string
	name  string // time layout of a partition's name
	trunc func(time.Time) time.Time
	next  func(time.Time) time.Time
}

func byDay(table string) partitioned {
	return partitioned{
		table: table, name: table + "_2006_01_02",
		trunc: func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) },
		next:  func(t time.Time) time.Time { return t.AddDate(0, 0, 1) },
	}
}

func byMonth(table string) partitioned {
	return partitioned{
		table: table, name: table + "_2006_01",
		trunc: func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC) },
		next:  func(t time.Time) time.Time { return t.AddDate(0, 1, 0) },
	}
}

// EnsurePartitions makes the partitions that will be needed and drops the days of the spine that nobody may ask for
// any more: event by day, from yesterday to 14 days ahead, kept 14 days; message, message_search and message_raw by
// month, 3 ahead. It is called at every start and daily. Months in which the hub did not run are filled in too: its channels may hand over
// messages of that time. Making a partition does not block writers; dropping one needs a moment alone with its table.
func EnsurePartitions(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	now = now.UTC()
	day, month := byDay("event"), byMonth("message")
	err := InTx(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, partitionLock); err != nil {
			return fmt.Errorf("lock partitions: %w", err)
		}
		if err := day.ensure(ctx, tx, now.AddDate(0, 0, -1), now.AddDate(0, 0, eventDaysAhead), false); err != nil {
			return err
		}
		lastMonth := month.trunc(now).AddDate(0, messageMonthsAhead, 0)
		if err := month.ensure(ctx, tx, now, lastMonth, true); err != nil {
			return err
		}
		search := byMonth("message_search")
		there, err := search.exists(ctx, tx)
		if err == nil && there {
			err = search.ensure(ctx, tx, now, lastMonth, true)
		}
		if err != nil {
			return err
		}
		return byMonth("message_raw").ensure(ctx, tx, now, lastMonth, true)
	})
	if err != nil {
		return err
	}
	return dropOldEvents(ctx, pool, now)
}

// exists tells whether the table is there: an upgrade fills an older schema first, which has fewer of them.
func (p partitioned) exists(ctx context.Context, tx pgx.Tx) (yes bool, err error) {
	err = tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, p.table).Scan(&yes)
	return yes, err
}

// ensure makes the missing partitions from the one that holds from to the one that holds to. With gapless it starts
// where the newest existing partition ends, if that is earlier.
func (p partitioned) ensure(ctx context.Context, tx pgx.Tx, from, to time.Time, gapless bool) error {
	end, err := p.end(ctx, tx)
	if err != nil {
		return err
	}
	start := p.trunc(from)
	if end != nil && (gapless || end.After(start)) {
		start = *end // what lies before end is there, or was dropped on purpose
	}
	made := 0
	for ; !start.After(to); start = p.next(start) {
		if made++; made > maxNewPartitions {
			return errs.New(errs.Internal, "more than %d partitions of %s are missing up to %s: is the clock right?", maxNewPartitions, p.table, to.Format(time.DateOnly))
		}
		if err := p.create(ctx, tx, start); err != nil {
			return err
		}
	}
	return nil
}

// end is the upper bound of the newest partition, nil when there is none.
func (p partitioned) end(ctx context.Context, tx pgx.Tx) (*time.Time, error) {
	var end *time.Time
	err := tx.QueryRow(ctx, partitionEndSQL, p.table).Scan(&end)
	if err != nil {
		return nil, fmt.Errorf("read partitions of %s: %w", p.table, err)
	}
	if end != nil {
		*end = end.UTC()
	}
	return end, nil
}

// create makes the table first and attaches it then: ATTACH lets writers of the parent go on, PARTITION OF does not.
func (p partitioned) create(ctx context.Context, tx pgx.Tx, start time.Time) error {
	name := pgx.Identifier{start.Format(p.name)}.Sanitize()
	parent := pgx.Identifier{p.table}.Sanitize()
	sql := fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING ALL);
ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`,
		name, parent, parent, name, start.Format(time.RFC3339), p.next(start).Format(time.RFC3339))
	if _, err := tx.Exec(ctx, sql); err != nil {
		return fmt.Errorf("make partition %s: %w", start.Format(p.name), err)
	}
	return nil
}

// dropOldEvents drops the days that ended more than eventDaysKept ago, one transaction each. The database's clock has a
// say too: a node whose clock is ahead must not throw away what others still follow.
func dropOldEvents(ctx context.Context, pool *pgxpool.Pool, now time.Time) error {
	rows, err := pool.Query(ctx, oldEventsSQL, now, eventDaysKept)
	if err != nil {
		return fmt.Errorf("find old days of the spine: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("find old days of the spine: %w", err)
	}
	for _, name := range names {
		err := InTx(ctx, pool, func(tx pgx.Tx) error {
			// Everybody who writes an event queues behind this statement, so it must not wait long itself.
			if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '1s'`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+pgx.Identifier{name}.Sanitize())
			return err
		})
		if err != nil {
			return fmt.Errorf("drop partition %s: %w", name, err)
		}
	}
	return nil
}
