package inbox

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// Order of a timeline: (at, seq). Both never change, so a cursor stays right whatever comes in. The bound on at alone
// lets the planner leave out the months that cannot hold a row.
const (
	timelineBeforeSQL = `SELECT ` + messageColumns + ` FROM message m
WHERE m.conversation_id = $1 AND m.at <= $2 AND (m.at, m.seq) < ($2, $3) ORDER BY m.at DESC, m.seq DESC LIMIT $4`

	timelineAfterSQL = `SELECT ` + messageColumns + ` FROM message m
WHERE m.conversation_id = $1 AND m.at >= $2 AND (m.at, m.seq) > ($2, $3) ORDER BY m.at, m.seq LIMIT $4`

	contactBeforeSQL = `SELECT ` + messageColumns + ` FROM unnest($1::bigint[]) k (id) CROSS JOIN LATERAL (
	SELECT m.* FROM message m WHERE m.conversation_id = k.id AND m.at <= $2 AND (m.at, m.seq) < ($2, $3)
	ORDER BY m.at DESC, m.seq DESC LIMIT $4) m ORDER BY m.at DESC, m.seq DESC LIMIT $4`

	contactAfterSQL = `SELECT ` + messageColumns + ` FROM unnest($1::bigint[]) k (id) CROSS JOIN LATERAL (
	SELECT m.* FROM message m WHERE m.conversation_id = k.id AND m.at >= $2 AND (m.at, m.seq) > ($2, $3)
	ORDER BY m.at, m.seq LIMIT $4) m ORDER BY m.at, m.seq LIMIT $4`

	seesConversationSQL = `SELECT 1 FROM conversation c WHERE c.id = $4 AND ` + visibleSQL

	seesContactSQL = `SELECT c.id FROM conversation c WHERE c.contact_id = $4 AND ` + visibleSQL + ` ORDER BY c.id`

	// from the newest end: what is looked for is nearly always near it
	findMessageSQL = `SELECT m.at, m.seq FROM message m WHERE m.conversation_id = $1 AND m.id = $2
ORDER BY m.at DESC, m.seq DESC LIMIT 1`
)

// TimelineQuery asks for a piece of a timeline: the newest items, those before or after a place, or those around one.
// Around also takes a message's id.
type TimelineQuery struct {
	Before, After, Around string
	Limit                 int // 0 = 50
}

// Timeline is a piece of a timeline, oldest first. Prev leads to older items, Next to newer ones; nil = there are none.
type Timeline struct {
	Items []Item  `json:"items" nullable:"false"`
	Prev  *string `json:"prev_cursor"`
	Next  *string `json:"next_cursor"`
}

// place is a point between items.
type place struct {
	at  time.Time
	seq int64
}

func (p place) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", p.at.UnixMicro(), p.seq))
}

func placeOf(m *messageRow) place { return place{m.At, int64(m.Seq)} }

// end is after everything: message times are never later than now.
func end() place { return place{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 1<<63 - 1} }

// Timeline shows one conversation.
func (d *Desk) Timeline(ctx context.Context, a staff.Access, conversation ids.ID, q TimelineQuery) (Timeline, error) {
	if err := d.sees(ctx, a, conversation); err != nil {
		return Timeline{}, err
	}
	return d.timeline(ctx, thread{keys: []int64{int64(conversation)}}, q)
}

// ContactTimeline shows a person's timeline over all conversations that the caller may see. A contact without any is an
// empty timeline: contacts themselves are everybody's.
func (d *Desk) ContactTimeline(ctx context.Context, a staff.Access, contact ids.ID, q TimelineQuery) (Timeline, error) {
	rows, err := d.pool.Query(ctx, seesContactSQL, who(a, int64(contact))...)
	if err != nil {
		return Timeline{}, fmt.Errorf("timeline of contact %s: %w", contact, err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return Timeline{}, fmt.Errorf("timeline of contact %s: %w", contact, err)
	}
	return d.timeline(ctx, thread{keys: keys, many: true}, q)
}

// sees refuses a conversation that is not the caller's to see.
func (d *Desk) sees(ctx context.Context, a staff.Access, conversation ids.ID) error {
	var one int
	err := d.pool.QueryRow(ctx, seesConversationSQL, who(a, int64(conversation))...).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return noConversation()
	}
	if err != nil {
		return fmt.Errorf("look at conversation %s: %w", conversation, err)
	}
	return nil
}

// thread is what a timeline runs over: conversations that the caller was found to see.
type thread struct {
	keys []int64
	many bool
}

func (t thread) arg() any {
	if t.many {
		return t.keys
	}
	return t.keys[0]
}

func (t thread) sql(newer bool) string {
	switch {
	case t.many && newer:
		return contactAfterSQL
	case t.many:
		return contactBeforeSQL
	case newer:
		return timelineAfterSQL
	}
	return timelineBeforeSQL
}

func (d *Desk) timeline(ctx context.Context, t thread, q TimelineQuery) (Timeline, error) {
	q, from, err := d.checkTimeline(ctx, t, q)
	if err != nil || len(t.keys) == 0 {
		return Timeline{Items: []Item{}}, err
	}
	var msgs []messageRow
	var older, newer bool // more of them
	switch {
	case q.After != "":
		if msgs, newer, err = d.readTimeline(ctx, t, true, from, q.Limit); err != nil {
			return Timeline{}, err
		}
		older = true // at least what the cursor was made from
	case q.Around != "":
		// the item itself belongs to the older half
		half := q.Limit / 2
		var tail []messageRow
		msgs, older, err = d.readTimeline(ctx, t, false, place{from.at, from.seq + 1}, q.Limit-half)
		if err == nil {
			tail, newer, err = d.readTimeline(ctx, t, true, from, half)
		}
		if err != nil {
			return Timeline{}, err
		}
		slices.Reverse(msgs)
		msgs = append(msgs, tail...)
	default:
		if msgs, older, err = d.readTimeline(ctx, t, false, from, q.Limit); err != nil {
			return Timeline{}, err
		}
		slices.Reverse(msgs)
		newer = q.Before != ""
	}
	items, err := dressItems(ctx, d.pool, msgs)
	if err != nil {
		return Timeline{}, err
	}
	for i := range items {
		clipText(&items[i])
	}
	out := Timeline{Items: items}
	if older && len(msgs) > 0 {
		s := placeOf(&msgs[0]).String()
		out.Prev = &s
	}
	if newer && len(msgs) > 0 {
		s := placeOf(&msgs[len(msgs)-1]).String()
		out.Next = &s
	}
	return out, nil
}

// readTimeline reads up to limit rows from a place on, in the order of reading, and whether there are more.
func (d *Desk) readTimeline(ctx context.Context, t thread, newer bool, from place, limit int) ([]messageRow, bool, error) {
	rows, err := d.pool.Query(ctx, t.sql(newer), t.arg(), from.at, from.seq, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("read timeline: %w", err)
	}
	msgs, err := pgx.CollectRows(rows, scanMessage)
	if err != nil {
		return nil, false, fmt.Errorf("read timeline: %w", err)
	}
	if len(msgs) > limit {
		return msgs[:limit], true, nil
	}
	return msgs, false, nil
}

func (d *Desk) checkTimeline(ctx context.Context, t thread, q TimelineQuery) (TimelineQuery, place, error) {
	if q.Limit == 0 {
		q.Limit = defaultPage
	}
	if q.Limit < 1 || q.Limit > maxPage {
		return q, place{}, errs.Field("query.limit", "must be between 1 and %d", maxPage)
	}
	field, text, given := "", "", 0
	for _, f := range []struct{ name, value string }{{"before", q.Before}, {"after", q.After}, {"around", q.Around}} {
		if f.value != "" {
			field, text = f.name, f.value
			given++
		}
	}
	switch {
	case given == 0:
		return q, end(), nil
	case given > 1:
		return q, place{}, errs.Field("query."+field, "before, after and around exclude each other")
	}
	if id, err := uuid.Parse(text); err == nil && field == "around" {
		at, err := d.findPlace(ctx, t.keys, id)
		return q, at, err
	}
	at, seq, err := parsePair(text)
	if err != nil {
		return q, place{}, errs.Field("query."+field, "is not a cursor of this timeline")
	}
	return q, place{time.UnixMicro(at).UTC(), seq}, nil
}

func (d *Desk) findPlace(ctx context.Context, conversations []int64, id uuid.UUID) (place, error) {
	for _, c := range conversations {
		var p place
		err := d.pool.QueryRow(ctx, findMessageSQL, c, id).Scan(&p.at, &p.seq)
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return p, fmt.Errorf("find message %s: %w", id, err)
		}
	}
	return place{}, noMessage()
}
