package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/staff"
)

// EventBulkUpdated tells how far a change of many conversations is; it goes to whoever asked for it.
const EventBulkUpdated = "bulk.updated"

const (
	// MaxBulk is how many conversations one change may touch.
	MaxBulk     = 10_000
	bulksListed = 20
	bulksKept   = 30 * 24 * time.Hour
)

// BulkChange is what is done to each of many conversations; what is not set stays as it is.
type BulkChange struct {
	Status       *Status    `json:"status,omitempty" enum:"open,waiting,snoozed,closed"`
	SnoozedUntil *time.Time `json:"snoozed_until,omitempty" nullable:"true"`
	Assignee     ids.Patch  `json:"assignee_id,omitzero" required:"false"`
	Team         ids.Patch  `json:"team_id,omitzero" required:"false"`
	TagsAdd      []string   `json:"tags_add,omitempty" nullable:"false" maxItems:"20"`
	TagsRemove   []string   `json:"tags_remove,omitempty" nullable:"false" maxItems:"20"`
}

// Bulk is one change of many conversations: how far it is, and how it ended.
type Bulk struct {
	ID         ids.ID     `json:"id"`
	Version    int        `json:"version"`
	AgentID    ids.ID     `json:"agent_id"`
	Change     BulkChange `json:"change"`
	UndoOf     *ids.ID    `json:"undo_of" doc:"the change that this one takes back"`
	State      string     `json:"state" enum:"running,done"`
	Total      int        `json:"total"`
	Done       int        `json:"done" doc:"so many are as they were to become"`
	Failed     int        `json:"failed"`
	CanUndo    bool       `json:"can_undo"`
	CreatedAt  time.Time  `json:"created_at"`
	FinishedAt *time.Time `json:"finished_at"`
}

// BulkFailure is a conversation that a change did not reach, and why.
type BulkFailure struct {
	No             int    `json:"no"`
	ConversationID ids.ID `json:"conversation_id"`
	Number         ids.ID `json:"number" doc:"0 = not to be seen"`
	Name           string `json:"name"`
	Error          string `json:"error"`
}

const (
	bulkColumns = `b.id, b.version, b.agent_id, b.change, b.undo_of, b.state, b.total, b.done, b.failed, b.created_at, b.finished_at,
	b.state = 'done' AND b.undo_of IS NULL AND b.finished_at > now() - interval '24 hours' AND b.done > 0
	AND NOT EXISTS (SELECT 1 FROM bulk u WHERE u.undo_of = b.id)`

	insertBulkSQL = `INSERT INTO bulk AS b (agent_id, change, total) VALUES ($1, $2, $3) RETURNING ` + bulkColumns
	// in the order of ids, which is the order in which conversations are locked
	insertBulkItemsSQL = `INSERT INTO bulk_item (bulk_id, no, conversation_id)
SELECT $1, u.no, u.id FROM unnest($2::bigint[]) WITH ORDINALITY u (id, no)`

	getBulkSQL   = `SELECT ` + bulkColumns + ` FROM bulk b WHERE b.id = $1 AND b.agent_id = $2`
	lockBulkSQL  = getBulkSQL + ` FOR UPDATE`
	listBulksSQL = `SELECT ` + bulkColumns + ` FROM bulk b WHERE b.agent_id = $1 AND b.created_at > now() - interval '24 hours' ORDER BY b.id DESC LIMIT $2`
	undoingSQL   = `SELECT ` + bulkColumns + ` FROM bulk b WHERE b.undo_of = $1`

	insertUndoSQL = `INSERT INTO bulk AS b (agent_id, change, undo_of, total)
SELECT $1, '{}', $2, count(*) FROM bulk_item WHERE bulk_id = $2 AND state = 'done' RETURNING ` + bulkColumns
	insertUndoItemsSQL = `INSERT INTO bulk_item (bulk_id, no, conversation_id, was)
SELECT $1, row_number() OVER (ORDER BY no), conversation_id, was FROM bulk_item WHERE bulk_id = $2 AND state = 'done'`

	bulkFailuresSQL = `SELECT i.no, i.conversation_id, coalesce(c.number, 0), coalesce(p.name, ''), i.error FROM bulk_item i
	LEFT JOIN conversation c ON c.id = i.conversation_id AND ` + visibleSQL + `
	LEFT JOIN contact p ON p.id = c.contact_id
WHERE i.bulk_id = $4 AND i.state = 'failed' AND i.no > $5 ORDER BY i.no LIMIT $6`

	sweepBulksSQL = `DELETE FROM bulk WHERE state = 'done' AND created_at < now() - make_interval(secs => $1)`
)

func scanBulk(row pgx.CollectableRow) (Bulk, error) {
	var b Bulk
	var change []byte
	err := row.Scan(&b.ID, &b.Version, &b.AgentID, &change, &b.UndoOf, &b.State, &b.Total, &b.Done, &b.Failed, &b.CreatedAt, &b.FinishedAt, &b.CanUndo)
	if err == nil {
		err = json.Unmarshal(change, &b.Change)
	}
	b.CreatedAt = b.CreatedAt.UTC()
	utc(b.FinishedAt)
	return b, err
}

func oneBulk(ctx context.Context, tx pgx.Tx, sql string, args ...any) (Bulk, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return Bulk{}, err
	}
	b, err := pgx.CollectExactlyOneRow(rows, scanBulk)
	if errors.Is(err, pgx.ErrNoRows) {
		return b, errs.New(errs.NotFound, "There is no such change of yours.")
	}
	return b, err
}

func (c *BulkChange) check() error {
	p := ConversationPatch{Status: c.Status, SnoozedUntil: c.SnoozedUntil}
	if err := p.check(); err != nil {
		return under("change.", err)
	}
	for field, tags := range map[string]*[]string{"change.tags_add": &c.TagsAdd, "change.tags_remove": &c.TagsRemove} {
		clean, err := cleanTags(*tags)
		if err != nil {
			return errs.Field(field, "must be at most %d tags of at most %d characters", maxTags, maxTag)
		}
		*tags = clean
	}
	if c.Status == nil && c.SnoozedUntil == nil && !c.Assignee.Set && !c.Team.Set && len(c.TagsAdd) == 0 && len(c.TagsRemove) == 0 {
		return errs.Field("change", "changes nothing")
	}
	return nil
}

// under names a field by where it stands in a larger body.
func under(prefix string, err error) error {
	var e *errs.E
	if errors.As(err, &e) && e.Field != "" {
		named := *e
		named.Field = prefix + e.Field
		return &named
	}
	return err
}

// StartBulk changes many conversations in the background: those named, or everything that a view lists (at most
// MaxBulk, the newest). The answer is the change at its beginning; events tell how it goes on. Each conversation is
// changed by the rules of a single change, with the caller's rights of that moment.
func (d *Desk) StartBulk(ctx context.Context, a staff.Access, named []ids.ID, view string, c BulkChange) (Bulk, error) {
	if err := may(a, staff.Reply, "change conversations"); err != nil {
		return Bulk{}, err
	}
	if err := c.check(); err != nil {
		return Bulk{}, err
	}
	if len(named) > MaxBulk {
		return Bulk{}, errs.Field("ids", "names more than %d conversations", MaxBulk)
	}
	if (len(named) == 0) == (view == "") {
		return Bulk{}, errs.Field("ids", "must name conversations, or view must name a list, and not both")
	}
	keys := make([]int64, len(named))
	for i, id := range named {
		keys[i] = int64(id)
	}
	if view != "" {
		var err error
		if keys, err = d.listed(ctx, a, view); err != nil {
			return Bulk{}, err
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	change, err := json.Marshal(c)
	if err != nil {
		return Bulk{}, err
	}
	var b Bulk
	err = d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var err error
		if b, err = oneBulk(ctx, tx, insertBulkSQL, int64(a.AgentID), string(change), len(keys)); err != nil {
			return nil, fmt.Errorf("begin change of many: %w", err)
		}
		if _, err := tx.Exec(ctx, insertBulkItemsSQL, int64(b.ID), keys); err != nil {
			return nil, fmt.Errorf("begin change of many: %w", err)
		}
		if err := jobs.InsertTx(ctx, tx, bulkArgs{ID: int64(b.ID)}); err != nil {
			return nil, err
		}
		return []events.Event{bulkEvent(a.Actor(), b)}, nil
	})
	return b, err
}

// listed are the conversations of a view, the newest first.
func (d *Desk) listed(ctx context.Context, a staff.Access, view string) ([]int64, error) {
	q, at, err := ListQuery{View: view}.check()
	if err == nil {
		err = d.loadSaved(ctx, a, &q)
	}
	if err != nil {
		return nil, err
	}
	l, err := newList(a, q, at)
	if err != nil {
		return nil, err
	}
	rows, err := d.pool.Query(ctx, "SELECT c.id FROM ("+l.rows(MaxBulk)+") c WHERE "+l.me+" IS NOT NULL", l.args...)
	if err != nil {
		return nil, fmt.Errorf("list conversations: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// Bulks lists the caller's changes of the last day, newest first.
func (d *Desk) Bulks(ctx context.Context, a staff.Access) ([]Bulk, error) {
	rows, err := d.pool.Query(ctx, listBulksSQL, int64(a.AgentID), bulksListed)
	if err != nil {
		return nil, fmt.Errorf("list changes of many: %w", err)
	}
	return pgx.CollectRows(rows, scanBulk)
}

// UndoBulk takes a finished change back, in the background too: each conversation gets back what the change replaced,
// unless somebody changed that meanwhile. Undoing twice is undoing once.
func (d *Desk) UndoBulk(ctx context.Context, a staff.Access, id ids.ID) (Bulk, error) {
	var b Bulk
	err := d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		was, err := oneBulk(ctx, tx, lockBulkSQL, int64(id), int64(a.AgentID))
		if err != nil {
			return nil, err
		}
		if b, err = oneBulk(ctx, tx, undoingSQL, int64(id)); err == nil || !errs.Is(err, errs.NotFound) {
			return nil, err
		}
		if !was.CanUndo {
			return nil, errs.New(errs.Conflict, "This change cannot be taken back any more.")
		}
		if b, err = oneBulk(ctx, tx, insertUndoSQL, int64(a.AgentID), int64(id)); err != nil {
			return nil, fmt.Errorf("begin undo: %w", err)
		}
		if _, err := tx.Exec(ctx, insertUndoItemsSQL, int64(b.ID), int64(id)); err != nil {
			return nil, fmt.Errorf("begin undo: %w", err)
		}
		if err := jobs.InsertTx(ctx, tx, bulkArgs{ID: int64(b.ID)}); err != nil {
			return nil, err
		}
		was.CanUndo = false
		was.Version++
		if _, err := tx.Exec(ctx, `UPDATE bulk SET version = version + 1 WHERE id = $1`, int64(id)); err != nil {
			return nil, fmt.Errorf("begin undo: %w", err)
		}
		return []events.Event{bulkEvent(a.Actor(), was), bulkEvent(a.Actor(), b)}, nil
	})
	return b, err
}

// BulkFailures lists what a change of the caller did not reach, after a place in the list.
func (d *Desk) BulkFailures(ctx context.Context, a staff.Access, id ids.ID, after, limit int) ([]BulkFailure, error) {
	var n int
	err := d.pool.QueryRow(ctx, `SELECT 1 FROM bulk WHERE id = $1 AND agent_id = $2`, int64(id), int64(a.AgentID)).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errs.New(errs.NotFound, "There is no such change of yours.")
	}
	if err != nil {
		return nil, fmt.Errorf("find change of many: %w", err)
	}
	rows, err := d.pool.Query(ctx, bulkFailuresSQL, who(a, int64(id), after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list failures: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[BulkFailure])
}

// SweepBulks forgets changes that ended long ago.
func (d *Desk) SweepBulks(ctx context.Context) error {
	_, err := d.pool.Exec(ctx, sweepBulksSQL, bulksKept.Seconds())
	return err
}

func bulkEvent(by events.Actor, b Bulk) events.Event {
	return events.Event{Kind: EventBulkUpdated, Actor: by, SubjectKind: "bulk", SubjectID: b.ID.String(), Payload: b}
}
