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
// lets the planner leave out the months that cannot hold a row. The page is cut first and dressed then, in one statement
// with the look at who may see it. $4 is the conversation, or the contact.
const (
	timelineBeforeSQL = `SELECT ` + messageColumns + ` FROM (SELECT m.* FROM message m
	WHERE m.conversation_id = $4 AND m.at <= $5 AND (m.at, m.seq) < ($5, $6) ORDER BY m.at DESC, m.seq DESC LIMIT $7) m` +
		messageJoins + ` WHERE ` + visibleSQL + ` ORDER BY m.at DESC, m.seq DESC`

	timelineAfterSQL = `SELECT ` + messageColumns + ` FROM (SELECT m.* FROM message m
	WHERE m.conversation_id = $4 AND m.at >= $5 AND (m.at, m.seq) > ($5, $6) ORDER BY m.at, m.seq LIMIT $7) m` +
		messageJoins + ` WHERE ` + visibleSQL + ` ORDER BY m.at, m.seq`

	contactBeforeSQL = `SELECT ` + messageColumns + ` FROM (SELECT m.* FROM conversation c CROSS JOIN LATERAL (
		SELECT m.* FROM message m WHERE m.conversation_id = c.id AND m.at <= $5 AND (m.at, m.seq) < ($5, $6)
		ORDER BY m.at DESC, m.seq DESC LIMIT $7) m
	WHERE c.contact_id = $4 AND ` + visibleSQL + ` ORDER BY m.at DESC, m.seq DESC LIMIT $7) m` +
		messageJoins + ` ORDER BY m.at DESC, m.seq DESC`

	contactAfterSQL = `SELECT ` + messageColumns + ` FROM (SELECT m.* FROM conversation c CROSS JOIN LATERAL (
		SELECT m.* FROM message m WHERE m.conversation_id = c.id AND m.at >= $5 AND (m.at, m.seq) > ($5, $6)
		ORDER BY m.at, m.seq LIMIT $7) m
	WHERE c.contact_id = $4 AND ` + visibleSQL + ` ORDER BY m.at, m.seq LIMIT $7) m` +
		messageJoins + ` ORDER BY m.at, m.seq`

	seesConversationSQL = `SELECT 1 FROM conversation c WHERE c.id = $4 AND ` + visibleSQL

	findMessageSQL = `SELECT m.at, m.seq FROM message m WHERE m.conversation_id = $1 AND m.id = $2`

	// $5: whether $4 is a contact
	findPlaceSQL = `SELECT m.at, m.seq FROM message m JOIN conversation c ON c.id = m.conversation_id
WHERE m.id = $6 AND CASE WHEN $5 THEN c.contact_id ELSE c.id END = $4 AND ` + visibleSQL
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
	tl, err := d.timeline(ctx, thread{a: a, id: int64(conversation)}, q)
	if err == nil && len(tl.Items) == 0 {
		err = d.sees(ctx, a, conversation) // empty, or not to be seen
	}
	return tl, err
}

// ContactTimeline shows a person's timeline over all conversations that the caller may see. A contact without any is an
// empty timeline: contacts themselves are everybody's.
func (d *Desk) ContactTimeline(ctx context.Context, a staff.Access, contact ids.ID, q TimelineQuery) (Timeline, error) {
	return d.timeline(ctx, thread{a: a, id: int64(contact), person: true}, q)
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

// thread is what a timeline runs over: a conversation, or all of a person's, as far as the caller sees them.
type thread struct {
	a      staff.Access
	id     int64
	person bool
}

func (t thread) sql(newer bool) string {
	switch {
	case t.person && newer:
		return contactAfterSQL
	case t.person:
		return contactBeforeSQL
	case newer:
		return timelineAfterSQL
	}
	return timelineBeforeSQL
}

func (d *Desk) timeline(ctx context.Context, t thread, q TimelineQuery) (Timeline, error) {
	q, from, err := d.checkTimeline(ctx, t, q)
	if err != nil {
		return Timeline{}, err
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
	rows, err := d.pool.Query(ctx, t.sql(newer), who(t.a, t.id, from.at, from.seq, limit+1)...)
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
		at, err := d.findPlace(ctx, t, id)
		return q, at, err
	}
	at, seq, err := parsePair(text)
	if err != nil {
		return q, place{}, errs.Field("query."+field, "is not a cursor of this timeline")
	}
	return q, place{time.UnixMicro(at).UTC(), seq}, nil
}

func (d *Desk) findPlace(ctx context.Context, t thread, id uuid.UUID) (place, error) {
	var p place
	err := d.pool.QueryRow(ctx, findPlaceSQL, who(t.a, t.id, t.person, id)...).Scan(&p.at, &p.seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, noMessage()
	}
	if err != nil {
		return p, fmt.Errorf("find message %s: %w", id, err)
	}
	return p, nil
}
