package inbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	readChannelsSQL = `
SELECT c.id, c.kind, c.team_id, c.pipeline_id, c.region, c.reopen_days, c.sample, coalesce(t.sticky, true)
FROM channel c LEFT JOIN team t ON t.id = c.team_id WHERE c.id = ANY ($1::bigint[]) AND c.deleted_at IS NULL`
	claimRefsSQL = `
INSERT INTO external_ref (channel_id, kind, key, message_at, message_id)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::uuid[])
ON CONFLICT (channel_id, kind, key) DO NOTHING RETURNING channel_id, kind, key`
	findRefsSQL = `
SELECT channel_id, key, message_at, message_id FROM external_ref
WHERE kind = 'message' AND message_id IS NOT NULL AND (channel_id, key) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))`
)

// freshWithin: what arrives this soon after the provider's time gets the time of arrival, which is finer than the whole
// seconds that providers give and keeps question and answer in their order.
const freshWithin = 3 * time.Second

type refRow struct {
	channel int64
	kind    string
	key     string
	at      *time.Time
	id      *uuid.UUID
	event   *inEvent
}

// claim takes the keys of all deliveries and messages, sorted, on conflict do nothing: a rival's claim is waited for,
// and what is taken already needs nothing more than an acknowledgement.
func (r *ingestRun) claim(ctx context.Context, tx pgx.Tx) error {
	now := r.g.now().Truncate(time.Microsecond)
	refs := r.refs(now)
	var ch []int64
	var kinds, keys []string
	var ats []*time.Time
	var ids []*uuid.UUID
	for _, x := range refs {
		ch, kinds, keys, ats, ids = append(ch, x.channel), append(kinds, x.kind), append(keys, x.key), append(ats, x.at), append(ids, x.id)
	}
	taken := map[refRow]bool{}
	b := &pgx.Batch{}
	b.Queue(readChannelsSQL, r.channelIDs()).Query(func(rows pgx.Rows) error {
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[channelRow])
		for _, c := range list {
			r.channels[c.ID] = c
		}
		return err
	})
	if len(refs) > 0 {
		b.Queue(claimRefsSQL, ch, kinds, keys, ats, ids).Query(func(rows pgx.Rows) error {
			var x refRow
			_, err := pgx.ForEachRow(rows, []any{&x.channel, &x.kind, &x.key}, func() error {
				taken[refRow{channel: x.channel, kind: x.kind, key: x.key}] = true
				return nil
			})
			return err
		})
	}
	r.queueTargets(b)
	for _, j := range r.jobs {
		if j.epoch > 0 {
			if err := postgres.CheckLease(ctx, tx, fmt.Sprintf("channel:%d", j.channel), j.epoch); err != nil {
				return err
			}
		}
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	for _, x := range refs {
		mine := taken[refRow{channel: x.channel, kind: x.kind, key: x.key}]
		if x.kind == "event" {
			x.event.fresh = mine
		} else if mine {
			x.event.first = true
		}
	}
	if err := r.releaseKeys(ctx, tx, refs); err != nil {
		return err
	}
	for _, e := range r.all {
		c, ok := r.channels[e.job.channel]
		if !ok {
			return errs.New(errs.NotFound, "Channel %d is gone", e.job.channel)
		}
		e.ch = c
		if _, keyed := e.messageKey(); !keyed && e.ProviderID == "" && e.Kind != channels.Edit {
			e.first = true
		}
		if k := (refKey{c.ID, e.ProviderID}); e.fresh && e.first && e.ProviderID != "" { // replies within the batch find it
			if _, known := r.targets[k]; !known || e.Fingerprint == "" {
				r.targets[k] = MessageKey{e.at, e.id}
			}
		}
	}
	return r.claimUnseenEdits(ctx, tx)
}

// releaseKeys gives up the message keys that came with a delivery seen before: one that was set aside holds its event key
// and has no message. Kept, such a key would stand for a message that nobody stored, and the retry would store none.
func (r *ingestRun) releaseKeys(ctx context.Context, tx pgx.Tx, refs []refRow) error {
	for _, x := range refs {
		if x.kind != "message" || !x.event.first || x.event.fresh {
			continue
		}
		x.event.first = false
		if i := slices.IndexFunc(r.all, func(e *inEvent) bool {
			k, keyed := e.messageKey()
			return e.fresh && !e.first && keyed && k == refKey{x.channel, x.key}
		}); i >= 0 { // another delivery of the batch carries the message
			e := r.all[i]
			e.first, e.at, e.id = true, *x.at, *x.id
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM external_ref WHERE channel_id = $1 AND kind = 'message' AND key = $2 AND message_id = $3`, x.channel, x.key, *x.id); err != nil {
			return err
		}
		delete(r.targets, refKey{x.channel, x.key})
	}
	return nil
}

// claimUnseenEdits makes a message of an edit whose message never reached us: what the customer says now is shown.
func (r *ingestRun) claimUnseenEdits(ctx context.Context, tx pgx.Tx) error {
	for _, e := range r.all {
		k := refKey{e.ch.ID, e.TargetID}
		if _, known := r.targets[k]; e.Kind != channels.Edit || !e.fresh || e.TargetID == "" || known {
			continue
		}
		tag, err := tx.Exec(ctx, `INSERT INTO external_ref (channel_id, kind, key, message_at, message_id) VALUES ($1, 'message', $2, $3, $4) ON CONFLICT DO NOTHING`,
			e.ch.ID, e.TargetID, e.at, e.id)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 { // it arrives at this very moment
			return errRival
		}
		e.first, e.ProviderID = true, e.TargetID
		r.targets[k] = MessageKey{e.at, e.id}
	}
	return nil
}

// refs lists the keys to claim in their order, each once: of two equal deliveries in one batch the first counts.
func (r *ingestRun) refs(now time.Time) []refRow {
	seen := map[refRow]bool{}
	var refs []refRow
	add := func(x refRow) {
		k := refRow{channel: x.channel, kind: x.kind, key: x.key}
		if !seen[k] {
			seen[k] = true
			refs = append(refs, x)
		}
	}
	for i, e := range r.all {
		e.at = e.At.UTC().Truncate(time.Microsecond)
		if e.At.IsZero() || e.at.After(now) || now.Sub(e.at) < freshWithin {
			e.at = now.Add(time.Duration(i) * time.Microsecond)
		}
		e.id = newMessageID()
		add(refRow{channel: e.job.channel, kind: "event", key: e.EventKey, event: e})
		if k, keyed := e.messageKey(); keyed {
			at, id := e.at, e.id
			add(refRow{channel: k.channel, kind: "message", key: k.key, at: &at, id: &id, event: e})
		}
	}
	sort.Slice(refs, func(i, j int) bool {
		a, b := refs[i], refs[j]
		if a.channel != b.channel {
			return a.channel < b.channel
		}
		if a.kind != b.kind {
			return a.kind < b.kind
		}
		return a.key < b.key
	})
	return refs
}

// queueTargets looks up the messages that replies, edits, reactions and statuses point at, and those that another
// delivery brought before.
func (r *ingestRun) queueTargets(b *pgx.Batch) {
	var ch []int64
	var keys []string
	for _, e := range r.all {
		for _, k := range append([]string{e.ReplyTo, e.TargetID}, e.References...) {
			if k != "" {
				ch, keys = append(ch, e.job.channel), append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		return
	}
	b.Queue(findRefsSQL, ch, keys).Query(func(rows pgx.Rows) error {
		var k refKey
		var m MessageKey
		_, err := pgx.ForEachRow(rows, []any{&k.channel, &k.key, &m.At, &m.ID}, func() error {
			m.At = m.At.UTC()
			r.targets[k] = m
			return nil
		})
		return err
	})
}

func (r *ingestRun) channelIDs() []int64 {
	seen := map[int64]bool{}
	var out []int64
	for _, j := range r.jobs {
		if !seen[j.channel] {
			seen[j.channel] = true
			out = append(out, j.channel)
		}
	}
	return out
}

// newMessageID is a UUIDv7: it leaves the system, and time order keeps the index small.
func newMessageID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// The limits of what one event may carry; what is longer is cut, and the raw bytes are kept.
const (
	maxText    = 1 << 20 // bytes
	maxHTML    = 1 << 20
	maxSubject = 1000
	maxData    = 16 << 10 // a message to many names them
	maxMedia   = 50
	maxKey     = 512

	maxChatData   = 2 << 10
	maxReferences = 50
)

// storableInbound makes every string of an event fit for Postgres (valid UTF-8, no NUL) and bounded.
func storableInbound(in channels.Inbound) channels.Inbound {
	in.EventKey, in.ProviderID, in.TargetID = storableKey(in.EventKey), storableKey(in.ProviderID), storableKey(in.TargetID)
	in.Chat, in.Thread, in.ReplyTo, in.Album = storable(in.Chat, maxKey), storableKey(in.Thread), storableKey(in.ReplyTo), storable(in.Album, maxKey)
	in.Content, in.Subject = storable(in.Content, 32), storable(in.Subject, maxSubject)
	in.Text, in.HTML = storable(in.Text, maxText), storable(in.HTML, maxHTML)
	in.Sender = storablePerson(in.Sender)
	if in.Group != nil {
		p := storablePerson(*in.Group)
		in.Group = &p
	}
	if in.Content == "" {
		in.Content = "text"
	}
	in.References, in.Recipients = storableKeys(in.References, maxReferences), storableRecipients(in.Recipients)
	in.Conversation, in.Fingerprint = storable(in.Conversation, 20), storable(in.Fingerprint, 128)
	in.Data = storableJSON(in.Data, maxData)
	in.ChatData = storableJSON(in.ChatData, maxChatData)
	if len(in.Media) > maxMedia {
		in.Media = in.Media[:maxMedia]
	}
	if len(in.Attribution) > 20 {
		in.Attribution = map[string]string{"cut": "too many values"}
	}
	attr := make(map[string]string, len(in.Attribution))
	for k, v := range in.Attribution {
		attr[storable(k, 64)] = storable(v, 256)
	}
	in.Attribution = attr
	return in
}

func storablePerson(p channels.Person) channels.Person {
	p.Name, p.Username, p.Language = storable(p.Name, 800), storable(p.Username, 200), storable(p.Language, 35)
	if len(p.Identities) > 10 {
		p.Identities = p.Identities[:10]
	}
	return p
}

// storable drops what Postgres cannot hold and cuts to at most n bytes, at a character.
func storable(s string, n int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// storableKey is storable for what tells two things apart: of a long one the end becomes its hash, so that keys with a
// long common beginning stay two.
func storableKey(s string) string {
	if len(s) <= maxKey {
		return storable(s, maxKey)
	}
	hash := sha256.Sum256([]byte(s))
	return storable(s, maxKey-2*len(hash)) + hex.EncodeToString(hash[:])
}

// storableJSON keeps data that is a small JSON document without the one escape that jsonb refuses; anything else is {}.
func storableJSON(b []byte, n int) []byte {
	if len(b) == 0 || len(b) > n || !json.Valid(b) || strings.Contains(string(b), `\u0000`) {
		return []byte(`{}`)
	}
	return b
}

var errRival = errs.Temporary(errors.New("another writer opened the same conversation"))
