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
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	// bulkChunk conversations are changed in one transaction: a long one would hold up the spine for everybody.
	bulkChunk = 20
	// bulkTime is far more than 10,000 changes take; after it, the job goes on where it was.
	bulkTime = 30 * time.Minute
)

// bulkArgs is the work on one change of many. What is done is done: the job may run again at any place.
type bulkArgs struct {
	ID int64 `json:"id"`
}

// Kind implements jobs.Args.
func (bulkArgs) Kind() string { return "bulk" }

// InsertOpts implements River's choice of options.
func (bulkArgs) InsertOpts() jobs.Opts { return jobs.Opts{Queue: jobs.Slow} }

// Workers are the desk's background work.
func (d *Desk) Workers() []jobs.Worker {
	return []jobs.Worker{
		jobs.Work(bulkTime, func(ctx context.Context, args bulkArgs) error { return d.workBulk(ctx, args.ID) }),
		jobs.Every(24*time.Hour, draftsDue{}, d.SweepDrafts),
		jobs.Every(24*time.Hour, bulksDue{}, d.SweepBulks),
	}
}

type draftsDue struct{}

func (draftsDue) Kind() string { return "ended_drafts" }

type bulksDue struct{}

func (bulksDue) Kind() string { return "ended_bulks" }

// bulkState is what a change of many can touch of a conversation.
type bulkState struct {
	Status       Status     `json:"status"`
	SnoozedUntil *time.Time `json:"snoozed_until"`
	Tags         []string   `json:"tags"`
	Team         int64      `json:"team"`
	Assignee     int64      `json:"assignee"`
	version      int
}

// bulkWas is kept with a conversation that was changed.
type bulkWas struct {
	Before bulkState `json:"before"`
	After  bulkState `json:"after"`
}

const (
	bulkOwnerSQL = `SELECT agent_id, change, undo_of IS NOT NULL FROM bulk WHERE id = $1`

	bulkPendingSQL = `SELECT no, conversation_id, was FROM bulk_item WHERE bulk_id = $1 AND state = 'pending' ORDER BY no LIMIT $2 FOR UPDATE SKIP LOCKED`

	bulkStateSQL = `SELECT version, status, snoozed_until, tags, coalesce(team_id, 0), coalesce(assignee_id, 0) FROM conversation WHERE id = $1 FOR UPDATE`

	bulkItemDoneSQL = `UPDATE bulk_item SET state = $3, error = $4, was = $5 WHERE bulk_id = $1 AND no = $2`

	bulkProgressSQL = `UPDATE bulk b SET version = version + 1, done = done + $2, failed = failed + $3,
	state = CASE WHEN $4 THEN 'done' ELSE state END, finished_at = CASE WHEN $4 THEN now() ELSE finished_at END
WHERE b.id = $1 RETURNING ` + bulkColumns
)

// workBulk works until nothing is left.
func (d *Desk) workBulk(ctx context.Context, id int64) error {
	for {
		more, err := d.workChunk(ctx, id)
		if err != nil || !more {
			return err
		}
	}
}

type bulkItem struct {
	no, conversation int64
	was              []byte
}

// workChunk changes the next conversations in one transaction, each in a savepoint of its own, so that one that cannot
// be changed leaves the others alone.
func (d *Desk) workChunk(ctx context.Context, id int64) (more bool, err error) {
	err = d.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var agent int64
		var raw []byte
		var undo bool
		err := tx.QueryRow(ctx, bulkOwnerSQL, id).Scan(&agent, &raw, &undo)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil // swept away
		}
		if err != nil {
			return nil, fmt.Errorf("read change of many: %w", err)
		}
		var change BulkChange
		if err := json.Unmarshal(raw, &change); err != nil {
			return nil, fmt.Errorf("read change of many: %w", err)
		}
		rows, err := tx.Query(ctx, bulkPendingSQL, id, bulkChunk)
		if err != nil {
			return nil, fmt.Errorf("read conversations to change: %w", err)
		}
		items, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (bulkItem, error) {
			var i bulkItem
			err := row.Scan(&i.no, &i.conversation, &i.was)
			return i, err
		})
		if err != nil {
			return nil, fmt.Errorf("read conversations to change: %w", err)
		}
		// With his rights of now: whoever lost them meanwhile changes nothing more.
		a, refused := staff.AccessOf(ctx, tx, ids.ID(agent))
		if refused != nil && !errs.Is(refused, errs.Unauthenticated) {
			return nil, refused
		}
		var evs []events.Event
		done, failed := 0, 0
		for _, it := range items {
			told, err := bulkOne(ctx, tx, a, refused, id, it, change, undo)
			if err != nil {
				return nil, err
			}
			if told == nil {
				failed++
			} else {
				done++
			}
			evs = append(evs, told...)
		}
		more = len(items) == bulkChunk
		b, err := oneBulk(ctx, tx, bulkProgressSQL, id, done, failed, !more)
		if err != nil {
			return nil, fmt.Errorf("note progress: %w", err)
		}
		return append(evs, bulkEvent(a.Actor(), b)), nil
	})
	return more, err
}

// bulkOne changes one conversation and notes how it went; nil events mean that it was not changed, and why is noted. An
// error is one of the database: the chunk is tried again.
func bulkOne(ctx context.Context, tx pgx.Tx, a staff.Access, refused error, bulk int64, it bulkItem, change BulkChange, undo bool) ([]events.Event, error) {
	evs, was := []events.Event{}, it.was
	err := refused
	if err == nil {
		err = pgx.BeginFunc(ctx, tx, func(sub pgx.Tx) error {
			var err error
			evs, was, err = bulkApply(ctx, sub, a, it, change, undo)
			return err
		})
	}
	state, reason := "done", ""
	if err != nil {
		var e *errs.E
		name, unique := postgres.Unique(err)
		switch {
		case unique && (name == "conversation_one_open" || name == "conversation_one_thread"):
			reason = "Another conversation with this customer is open on this channel."
		case errors.As(err, &e) && e.Code != errs.Internal && e.Code != errs.Unavailable:
			reason = e.Msg
		default:
			return nil, err
		}
		state, evs, was = "failed", nil, it.was
	} else if len(evs) == 0 {
		state = "same"
	}
	if _, err := tx.Exec(ctx, bulkItemDoneSQL, bulk, it.no, state, reason, was); err != nil {
		return nil, fmt.Errorf("note change of conversation %d: %w", it.conversation, err)
	}
	return evs, nil
}

func bulkApply(ctx context.Context, tx pgx.Tx, a staff.Access, it bulkItem, change BulkChange, undo bool) ([]events.Event, []byte, error) {
	before, err := readBulkState(ctx, tx, it.conversation)
	if err != nil {
		return nil, nil, err
	}
	p := change.patch(before)
	if undo {
		var was bulkWas
		if err := json.Unmarshal(it.was, &was); err != nil {
			return nil, nil, fmt.Errorf("read what was before: %w", err)
		}
		if p, err = was.back(before, time.Now()); err != nil {
			return nil, nil, err
		}
	}
	p.Version = &before.version
	if err := p.check(); err != nil {
		return nil, nil, err
	}
	_, evs, err := update(ctx, tx, a, it.conversation, p)
	if err != nil {
		return nil, nil, err
	}
	after, err := readBulkState(ctx, tx, it.conversation)
	if err != nil {
		return nil, nil, err
	}
	was, err := json.Marshal(bulkWas{before, after})
	if evs == nil {
		evs = []events.Event{}
	}
	return evs, was, err
}

func readBulkState(ctx context.Context, tx pgx.Tx, id int64) (bulkState, error) {
	var s bulkState
	err := tx.QueryRow(ctx, bulkStateSQL, id).Scan(&s.version, &s.Status, &s.SnoozedUntil, &s.Tags, &s.Team, &s.Assignee)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, noConversation()
	}
	if err != nil {
		return s, fmt.Errorf("lock conversation %d: %w", id, err)
	}
	utc(s.SnoozedUntil)
	return s, nil
}

// patch is the change as it applies to a conversation as it is.
func (c BulkChange) patch(now bulkState) ConversationPatch {
	p := ConversationPatch{Status: c.Status, SnoozedUntil: c.SnoozedUntil, Assignee: c.Assignee, Team: c.Team}
	if len(c.TagsAdd)+len(c.TagsRemove) > 0 {
		tags := slices.DeleteFunc(slices.Clone(now.Tags), func(t string) bool { return slices.Contains(c.TagsRemove, t) })
		for _, t := range c.TagsAdd {
			if !slices.Contains(tags, t) {
				tags = append(tags, t)
			}
		}
		p.Tags = &tags
	}
	return p
}

// back is what undoes a change. What is not as the change left it was changed by somebody since, and stays his.
func (w bulkWas) back(now bulkState, at time.Time) (ConversationPatch, error) {
	var p ConversationPatch
	meanwhile := false
	field := func(changed, untouched bool, set func()) {
		switch {
		case changed && untouched:
			set()
		case changed:
			meanwhile = true
		}
	}
	field(w.Before.Status != w.After.Status || !sameTime(w.Before.SnoozedUntil, w.After.SnoozedUntil),
		now.Status == w.After.Status && sameTime(now.SnoozedUntil, w.After.SnoozedUntil), func() {
			status := w.Before.Status
			switch until := w.Before.SnoozedUntil; {
			case status == Snoozed && until != nil && until.After(at):
				p.SnoozedUntil = until
			case status == Snoozed: // its time came meanwhile
				status = Open
			}
			p.Status = &status
		})
	field(w.Before.Assignee != w.After.Assignee, now.Assignee == w.After.Assignee, func() {
		p.Assignee = ids.Patch{Set: true, ID: ids.ID(w.Before.Assignee)}
	})
	field(w.Before.Team != w.After.Team, now.Team == w.After.Team, func() {
		p.Team = ids.Patch{Set: true, ID: ids.ID(w.Before.Team)}
	})
	field(!slices.Equal(w.Before.Tags, w.After.Tags), slices.Equal(now.Tags, w.After.Tags), func() { p.Tags = &w.Before.Tags })
	if meanwhile {
		return p, errs.New(errs.Conflict, "Somebody changed this conversation meanwhile.")
	}
	return p, nil
}
