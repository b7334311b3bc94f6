package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	hasSampleSQL     = `SELECT EXISTS (SELECT FROM channel WHERE sample AND deleted_at IS NULL)`
	dropSampleSQL    = `UPDATE channel SET deleted_at = now(), enabled = false, secret = NULL, version = version + 1 WHERE sample AND deleted_at IS NULL RETURNING id`
	sampleChunkSQL   = `SELECT c.id, c.contact_id FROM conversation c JOIN channel h ON h.id = c.channel_id WHERE h.sample AND h.deleted_at IS NOT NULL ORDER BY c.id LIMIT $1 FOR UPDATE OF c`
	closeSampleSQL   = `UPDATE conversation SET status = 'closed', closed_at = now(), snoozed_until = NULL, queued_at = NULL, waiting_since = NULL, version = version + 1 WHERE id = ANY ($1::bigint[]) AND status <> 'closed' RETURNING id`
	unlinkSampleSQL  = `UPDATE conversation SET previous_id = NULL WHERE previous_id = ANY ($1::bigint[])`
	unmergeSampleSQL = `UPDATE conversation SET merged_into = NULL WHERE merged_into = ANY ($1::bigint[])`
	loneContactsSQL  = `SELECT id FROM unnest($1::bigint[]) AS u (id) WHERE NOT EXISTS (SELECT FROM conversation c WHERE c.contact_id = u.id)`
	sampleRefsSQL    = `DELETE FROM external_ref WHERE (channel_id, kind, key) IN (SELECT r.channel_id, r.kind, r.key FROM external_ref r JOIN channel h ON h.id = r.channel_id WHERE h.sample AND h.deleted_at IS NOT NULL LIMIT $1)`
	sampleChannelSQL = `DELETE FROM channel WHERE sample AND deleted_at IS NOT NULL`
)

const (
	// a chunk is one transaction: short, since the spine waits for it
	sampleChunk = 20
	sampleRefs  = 2000
)

// emptyConversations deletes all that belongs to conversations and then them.
func emptyConversations() []string {
	return []string{
		eraseRawSQL, eraseRevisionsSQL, eraseReactionsSQL, eraseAttachmentsSQL,
		`DELETE FROM outbox WHERE conversation_id = ANY ($1::bigint[])`,
		`DELETE FROM message WHERE conversation_id = ANY ($1::bigint[])`,
		`DELETE FROM participant WHERE conversation_id = ANY ($1::bigint[])`,
		unlinkSampleSQL, unmergeSampleSQL,
		`DELETE FROM conversation WHERE id = ANY ($1::bigint[])`,
	}
}

type removeSample struct{}

// Kind implements jobs.Args.
func (removeSample) Kind() string { return "remove_sample" }

// InsertOpts keeps the removal out of the way of short jobs.
func (removeSample) InsertOpts() jobs.Opts { return jobs.Opts{Queue: jobs.Slow} }

// HasSample reports whether there is sample data.
func (c *Channels) HasSample(ctx context.Context) (has bool, err error) {
	if err := c.pool.QueryRow(ctx, hasSampleSQL).Scan(&has); err != nil {
		return false, fmt.Errorf("look for sample data: %w", err)
	}
	return has, nil
}

// RemoveSample takes the sample channels away at once and leaves it to a job to remove all that came through them.
func (c *Channels) RemoveSample(ctx context.Context, a staff.Access) error {
	if err := may(a, staff.ManageData, "remove the sample data"); err != nil {
		return err
	}
	return c.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		rows, err := tx.Query(ctx, dropSampleSQL)
		if err != nil {
			return nil, fmt.Errorf("remove sample channels: %w", err)
		}
		gone, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, fmt.Errorf("remove sample channels: %w", err)
		}
		if err := jobs.InsertTx(ctx, tx, removeSample{}); err != nil {
			return nil, err
		}
		evs := []events.Event{{Kind: "data.sample_removed", Actor: a.Actor(), SubjectKind: "data", SubjectID: "sample", Payload: map[string]any{"channels": len(gone)}}}
		for _, id := range gone {
			evs = append(evs, events.Event{
				Kind: EventChannelDeleted, Actor: a.Actor(), SubjectKind: "channel", SubjectID: fmt.Sprint(id),
				Payload: map[string]any{"id": fmt.Sprint(id)},
			})
		}
		return evs, nil
	})
}

// Workers are the room's jobs.
func (c *Channels) Workers() []jobs.Worker {
	return []jobs.Worker{jobs.Work(time.Hour, func(ctx context.Context, _ removeSample) error { return c.sweepSample(ctx) })}
}

// sweepSample works in short transactions; killed in the middle, it goes on where it was.
func (c *Channels) sweepSample(ctx context.Context) error {
	for {
		n, err := c.sweepConversations(ctx)
		if err != nil {
			return fmt.Errorf("remove sample conversations: %w", err)
		}
		if n == 0 {
			break
		}
	}
	for {
		tag, err := c.pool.Exec(ctx, sampleRefsSQL, sampleRefs)
		if err != nil {
			return fmt.Errorf("remove sample deliveries: %w", err)
		}
		if tag.RowsAffected() == 0 {
			break
		}
	}
	if _, err := c.pool.Exec(ctx, sampleChannelSQL); err != nil {
		return fmt.Errorf("remove sample channels: %w", err)
	}
	return nil
}

// sweepConversations removes a chunk, with the contacts that have no other conversation, and returns how many. Whoever
// looks at one of them sees it closed first, so that lists and numbers follow.
func (c *Channels) sweepConversations(ctx context.Context) (n int, err error) {
	err = postgres.InTx(ctx, c.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sampleChunkSQL, sampleChunk)
		if err != nil {
			return err
		}
		var keys, people []int64
		var id, contact int64
		if _, err := pgx.ForEachRow(rows, []any{&id, &contact}, func() error {
			keys, people = append(keys, id), append(people, contact)
			return nil
		}); err != nil {
			return err
		}
		if n = len(keys); n == 0 {
			return nil
		}
		if err := closeSample(ctx, tx, keys); err != nil {
			return err
		}
		for _, sql := range emptyConversations() {
			_, err1 := tx.Exec(ctx, sql, keys)
			err = errors.Join(err, err1)
		}
		if err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, loneContactsSQL, people); err != nil {
			return err
		}
		lone, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		_, err = crm.RemoveSample(ctx, tx, lone)
		return err
	})
	if err == nil && n > 0 {
		events.Wake(c.bus)
	}
	return n, err
}

func closeSample(ctx context.Context, tx pgx.Tx, keys []int64) error {
	rows, err := tx.Query(ctx, closeSampleSQL, keys)
	if err != nil {
		return err
	}
	closed, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(closed) == 0 {
		return err
	}
	list, err := loadConversations(ctx, tx, closed)
	if err != nil {
		return err
	}
	var evs []events.Event
	for _, id := range closed {
		conv := list[id]
		evs = append(evs, conversationEvent(EventConversationUpdated, systemActor, conv, idOf(conv.TeamID), idOf(conv.AssigneeID)))
	}
	return events.Append(ctx, tx, evs...)
}
