package events

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

// ripe is when a row may be read. It goes together with horizonCTE as h.
const (
	ripe       = `(e.epoch < h.epoch OR e.xid < h.xmin)`
	horizonCTE = `WITH h AS MATERIALIZED (SELECT epoch, pg_snapshot_xmin(pg_current_snapshot()) AS xmin FROM spine) `
	eventCols  = `e.epoch, e.xid, e.id, e.at, e.kind, e.actor_kind, coalesce(e.actor_id, 0), e.subject_kind, e.subject_id,
       coalesce(e.conversation_id, 0), coalesce(e.team_id, 0), coalesce(e.assignee_id, 0), coalesce(e.team_before, 0), coalesce(e.assignee_before, 0)`
	// since prunes the partitions that end before the reader's place. A transaction writes at the time it began, and
	// clocks are set back, so a whole day is left: with daily partitions that costs one more look into an index.
	since = ` e.at >= least($4::timestamptz, now()) - interval '1 day' `
)

// readSQL returns what lies after a cursor in order, with the flag whether it may be read already; rows that may not
// come without payload and only tell that something waits. The answer always has at least one row, which carries the
// epoch.
const readSQL = horizonCTE + `
SELECT h.epoch, r.* FROM h LEFT JOIN LATERAL (
    SELECT ` + eventCols + `, ` + ripe + ` AS ripe,
           CASE WHEN ` + ripe + ` THEN e.payload::text END,
           extract(epoch FROM clock_timestamp() - e.at)::float8
    FROM event e
    WHERE (e.epoch, e.xid, e.id) > ($1::int, $2::xid8, $3::bigint) AND ` + since + `
    ORDER BY e.epoch, e.xid, e.id LIMIT $5) r ON true`

// reading is the answer of readSQL.
type reading struct {
	epoch   int32
	events  []Event
	pending bool          // a committed row waits for an older transaction
	age     time.Duration // of the oldest such row
}

// row is one line of readSQL; everything right of the epoch is null when there is nothing.
type row struct {
	epoch                                                     int32
	evEpoch                                                   *int32
	xid                                                       *uint64
	id                                                        *int64
	at                                                        *time.Time
	kind, actorKind, subjectKind, subjectID                   *string
	actor, conversation, team, assignee, teamWas, assigneeWas *int64
	ripe                                                      *bool
	payload                                                   *string
	age                                                       *float64
}

func (r *row) targets() []any {
	return []any{
		&r.epoch, &r.evEpoch, &r.xid, &r.id, &r.at, &r.kind, &r.actorKind, &r.actor, &r.subjectKind, &r.subjectID,
		&r.conversation, &r.team, &r.assignee, &r.teamWas, &r.assigneeWas, &r.ripe, &r.payload, &r.age,
	}
}

// read gets at most limit events after c. seen is the time of the last event that the reader saw; it prunes partitions.
func read(ctx context.Context, db postgres.DB, c Cursor, seen time.Time, limit int) (reading, error) {
	rows, err := db.Query(ctx, readSQL, c.Epoch, c.XID, c.ID, seen, limit)
	if err != nil {
		return reading{}, fmt.Errorf("read events after %s: %w", c, err)
	}
	defer rows.Close()
	var out reading
	for rows.Next() {
		var r row
		if err := rows.Scan(r.targets()...); err != nil {
			return reading{}, fmt.Errorf("read events after %s: %w", c, err)
		}
		out.epoch = r.epoch
		if r.evEpoch == nil {
			continue
		}
		if !*r.ripe {
			// Ripe rows come first in this order, so everything behind is unripe too.
			out.pending = true
			out.age = max(out.age, time.Duration(*r.age*float64(time.Second)))
			continue
		}
		out.events = append(out.events, Event{
			Kind: *r.kind, Actor: Actor{Kind: *r.actorKind, ID: *r.actor}, SubjectKind: *r.subjectKind, SubjectID: *r.subjectID,
			ConversationID: *r.conversation, TeamID: *r.team, AssigneeID: *r.assignee, TeamBefore: *r.teamWas, AssigneeBefore: *r.assigneeWas,
			Cursor: Cursor{Epoch: *r.evEpoch, XID: *r.xid, ID: *r.id}, At: r.at.UTC(), Raw: []byte(*r.payload),
		})
	}
	if err := rows.Err(); err != nil {
		return reading{}, fmt.Errorf("read events after %s: %w", c, err)
	}
	return out, nil
}

// beforeSQL returns the events up to and including a cursor, newest first.
const beforeSQL = `
SELECT ` + eventCols + `, e.payload::text FROM event e
WHERE (e.epoch, e.xid, e.id) <= ($1::int, $2::xid8, $3::bigint)
ORDER BY e.epoch DESC, e.xid DESC, e.id DESC LIMIT $4`

func before(ctx context.Context, db postgres.DB, c Cursor, limit int) ([]Event, error) {
	rows, err := db.Query(ctx, beforeSQL, c.Epoch, c.XID, c.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("read events before %s: %w", c, err)
	}
	evs, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Event, error) {
		var e Event
		var payload string
		err := r.Scan(&e.Cursor.Epoch, &e.Cursor.XID, &e.Cursor.ID, &e.At, &e.Kind, &e.Actor.Kind, &e.Actor.ID, &e.SubjectKind, &e.SubjectID,
			&e.ConversationID, &e.TeamID, &e.AssigneeID, &e.TeamBefore, &e.AssigneeBefore, &payload)
		e.At, e.Raw = e.At.UTC(), []byte(payload)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("read events before %s: %w", c, err)
	}
	return evs, nil
}

// headSQL returns the newest event that may be read, or the start of the epoch when there is none.
const headSQL = horizonCTE + `
SELECT h.epoch, e.epoch, e.xid, e.id, coalesce(e.at, now()) FROM h LEFT JOIN LATERAL (
    SELECT e.epoch, e.xid, e.id, e.at FROM event e WHERE ` + ripe + `
    ORDER BY e.epoch DESC, e.xid DESC, e.id DESC LIMIT 1) e ON true`

// head returns the place behind everything that may be read now.
func head(ctx context.Context, db postgres.DB) (c Cursor, at time.Time, err error) {
	var (
		cur   int32
		epoch *int32
		xid   *uint64
		id    *int64
	)
	if err := db.QueryRow(ctx, headSQL).Scan(&cur, &epoch, &xid, &id, &at); err != nil {
		return Cursor{}, time.Time{}, fmt.Errorf("find the end of the spine: %w", err)
	}
	if epoch == nil || *epoch < cur {
		return Cursor{Epoch: cur}, at, nil
	}
	return Cursor{Epoch: *epoch, XID: *xid, ID: *id}, at, nil
}

// knownSQL tells whether a cursor may be trusted as a place to go on from: in the current epoch nothing behind it was
// dropped and it is not ahead of the horizon; of an older epoch the very event must still be there, because a restored
// database lacks what came after its backup.
const knownSQL = horizonCTE + `
SELECT CASE WHEN $1 = h.epoch
    THEN $2::xid8 < h.xmin AND EXISTS (SELECT FROM event e WHERE (e.epoch, e.xid, e.id) <= ($1::int, $2::xid8, $3::bigint))
    ELSE $1 < h.epoch AND EXISTS (SELECT FROM event e WHERE e.epoch = $1 AND e.xid = $2::xid8 AND e.id = $3)
    END FROM h`

func known(ctx context.Context, db postgres.DB, c Cursor) (ok bool, err error) {
	if err := db.QueryRow(ctx, knownSQL, c.Epoch, c.XID, c.ID).Scan(&ok); err != nil {
		return false, fmt.Errorf("look up cursor %s: %w", c, err)
	}
	return ok, nil
}
