package inbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	countSnapshotSQL = `SELECT s.epoch, pg_current_snapshot()::text, coalesce(e.epoch, 0), coalesce(e.xid, '0'::xid8), coalesce(e.id, 0)
FROM spine s LEFT JOIN LATERAL (SELECT epoch, xid, id FROM event ORDER BY epoch DESC, xid DESC, id DESC LIMIT 1) e ON true`

	countTroubleSQL = `SELECT id, conversation_id, version FROM message WHERE status IN ('failed', 'uncertain') AND deleted_at IS NULL`

	countColumns = `id, version, status, coalesce(team_id, 0), coalesce(assignee_id, 0), in_count, channel_id, priority, tags, waiting_since`

	countRowsSQL = `SELECT ` + countColumns + ` FROM conversation
WHERE status IN ('open', 'waiting')
UNION ALL SELECT ` + countColumns + ` FROM conversation WHERE status = 'snoozed'
UNION ALL SELECT ` + countColumns + ` FROM conversation
WHERE status = 'closed' AND id = ANY ($1::bigint[])`

	countAllMarksSQL = `SELECT r.conversation_id, r.agent_id, r.in_no FROM read_marker r JOIN conversation c ON c.id = r.conversation_id
WHERE c.status <> 'closed'`

	countMarksSQL = `SELECT conversation_id, agent_id, in_no FROM read_marker WHERE conversation_id = ANY ($1::bigint[])`
)

// loadCounts makes the index of one snapshot.
func loadCounts(ctx context.Context, pool *pgxpool.Pool) (*countIndex, error) {
	x := newCountIndex()
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var text string
		err := tx.QueryRow(ctx, countSnapshotSQL).Scan(&x.snapshot.epoch, &text, &x.last.Epoch, &x.last.XID, &x.last.ID)
		if err != nil {
			return fmt.Errorf("take a snapshot: %w", err)
		}
		if err := x.snapshot.parse(text); err != nil {
			return err
		}
		return x.fill(ctx, tx)
	})
	return x, err
}

// snapshot is a snapshot of the database: which transactions it holds.
type snapshot struct {
	epoch      int32
	xmin, xmax uint64
	running    map[uint64]bool
}

// holds reports whether what the event tells is part of the snapshot.
func (s snapshot) holds(c events.Cursor) bool {
	if c.Epoch != s.epoch {
		return c.Epoch < s.epoch
	}
	return c.XID < s.xmin || c.XID < s.xmax && !s.running[c.XID]
}

// parse reads the text form of pg_snapshot: xmin:xmax:running,running.
func (s *snapshot) parse(text string) error {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return fmt.Errorf("snapshot %q: not three parts", text)
	}
	var err error
	if s.xmin, err = strconv.ParseUint(parts[0], 10, 64); err != nil {
		return fmt.Errorf("snapshot %q: %w", text, err)
	}
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return fmt.Errorf("snapshot %q: %w", text, err)
	}
	s.running = map[uint64]bool{}
	for x := range strings.SplitSeq(parts[2], ",") {
		if x == "" {
			continue
		}
		xid, err := strconv.ParseUint(x, 10, 64)
		if err != nil {
			return fmt.Errorf("snapshot %q: %w", text, err)
		}
		s.running[xid] = true
	}
	return nil
}

func (x *countIndex) fill(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, countTroubleSQL)
	if err != nil {
		return fmt.Errorf("read sends in trouble: %w", err)
	}
	perConversation := map[int64]int32{}
	var message uuid.UUID
	var t troubled
	if _, err := pgx.ForEachRow(rows, []any{&message, &t.conversation, &t.version}, func() error {
		x.trouble[message] = t
		perConversation[t.conversation]++
		return nil
	}); err != nil {
		return fmt.Errorf("read sends in trouble: %w", err)
	}
	with := make([]int64, 0, len(perConversation))
	for id := range perConversation {
		with = append(with, id)
	}
	if rows, err = tx.Query(ctx, countRowsSQL, with); err != nil {
		return fmt.Errorf("read conversations: %w", err)
	}
	var id int64
	var status Status
	var r countRow
	var waiting *time.Time
	var tags []string
	if _, err := pgx.ForEachRow(rows, []any{&id, &r.version, &status, &r.team, &r.assignee, &r.inCount, &r.channel, &r.priority, &tags, &waiting}, func() error {
		row := r
		row.status, row.trouble, row.tags, row.waiting = countStatusOf(status), perConversation[id], slices.Clone(tags), unixOf(waiting)
		x.rows[id] = &row
		return nil
	}); err != nil {
		return fmt.Errorf("read conversations: %w", err)
	}
	if rows, err = tx.Query(ctx, countAllMarksSQL); err != nil {
		return fmt.Errorf("read markers: %w", err)
	}
	if err := eachMark(rows, func(id, agent int64, inNo int32) {
		if r := x.rows[id]; r != nil {
			r.mark(agent, inNo)
		}
	}); err != nil {
		return err
	}
	for _, r := range x.rows {
		x.count(r, 1)
	}
	return x.fillViews(ctx, tx)
}

func eachMark(rows pgx.Rows, fn func(id, agent int64, inNo int32)) error {
	var id, agent int64
	var inNo int32
	_, err := pgx.ForEachRow(rows, []any{&id, &agent, &inNo}, func() error {
		fn(id, agent, inNo)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read markers: %w", err)
	}
	return nil
}

// loadMarks looks up who has read how far. It may read what later events tell again: markers only move forward.
func (x *countIndex) loadMarks(ctx context.Context, db postgres.DB, conversations []int64) error {
	if len(conversations) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, countMarksSQL, conversations)
	if err != nil {
		return fmt.Errorf("read markers: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return eachMark(rows, func(id, agent int64, inNo int32) {
		if r := x.rows[id]; r != nil && r.status != countClosed {
			x.change(id, func(r *countRow) { r.mark(agent, inNo) })
		}
	})
}
