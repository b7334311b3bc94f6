package inbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	fetchAtOnce   = 4
	fetchTimeout  = 5 * time.Minute
	fetchAttempts = 12 // with the back-off, some hours
)

type pendingFile struct {
	ID       uuid.UUID
	At       time.Time
	Message  uuid.UUID
	Kind     string
	Name     string
	Type     string
	Ref      json.RawMessage
	Attempts int
}

// Fetch brings the media of one channel into the house until ctx ends; the caller holds the channel's lease. A file that
// does not come is tried again with a growing pause, then shown as failed; one that the provider no longer has is shown
// as expired. The message is there all the time.
func (f *Files) Fetch(ctx context.Context, channelID int64, a channels.Adapter) {
	hint := make(chan struct{}, 1)
	stop, err := f.bus.Subscribe(subjectMedia+fmt.Sprint(channelID), func(string, []byte) {
		select {
		case hint <- struct{}{}:
		default:
		}
	})
	if err == nil {
		defer stop()
	}
	// One that takes long holds back only itself: as soon as one is through, the next begins.
	flying := map[uuid.UUID]bool{}
	landed := make(chan uuid.UUID, fetchAtOnce)
	defer func() {
		for range flying {
			<-landed
		}
	}()
	for {
		files, err := f.pending(ctx, channelID, slices.Collect(maps.Keys(flying)))
		if err != nil && ctx.Err() == nil {
			f.log.WarnContext(ctx, "read pending files", "channel_id", channelID, "err", err)
		}
		for _, p := range files {
			flying[p.ID] = true
			go func() {
				defer func() { landed <- p.ID }()
				f.fetchOne(ctx, channelID, a, p)
			}()
		}
		look := time.NewTimer(lookEvery)
		wake := hint
		if len(flying) == fetchAtOnce {
			wake = nil
		}
		select {
		case <-ctx.Done():
			look.Stop()
			return
		case id := <-landed:
			delete(flying, id)
		case <-wake:
		case <-look.C:
		}
		look.Stop()
	}
}

// pending reads what is due and not being fetched, as many as there is room for.
func (f *Files) pending(ctx context.Context, channelID int64, flying []uuid.UUID) ([]pendingFile, error) {
	if len(flying) == fetchAtOnce {
		return nil, nil
	}
	rows, err := f.pool.Query(ctx, `
SELECT id, message_at, message_id, kind, name, type, ref, attempts FROM attachment
WHERE channel_id = $1 AND state = 'pending' AND not_before <= now() AND message_id IS NOT NULL AND id <> ALL ($2::uuid[])
ORDER BY not_before, id LIMIT $3`, channelID, append([]uuid.UUID{}, flying...), fetchAtOnce-len(flying)) // never NULL
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[pendingFile])
}

func (f *Files) fetchOne(ctx context.Context, channelID int64, a channels.Adapter, p pendingFile) {
	info, key, size, err := f.download(ctx, a, p)
	if ctx.Err() != nil {
		return // another owner does it, or we later
	}
	state, reason, wait := "ok", "", time.Duration(0)
	look := looked{typ: p.Type, kind: p.Kind}
	if err == nil {
		err = f.scan(ctx, key)
	}
	if err == nil {
		var seen looked
		if seen, err = f.look(ctx, key, cmp.Or(info.Type, p.Type), cmp.Or(info.Name, p.Name)); err == nil {
			look = seen
		}
	}
	var bad infected
	switch {
	case err == nil:
	case errors.As(err, &bad):
		state, reason = "failed", fmt.Sprintf("The virus scanner found %s in this file.", bad.what)
	case errors.Is(err, errScanTooLarge):
		state, reason = "failed", "The file is too large for the virus scanner."
	case errors.Is(err, channels.ErrMediaGone):
		state, reason = "expired", "The channel no longer has this file."
	case errors.Is(err, blob.ErrTooLarge):
		state, reason = "failed", fmt.Sprintf("The file is larger than %d MB.", maxFetch>>20)
	case p.Attempts+1 >= fetchAttempts:
		state, reason = "failed", "The channel did not give the file out, or the virus scanner did not answer."
	default:
		state, wait = "pending", backoff(p.Attempts+1)
	}
	if err != nil {
		f.log.WarnContext(ctx, "fetch file", "channel_id", channelID, "message_id", p.Message, "attempt", p.Attempts+1, "state", state, "err", err)
	}
	if err := f.fetched(ctx, p, info, key, size, look, state, reason, wait); err != nil && ctx.Err() == nil {
		f.log.ErrorContext(ctx, "record fetched file", "channel_id", channelID, "message_id", p.Message, "err", err)
		pause(ctx, lookEvery) // it is due still: the provider is not asked again and again without a breath
	}
}

// download streams the file into the store; nothing of it is held in memory.
func (f *Files) download(ctx context.Context, a channels.Adapter, p pendingFile) (info channels.MediaInfo, key string, size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	pr, pw := io.Pipe()
	done := make(chan struct{})
	var ferr error
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				ferr = fmt.Errorf("fetch panicked: %v", p)
			}
			_ = pw.CloseWithError(ferr)
		}()
		info, ferr = f.give(ctx, a, p, pw)
	}()
	key, size, err = f.store.Put(ctx, pr, maxFetch)
	_ = pr.CloseWithError(err)
	<-done
	if ferr != nil && !errors.Is(err, blob.ErrTooLarge) {
		err = ferr
	}
	return info, key, size, err
}

// give writes the file to w: out of the message's own bytes where it stands in them and they were kept, else as the
// channel gives it.
func (f *Files) give(ctx context.Context, a channels.Adapter, p pendingFile, w io.Writer) (channels.MediaInfo, error) {
	if r, ok := a.(channels.RawReader); ok {
		var raw []byte
		err := f.pool.QueryRow(ctx, getRawSQL, p.At, p.Message).Scan(&raw)
		if err == nil {
			return r.MediaFromRaw(raw, p.Ref, w)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return channels.MediaInfo{}, err
		}
	}
	return a.FetchMedia(ctx, p.Ref, w)
}

func (f *Files) fetched(ctx context.Context, p pendingFile, info channels.MediaInfo, key string, size int64, l looked, state, reason string, wait time.Duration) error {
	kind := p.Kind
	if kind == "photo" && l.kind != "photo" {
		kind = "document"
	}
	if state != "ok" {
		key = ""
	}
	err := postgres.InTx(ctx, f.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
UPDATE attachment SET state = $2, error = $3, blob = $4, preview = $5, kind = $6, type = $7, name = CASE WHEN name = '' THEN $8 ELSE name END,
    size = CASE WHEN $9 > 0 THEN $9 ELSE size END, width = CASE WHEN $10 > 0 THEN $10 ELSE width END, height = CASE WHEN $11 > 0 THEN $11 ELSE height END,
    attempts = attempts + 1, not_before = now() + make_interval(secs => $12)
WHERE id = $1 AND state = 'pending'`, p.ID, state, reason, key, l.preview, kind, l.typ, fileNameOrNone(info.Name), size, l.width, l.height, wait.Seconds())
		if err != nil || tag.RowsAffected() == 0 || state == "pending" {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE message SET version = version + 1 WHERE at = $1 AND id = $2`, p.At, p.Message); err != nil {
			return err
		}
		return publishMessage(ctx, tx, systemActor, MessageKey{p.At, p.Message})
	})
	if err == nil {
		events.Wake(f.bus)
	}
	return err
}

func fileNameOrNone(s string) string {
	if s == "" {
		return ""
	}
	return fileName(s)
}
