package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// temporary tells trouble of the moment (database away, lease lost, shutting down) from events that can never be
// stored. Only what Postgres or we ourselves say about the data counts as poison; everything unknown is temporary, for
// an event that is delivered again is late, and one set aside wrongly is missed.
func temporary(err error) bool {
	if errs.IsTemporary(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:2] {
		case "22", "23", "54": // data exception, integrity, program limit
			return false
		}
		return true
	}
	var netErr net.Error
	if errors.As(err, &netErr) || errors.Is(err, postgres.ErrLeaseLost) || pgconn.SafeToRetry(err) || pgconn.Timeout(err) {
		return true
	}
	return !errors.Is(err, errPoison)
}

// raced tells that a rival changed meanwhile what the transaction had read (he opened the same conversation or lead, or
// removed the team): started over it sees that. What does not go away by this is judged as any other error.
func raced(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errRival) || errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "23503")
}

// ofOneJob tells trouble that only one of several jobs has: its channel was removed, or moved to another node.
func ofOneJob(err error) bool {
	return errors.Is(err, postgres.ErrLeaseLost) || errs.Is(err, errs.NotFound)
}

// errPoison marks an event whose own content stands in the way.
var errPoison = errors.New("cannot be stored")

// quarantine sets an event aside with its raw bytes and the reason, so that it can be looked at and tried again; it is
// acknowledged, for the channel would deliver it for ever.
func (g *Ingester) quarantine(ctx context.Context, j *job, in channels.Inbound, cause error) error {
	raw, err := json.Marshal(in)
	if err != nil { // not even JSON: what it looks like is better than nothing
		raw = append(fmt.Appendf(nil, "%+v\n", in), in.Raw...)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Timeout)
	defer cancel()
	err = postgres.InTx(ctx, g.pool, func(tx pgx.Tx) error {
		key := storableKey(in.EventKey)
		if key == "" { // that alone is poison; the content stands in for the key, so that it is set aside once
			key = fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
		}
		if _, err := tx.Exec(ctx, `INSERT INTO external_ref (channel_id, kind, key) VALUES ($1, 'event', $2) ON CONFLICT DO NOTHING`, j.channel, key); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
INSERT INTO quarantine (channel_id, event_key, raw, error) VALUES ($1, $2, $3, $4)
ON CONFLICT (channel_id, event_key) DO UPDATE SET error = excluded.error, at = now(), resolved_at = NULL`,
			j.channel, key, raw, storable(cause.Error(), 2000))
		return err
	})
	if err != nil {
		return err
	}
	g.Poisoned.Add(1)
	g.log.Error("event set aside", "channel_id", j.channel, "event_key", in.EventKey, "err", cause)
	return nil
}

// Retry stores an event that was set aside, after whatever stood in its way was mended.
func (g *Ingester) Retry(ctx context.Context, channelID, quarantineID int64) error {
	var raw []byte
	var key string
	err := g.pool.QueryRow(ctx, `SELECT raw, event_key FROM quarantine WHERE id = $1 AND channel_id = $2 AND resolved_at IS NULL`, quarantineID, channelID).Scan(&raw, &key)
	if errors.Is(err, pgx.ErrNoRows) {
		return errs.New(errs.NotFound, "Nothing is set aside under that number")
	}
	if err != nil {
		return err
	}
	var in channels.Inbound
	if err := json.Unmarshal(raw, &in); err != nil {
		return errs.New(errs.Conflict, "This event cannot be read again: only its raw bytes are kept")
	}
	in.EventKey = key + "#retry" // the first key is taken by the acknowledgement
	if err := g.commit(ctx, []*job{{channel: channelID, batch: channels.Batch{Events: []channels.Inbound{in}}}}); err != nil {
		return errs.New(errs.Conflict, "It still cannot be stored: %v", err)
	}
	_, err = g.pool.Exec(ctx, `UPDATE quarantine SET resolved_at = now() WHERE id = $1`, quarantineID)
	return err
}

// keepLastEvents writes the time of each channel's last event every few seconds: in the ingest transaction itself all
// writers would queue up for the channel's row.
func (g *Ingester) keepLastEvents(ctx context.Context) {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.lastEvent.Range(func(k, v any) bool {
			g.lastEvent.CompareAndDelete(k, v)
			if _, err := g.pool.Exec(ctx, `UPDATE channel SET last_event_at = greatest(coalesce(last_event_at, $2), $2) WHERE id = $1`, k, v); err != nil && ctx.Err() == nil {
				g.log.Warn("last event time not kept", "channel_id", k, "err", err)
			}
			return true
		})
	}
}
