package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

// outRow is a claimed row of the outbox.
type outRow struct {
	client       uuid.UUID
	channel      int64
	conversation int64
	key          MessageKey
	op           channels.Op
	args         json.RawMessage
	attempts     int
	created      time.Time
}

// outcome is what became of a send.
type outcome struct {
	state       string // sent, failed, uncertain, or queued for another try
	reason      string
	providers   []string
	note        string
	wait        time.Duration // queued: how long
	uncounted   bool          // queued: the try does not count (the channel is down)
	unreachable bool
}

const (
	// the first row of each lane that may go now; a row in back-off holds its lane, one that was never tried and waits
	// for its time (undo, send later) does not
	claimOutboxSQL = `
WITH pick AS (
    SELECT client_id FROM (
        SELECT DISTINCT ON (conversation_id) client_id, not_before, seq FROM outbox o
        WHERE channel_id = $1 AND state = 'queued' AND (attempts > 0 OR not_before <= now()) AND conversation_id <> ALL ($3::bigint[])
          AND NOT EXISTS (SELECT 1 FROM outbox s WHERE s.conversation_id = o.conversation_id AND s.state = 'sending' AND s.channel_id = o.channel_id)
        ORDER BY conversation_id, seq) x
    WHERE not_before <= now() ORDER BY seq LIMIT $4)
UPDATE outbox o SET state = 'sending', attempts = attempts + 1, lease_epoch = $2 FROM pick WHERE o.client_id = pick.client_id AND o.state = 'queued'
RETURNING o.client_id, o.channel_id, o.conversation_id, o.message_at, o.message_id, o.op, o.args, o.attempts, o.created_at`
	insertSentRefSQL = `INSERT INTO external_ref (channel_id, kind, key, message_at, message_id) VALUES ($1, 'message', $2, $3, $4) ON CONFLICT DO NOTHING`
	soonestOutboxSQL = `SELECT extract(epoch FROM min(not_before) - now())::float8 FROM outbox WHERE channel_id = $1 AND state = 'queued' AND not_before > now()`
)

// claim marks up to n rows as sending, checked against the lease in the same transaction, and tells when the next one
// becomes due. Where the provider's id is known beforehand it is stored here, so that an answer finds its message
// whatever happens from now on.
func (d *Deliverer) claim(ctx context.Context, channelID, epoch int64, a channels.Adapter, busy []int64, n int) ([]outRow, time.Duration, error) {
	var out []outRow
	soon := lookEvery
	err := postgres.InTx(ctx, d.pool, func(tx pgx.Tx) error {
		out = nil
		if err := postgres.CheckLease(ctx, tx, fmt.Sprintf("channel:%d", channelID), epoch); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, claimOutboxSQL, channelID, epoch, busy, n)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (outRow, error) {
			var r outRow
			err := row.Scan(&r.client, &r.channel, &r.conversation, &r.key.At, &r.key.ID, &r.op, &r.args, &r.attempts, &r.created)
			return r, err
		})
		if err == nil {
			err = nameSends(ctx, tx, a, out)
		}
		if err != nil || len(out) == n {
			return err
		}
		var secs *float64
		if err := tx.QueryRow(ctx, soonestOutboxSQL, channelID).Scan(&secs); err != nil {
			return err
		}
		if secs != nil && *secs < soon.Seconds() {
			soon = max(time.Millisecond, time.Duration(*secs*float64(time.Second)))
		}
		return nil
	})
	return out, soon, err
}

func nameSends(ctx context.Context, tx pgx.Tx, a channels.Adapter, rows []outRow) error {
	namer, ok := a.(channels.Identifier)
	if !ok {
		return nil
	}
	b := &pgx.Batch{}
	for _, r := range rows {
		id := namer.ProviderID(r.client.String())
		if r.op != channels.OpSend || id == "" {
			continue
		}
		b.Queue(insertSentRefSQL, r.channel, storableKey(id), r.key.At, r.key.ID)
		b.Queue(`UPDATE message SET provider_id = $3 WHERE at = $1 AND id = $2 AND provider_id = ''`, r.key.At, r.key.ID, id)
	}
	if b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}

// send reads what is to be sent, as it is now, and hands it to the adapter.
func (d *Deliverer) send(ctx context.Context, a channels.Adapter, r outRow) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			d.log.Error("send panicked", "channel_id", r.channel, "message_id", r.key.ID, "panic", fmt.Sprint(p))
			out = outcome{state: "uncertain", reason: "The hub failed while sending. It may have arrived."}
		}
	}()
	m, err := d.read(ctx, r, a.Capabilities())
	if err != nil { // nothing has left the house yet
		return outcome{state: "queued", reason: "The message could not be read: " + err.Error(), wait: backoff(r.attempts)}
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	res, err := a.Send(sctx, m)
	if err == nil {
		return outcome{state: "sent", providers: res.ProviderIDs, note: res.Note}
	}
	return judge(err, r)
}

// judge turns an error of the adapter into what happens next.
func judge(err error, r outRow) outcome {
	var se *channels.SendError
	if !errors.As(err, &se) {
		return outcome{state: "uncertain", reason: "The channel gave no clear answer. It may have arrived."}
	}
	reason := se.Reason
	if reason == "" {
		reason = "The channel refused it."
	}
	switch se.Kind {
	case channels.Temporary:
		if time.Since(r.created) > giveUpAfter {
			return outcome{state: "failed", reason: "Tried for a day without success. Last: " + reason}
		}
		return outcome{state: "queued", reason: reason, wait: max(se.RetryAfter, backoff(r.attempts))}
	case channels.AccountDown:
		return outcome{state: "queued", reason: reason, wait: max(se.RetryAfter, 5*time.Second), uncounted: true}
	case channels.Permanent:
		return outcome{state: "failed", reason: reason}
	case channels.Unreachable:
		return outcome{state: "failed", reason: reason, unreachable: true}
	case channels.Uncertain:
	}
	if r.op != channels.OpSend { // saying it again does no harm
		return outcome{state: "queued", reason: reason, wait: backoff(r.attempts)}
	}
	return outcome{state: "uncertain", reason: reason}
}

const readOutboundSQL = `
SELECT c.chat, c.chat_data, m.text, m.html, m.subject, m.provider_id, coalesce(q.provider_id, ''), m.data, m.author_kind = 'system', c.subject
FROM message m JOIN conversation c ON c.id = $3
LEFT JOIN message q ON q.at = m.reply_to_at AND q.id = m.reply_to_id
WHERE m.at = $1 AND m.id = $2`

func (d *Deliverer) read(ctx context.Context, r outRow, caps channels.Capabilities) (channels.Outbound, error) {
	m := channels.Outbound{ClientID: r.client.String(), Op: r.op, Attempt: r.attempts, Conversation: strconv.FormatInt(r.conversation, 10)}
	var data []byte
	var subject string
	err := d.pool.QueryRow(ctx, readOutboundSQL, r.key.At, r.key.ID, r.conversation).
		Scan(&m.Chat, &m.ChatData, &m.Text, &m.HTML, &m.Subject, &m.TargetID, &m.ReplyTo, &data, &m.Automatic, &subject)
	if err != nil {
		return m, err
	}
	if caps.Subject && m.Subject == "" { // the hub's own words
		m.Subject = answerSubject(subject)
	}
	if caps.Recipients && r.op == channels.OpSend {
		if m.Recipients, err = recipientsOf(data); err != nil {
			return m, err
		}
		if m.References, err = d.references(ctx, r); err != nil {
			return m, err
		}
	}
	if r.op == channels.OpReact {
		var args struct {
			Emoji string `json:"emoji"`
		}
		if err := json.Unmarshal(r.args, &args); err != nil {
			return m, err
		}
		m.Emoji = args.Emoji
	}
	if r.op != channels.OpSend {
		return m, nil
	}
	m.TargetID = ""
	rows, err := d.pool.Query(ctx, `SELECT kind, name, type, size, content_id, blob FROM attachment WHERE message_id = $1 AND message_at = $2 ORDER BY position`, r.key.ID, r.key.At)
	if err != nil {
		return m, err
	}
	var f channels.File
	var key string
	_, err = pgx.ForEachRow(rows, []any{&f.Kind, &f.Name, &f.Type, &f.Size, &f.ContentID, &key}, func() error {
		file, blobKey := f, key
		file.Open = func(ctx context.Context) (io.ReadCloser, error) {
			rc, _, err := d.blobs.Open(ctx, blobKey)
			return rc, err
		}
		m.Files = append(m.Files, file)
		return nil
	})
	return m, err
}

// settle records what became of a row, on the outbox, the message and the spine, in one transaction. Doing it twice
// changes nothing.
func (d *Deliverer) settle(ctx context.Context, r outRow, out outcome) error {
	published := false
	err := postgres.InTx(ctx, d.pool, func(tx pgx.Tx) error {
		published = false
		if out.state == "queued" { // nobody drains the queue of a removed channel
			gone, err := channelGone(ctx, tx, r.channel)
			if err != nil {
				return err
			}
			if gone {
				out = outcome{state: "failed", reason: reasonRemoved}
			}
		}
		tag, err := tx.Exec(ctx, `
UPDATE outbox SET state = $2, error = $3, not_before = CASE WHEN $2 = 'queued' THEN now() + make_interval(secs => $4) ELSE not_before END,
    attempts = attempts - $5, done_at = CASE WHEN $2 = 'queued' THEN NULL ELSE now() END
WHERE client_id = $1 AND (state = 'sending' OR state = 'uncertain' AND error = $6)`, r.client, out.state, storable(out.reason, 1000), out.wait.Seconds(), b2i(out.uncounted && r.attempts > 1), reasonRemoved)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		published = true
		if err := settleMessage(ctx, tx, r, out); err != nil {
			return err
		}
		if out.unreachable {
			var identity int64
			if err := tx.QueryRow(ctx, `SELECT identity_id FROM conversation WHERE id = $1`, r.conversation).Scan(&identity); err != nil {
				return err
			}
			if err := crm.SetUnreachable(ctx, tx, identity, out.reason); err != nil {
				return err
			}
		}
		return publishMessage(ctx, tx, systemActor, r.key)
	})
	if err == nil && published {
		events.Wake(d.bus)
	}
	return err
}

const reasonRemoved = "The channel was removed."

// channelGone tells whether the channel was removed, and keeps it from being removed until the transaction ends: what is
// queued here is either refused, or found by the removal.
func channelGone(ctx context.Context, tx pgx.Tx, channel int64) (gone bool, err error) {
	err = tx.QueryRow(ctx, `SELECT deleted_at IS NOT NULL FROM channel WHERE id = $1 FOR SHARE`, channel).Scan(&gone)
	return gone, err
}

func settleMessage(ctx context.Context, tx pgx.Tx, r outRow, out outcome) error {
	note := out.reason
	if out.state == "sent" {
		note = out.note
	}
	if r.op != channels.OpSend {
		if out.state == "sent" {
			note = ""
		} else {
			note = "The change did not reach the customer yet: " + note
		}
		_, err := tx.Exec(ctx, `UPDATE message SET error = $3, version = version + 1 WHERE at = $1 AND id = $2`, r.key.At, r.key.ID, storable(note, 1000))
		return err
	}
	provider := ""
	if len(out.providers) > 0 {
		provider = out.providers[0]
	}
	// a receipt may have overtaken us: a status never goes back
	if _, err := tx.Exec(ctx, `
UPDATE message SET status = CASE WHEN status IN ('delivered', 'read') THEN status ELSE $3 END, error = $4,
    provider_id = CASE WHEN $5 = '' THEN provider_id ELSE $5 END, version = version + 1
WHERE at = $1 AND id = $2`, r.key.At, r.key.ID, out.state, storable(note, 1000), provider); err != nil {
		return err
	}
	for _, p := range out.providers {
		if p == "" {
			continue
		}
		if _, err := tx.Exec(ctx, insertSentRefSQL, r.channel, storableKey(p), r.key.At, r.key.ID); err != nil {
			return err
		}
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
