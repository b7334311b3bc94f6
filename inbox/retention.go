package inbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/staff"
)

const (
	maxKeepDays = 36_500
	// keepChunk is how many rows go in one transaction: far below the 200 ms that a writer may hold the spine.
	keepChunk = 200
)

// Retention says how many days things of a channel are kept; 0 = for ever.
type Retention struct {
	ChannelID   ids.ID `json:"channel_id"`
	Version     int    `json:"version" doc:"of the channel"`
	MessageDays int    `json:"message_days" doc:"texts, and with them all the rest; 0 = for ever"`
	RawDays     int    `json:"raw_days" doc:"what the provider sent, as it came; 0 = as long as the message"`
	FileDays    int    `json:"file_days" doc:"attachments; 0 = as long as the message"`
}

// Keeper lets go of what has been kept long enough. People under legal hold are left alone.
type Keeper struct {
	pool *pgxpool.Pool
	bus  bus.Bus
}

// NewKeeper makes the keeper.
func NewKeeper(pool *pgxpool.Pool, b bus.Bus) *Keeper { return &Keeper{pool: pool, bus: b} }

const (
	retentionSQL    = `SELECT id, version, keep_days, keep_raw_days, keep_file_days FROM channel WHERE deleted_at IS NULL AND ($1::bigint = 0 OR id = $1) ORDER BY id`
	setRetentionSQL = `UPDATE channel SET version = version + 1, keep_days = $3, keep_raw_days = $4, keep_file_days = $5 WHERE id = $1 AND version = $2 AND deleted_at IS NULL`

	// Channels that were deleted are kept by the same rule: what came through them is still there.
	keptChannelsSQL = `SELECT id, keep_days, keep_raw_days, keep_file_days FROM channel WHERE keep_days > 0 OR keep_raw_days > 0 OR keep_file_days > 0 ORDER BY id`

	// $1 channel, $2 days, $3 chunk
	dropRawSQL = `
DELETE FROM message_raw w USING (
    SELECT w.message_at, w.message_id FROM message_raw w
    JOIN message m ON m.at = w.message_at AND m.id = w.message_id
    JOIN conversation c ON c.id = m.conversation_id JOIN contact p ON p.id = c.contact_id
    WHERE c.channel_id = $1 AND w.message_at < now() - make_interval(days => $2) AND NOT p.legal_hold
    ORDER BY w.message_at, w.message_id LIMIT $3) x
WHERE w.message_at = x.message_at AND w.message_id = x.message_id`
	dropFilesSQL = `
UPDATE attachment f SET state = 'expired', blob = '', preview = '', name = '', ref = '{}', error = 'It was kept as long as the settings say.'
WHERE f.id IN (
    SELECT f.id FROM attachment f JOIN conversation c ON c.id = f.conversation_id JOIN contact p ON p.id = c.contact_id
    WHERE c.channel_id = $1 AND f.message_at < now() - make_interval(days => $2) AND NOT p.legal_hold AND f.state <> 'expired'
    ORDER BY f.id LIMIT $3)`
	// The rows stay, empty, as after an erasure: numbers and what points at them hold.
	oldMessagesSQL = `
SELECT m.at, m.id FROM message m JOIN conversation c ON c.id = m.conversation_id JOIN contact p ON p.id = c.contact_id
WHERE c.channel_id = $1 AND m.at < now() - make_interval(days => $2) AND NOT p.legal_hold AND NOT m.data ? 'kept_until'
  AND (m.at, m.id) > ($4, $5)
ORDER BY m.at, m.id LIMIT $3`
	emptyMessagesSQL = `
UPDATE message m SET version = m.version + 1, text = '', html = '', subject = '', error = '', provider_id = '',
	data = jsonb_build_object('kept_until', now()), deleted_at = coalesce(m.deleted_at, now())
FROM unnest($1::timestamptz[], $2::uuid[]) x (at, id) WHERE m.at = x.at AND m.id = x.id`
	emptyRawSQL       = `DELETE FROM message_raw w USING unnest($1::timestamptz[], $2::uuid[]) x (at, id) WHERE w.message_at = x.at AND w.message_id = x.id`
	emptyRevisionsSQL = `DELETE FROM message_revision w USING unnest($1::timestamptz[], $2::uuid[]) x (at, id) WHERE w.message_at = x.at AND w.message_id = x.id`
	emptyReactionsSQL = `DELETE FROM reaction w USING unnest($1::timestamptz[], $2::uuid[]) x (at, id) WHERE w.message_at = x.at AND w.message_id = x.id`
	emptyFilesSQL     = `DELETE FROM attachment f USING unnest($1::timestamptz[], $2::uuid[]) x (at, id) WHERE f.message_at = x.at AND f.message_id = x.id`
	emptyOutboxSQL    = `UPDATE outbox o SET state = 'cancelled', args = '{}', error = '', done_at = coalesce(done_at, now())
FROM unnest($1::timestamptz[], $2::uuid[]) x (at, id) WHERE o.message_at = x.at AND o.message_id = x.id AND o.state IN ('queued', 'failed', 'uncertain')`
	emptyConversationsSQL = `
UPDATE conversation c SET version = c.version + 1, last_text = '', subject = '' WHERE c.id IN (
    SELECT c.id FROM conversation c JOIN contact p ON p.id = c.contact_id
    WHERE c.channel_id = $1 AND c.last_at < now() - make_interval(days => $2) AND NOT p.legal_hold AND (c.last_text <> '' OR c.subject <> '')
    ORDER BY c.id LIMIT $3)`
)

// Retention tells what holds for a channel.
func (k *Keeper) Retention(ctx context.Context, a staff.Access, channel ids.ID) (Retention, error) {
	if err := may(a, staff.ManageData, "see how long things are kept"); err != nil {
		return Retention{}, err
	}
	return k.read(ctx, k.pool, channel)
}

func (k *Keeper) read(ctx context.Context, db postgres.DB, channel ids.ID) (Retention, error) {
	rows, err := db.Query(ctx, retentionSQL, int64(channel))
	if err != nil {
		return Retention{}, fmt.Errorf("read retention: %w", err)
	}
	r, err := pgx.CollectOneRow(rows, pgx.RowToStructByPos[Retention])
	if errors.Is(err, pgx.ErrNoRows) || channel == 0 {
		return r, errs.New(errs.NotFound, "There is no such channel.")
	}
	return r, err
}

// SetRetention changes what holds for a channel. It is applied within a day, to what is there already too.
func (k *Keeper) SetRetention(ctx context.Context, a staff.Access, want Retention) (Retention, error) {
	if err := may(a, staff.ManageData, "change how long things are kept"); err != nil {
		return want, err
	}
	for field, days := range map[string]int{"message_days": want.MessageDays, "raw_days": want.RawDays, "file_days": want.FileDays} {
		if days < 0 || days > maxKeepDays {
			return want, errs.Field(field, "must be 0 to %d", maxKeepDays)
		}
	}
	var out Retention
	err := postgres.InTx(ctx, k.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, setRetentionSQL, int64(want.ChannelID), want.Version, want.MessageDays, want.RawDays, want.FileDays)
		if err != nil {
			return fmt.Errorf("change retention: %w", err)
		}
		if out, err = k.read(ctx, tx, want.ChannelID); err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return &errs.E{Code: errs.Conflict, Msg: "Somebody changed this channel meanwhile.", Extra: map[string]any{"version": out.Version}}
		}
		return events.Append(ctx, tx, events.Event{
			Kind: "data.retention_changed", Actor: a.Actor(), SubjectKind: "channel", SubjectID: want.ChannelID.String(), Payload: out,
		})
	})
	if err == nil {
		events.Wake(k.bus)
	}
	return out, err
}

type retentionDue struct{}

func (retentionDue) Kind() string { return "retention" }

// Workers let go of what is old.
func (k *Keeper) Workers() []jobs.Worker {
	return []jobs.Worker{jobs.Every(6*time.Hour, retentionDue{}, k.Sweep)}
}

// Sweep applies the rules of all channels, in short transactions; broken off, the next one goes on.
func (k *Keeper) Sweep(ctx context.Context) error {
	rows, err := k.pool.Query(ctx, keptChannelsSQL)
	if err != nil {
		return fmt.Errorf("list what is kept: %w", err)
	}
	type rule struct {
		Channel              int64
		Messages, Raw, Files int
	}
	rules, err := pgx.CollectRows(rows, pgx.RowToStructByPos[rule])
	if err != nil {
		return fmt.Errorf("list what is kept: %w", err)
	}
	for _, r := range rules {
		err := errors.Join(
			k.messages(ctx, r.Channel, r.Messages),
			k.chunks(ctx, r.Messages, k.statement(emptyConversationsSQL, r.Channel, r.Messages)),
			k.chunks(ctx, r.Raw, k.statement(dropRawSQL, r.Channel, r.Raw)),
			k.chunks(ctx, r.Files, k.statement(dropFilesSQL, r.Channel, r.Files)),
		)
		if err != nil {
			return fmt.Errorf("let go of what channel %d has kept long enough: %w", r.Channel, err)
		}
	}
	return nil
}

// chunks repeats fn until nothing is left.
func (k *Keeper) chunks(ctx context.Context, days int, fn func(ctx context.Context) (int64, error)) error {
	if days == 0 {
		return nil
	}
	for {
		n, err := fn(ctx)
		if err != nil || n < keepChunk {
			return err
		}
	}
}

func (k *Keeper) statement(sql string, channel int64, days int) func(ctx context.Context) (int64, error) {
	return func(ctx context.Context) (int64, error) {
		tag, err := k.pool.Exec(ctx, sql, channel, days, keepChunk)
		return tag.RowsAffected(), err
	}
}

// messages walks forward, so that what is empty already is passed once.
func (k *Keeper) messages(ctx context.Context, channel int64, days int) error {
	var last MessageKey
	return k.chunks(ctx, days, func(ctx context.Context) (n int64, err error) {
		n, last, err = k.empty(ctx, channel, days, last)
		return n, err
	})
}

func (k *Keeper) empty(ctx context.Context, channel int64, days int, after MessageKey) (n int64, last MessageKey, err error) {
	err = postgres.InTx(ctx, k.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, oldMessagesSQL, channel, days, keepChunk, after.At, after.ID)
		if err != nil {
			return err
		}
		keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[MessageKey])
		if err != nil || len(keys) == 0 {
			n = 0
			return err
		}
		at, id := splitKeys(keys)
		for _, sql := range []string{emptyRawSQL, emptyRevisionsSQL, emptyReactionsSQL, emptyFilesSQL, emptyOutboxSQL, emptyMessagesSQL} {
			if _, err := tx.Exec(ctx, sql, at, id); err != nil {
				return err
			}
		}
		n, last = int64(len(keys)), keys[len(keys)-1]
		return nil
	})
	return n, last, err
}
