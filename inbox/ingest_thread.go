package inbox

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
)

const (
	// the conversations that a message says it belongs to, nearest first; whoever takes no part there is told apart
	threadsSQL = `
SELECT k.n, c.id, c.thread_key, c.contact_id = k.contact OR EXISTS (
    SELECT 1 FROM participant p WHERE p.conversation_id = c.id AND p.identity_id = k.identity)
FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
    AS k (n, rank, at, id, conversation, contact, identity, channel)
LEFT JOIN message m ON m.at = k.at AND m.id = k.id
JOIN conversation c ON c.id = coalesce(m.conversation_id, k.conversation) AND c.channel_id = k.channel AND c.thread_key IS NOT NULL
ORDER BY k.n, k.rank`
	// addresses of our own are nobody's contact
	ownAddressesSQL = `SELECT DISTINCT lower(settings->>'address') FROM channel WHERE deleted_at IS NULL AND settings ? 'address'`
	copiedSQL       = `
UPDATE message m SET data = jsonb_set(m.data, '{email,copies}', coalesce(m.data#>'{email,copies}', '[]') || to_jsonb($3::text)), version = m.version + 1
FROM conversation c WHERE m.at = $1 AND m.id = $2 AND c.id = m.conversation_id AND c.channel_id <> $4
  AND m.data ? 'email' AND NOT coalesce(m.data#>'{email,copies}', '[]') ? $3::text`
)

// anyChannel is where the keys stand of what may come through several channels; no channel has this id.
const anyChannel = 0

// maxTakingPart is how many of the recipients of one message become participants.
const maxTakingPart = 20

// messageKey is the key that makes the event's message unique: its content where the channel tells copies by that, else
// the provider's id.
func (e *inEvent) messageKey() (refKey, bool) {
	switch {
	case e.Kind != channels.Message && e.Kind != channels.Undecryptable && e.Kind != channels.Membership:
		return refKey{}, false
	case e.Fingerprint != "":
		return refKey{anyChannel, "content:" + e.Fingerprint}, true
	case e.ProviderID != "":
		return refKey{e.job.channel, e.ProviderID}, true
	}
	return refKey{}, false
}

// takingPart are the claims of those who are named as recipients, so that they take part in the conversation.
func (r *ingestRun) takingPart(ctx context.Context, tx pgx.Tx, claims []crm.Claim) ([]crm.Claim, error) {
	var own map[string]bool
	for _, e := range r.all {
		if !e.first || !e.carriesMessage() || e.Automatic || e.Group != nil || len(e.Recipients) == 0 {
			continue
		}
		if own == nil {
			var err error
			if own, err = ownAddresses(ctx, tx); err != nil {
				return nil, err
			}
		}
		for _, p := range e.Recipients {
			if p.Role != "to" && p.Role != "cc" || len(e.others) == maxTakingPart || isOwnAddress(own, p.Address) {
				continue
			}
			c := r.claimOf(e, channels.Person{Name: p.Name, Identities: []channels.Identity{{Kind: crm.KindEmail, Value: p.Address}}}, false)
			if c.Addresses[0].Kind != crm.KindEmail {
				continue
			}
			c.Attribution = nil
			e.others = append(e.others, len(claims))
			claims = append(claims, c)
		}
	}
	return claims, nil
}

func ownAddresses(ctx context.Context, tx pgx.Tx) (map[string]bool, error) {
	rows, err := tx.Query(ctx, ownAddressesSQL)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	own := make(map[string]bool, len(list))
	for _, a := range list {
		own[a] = true
	}
	return own, err
}

// isOwnAddress also knows ours with something after a plus.
func isOwnAddress(own map[string]bool, address string) bool {
	address = strings.ToLower(address)
	if at := strings.LastIndexByte(address, '@'); at > 0 {
		local, _, _ := strings.Cut(address[:at], "+")
		return own[address] || own[local+address[at:]]
	}
	return own[address]
}

// findThreads puts messages that say to which earlier ones they belong into the conversation of those, if their sender
// takes part there. A stranger who knows an id or a token gets a conversation of his own, which remembers the other.
func (r *ingestRun) findThreads(ctx context.Context, tx pgx.Tx) error {
	var n, rank []int32
	var at []*time.Time
	var id []*uuid.UUID
	var conv []*int64
	var contact, identity, channel []int64
	add := func(i int, e *inEvent, key *MessageKey, conversation *int64) {
		n, rank = append(n, int32(i)), append(rank, int32(len(rank)))
		var t *time.Time
		var u *uuid.UUID
		if key != nil {
			t, u = &key.At, &key.ID
		}
		at, id, conv = append(at, t), append(id, u), append(conv, conversation)
		contact, identity, channel = append(contact, e.person.ContactID), append(identity, e.person.IdentityID), append(channel, e.ch.ID)
	}
	for i, e := range r.all {
		if !e.first || !e.carriesMessage() {
			continue
		}
		if c, err := strconv.ParseInt(e.Conversation, 10, 64); err == nil && c > 0 {
			add(i, e, nil, &c)
		}
		for _, ref := range e.References {
			if key, ok := r.targets[refKey{e.ch.ID, ref}]; ok {
				add(i, e, &key, nil)
			}
		}
	}
	if len(n) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, threadsSQL, n, rank, at, id, conv, contact, identity, channel)
	if err != nil {
		return err
	}
	found := map[int]bool{}
	var no int32
	var c int64
	var thread string
	var takesPart bool
	_, err = pgx.ForEachRow(rows, []any{&no, &c, &thread, &takesPart}, func() error {
		e := r.all[no]
		switch {
		case found[int(no)]:
		case takesPart:
			e.Thread, found[int(no)], e.stranger = thread, true, 0
		case e.stranger == 0:
			e.stranger = c
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.threadsOfBatch(found)
	return nil
}

// threadsOfBatch follows references to messages that come with the same batch and are in no table yet.
func (r *ingestRun) threadsOfBatch(found map[int]bool) {
	byID := map[uuid.UUID]*inEvent{}
	for i, e := range r.all {
		if !e.first || !e.carriesMessage() {
			continue
		}
		for _, ref := range e.References {
			earlier := byID[r.targets[refKey{e.ch.ID, ref}].ID]
			if found[i] || earlier == nil || earlier.ch.ID != e.ch.ID {
				continue
			}
			takesPart := earlier.person.ContactID == e.person.ContactID
			for _, o := range earlier.with {
				takesPart = takesPart || o == e.person.IdentityID
			}
			if takesPart {
				e.Thread, found[i], e.stranger = earlier.Thread, true, 0
			}
		}
		byID[e.id] = e
	}
}

// queueAliases lets later messages find those of this run by the provider's id, where that alone does not make them
// unique: of several with one id the first is found.
func (r *ingestRun) queueAliases(b *pgx.Batch) {
	var ch []int64
	var kinds, keys []string
	var ats []*time.Time
	var ids []*uuid.UUID
	for _, e := range r.all {
		if e.Fingerprint == "" || e.ProviderID == "" || !e.first || !e.carriesMessage() {
			continue
		}
		ch, kinds, keys = append(ch, e.ch.ID), append(kinds, "message"), append(keys, e.ProviderID)
		ats, ids = append(ats, &e.at), append(ids, &e.id)
	}
	if len(ch) > 0 {
		b.Queue(claimRefsSQL, ch, kinds, keys, ats, ids)
	}
}

// copied notes on a message that it came through another channel as well.
func (r *ingestRun) copied(ctx context.Context, tx pgx.Tx, e *inEvent) error {
	k, _ := e.messageKey()
	var key MessageKey
	err := tx.QueryRow(ctx, `SELECT message_at, message_id FROM external_ref WHERE channel_id = $1 AND kind = 'message' AND key = $2`, k.channel, k.key).Scan(&key.At, &key.ID)
	if err != nil {
		return errs.Temporary(err)
	}
	changed, err := execChanged(ctx, tx, copiedSQL, key.At, key.ID, strconv.FormatInt(e.ch.ID, 10), e.ch.ID)
	if err != nil || !changed {
		return err
	}
	return publishMessage(ctx, tx, systemActor, key)
}

// storableRecipients bounds what a message names.
func storableRecipients(list []channels.Recipient) []channels.Recipient {
	list = list[:min(len(list), 2*maxTakingPart*10)]
	out := make([]channels.Recipient, len(list))
	for i, p := range list {
		out[i] = channels.Recipient{Role: storable(p.Role, 10), Name: storable(p.Name, 400), Address: storable(p.Address, 320)}
	}
	return out
}

func storableKeys(list []string, n int) []string {
	list = list[:min(len(list), n)]
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = storableKey(s)
	}
	return out
}
