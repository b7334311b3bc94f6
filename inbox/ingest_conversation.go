package inbox

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

type convKey struct {
	channel int64
	contact int64
	thread  string
}

// convState is a conversation in the hands of the run: as it was, and as it will be.
type convState struct {
	convKey
	row         conversationRow
	isNew       bool
	previous    int64 // the closed one before it
	contactName string
	channelKind string
	identity    int64
	chat        string
	chatData    json.RawMessage
	stranger    int64 // the one that its first message refers to without taking part
	touched     bool
	introduced  bool // the line about the new contact is in
}

// conversationRow is what the run reads and writes of the table.
type conversationRow struct {
	ID            int64
	Number        int64
	Version       int
	ChannelID     int64
	ContactID     int64
	ThreadKey     *string
	Status        Status
	Priority      int
	Tags          []string
	TeamID        *int64
	AssigneeID    *int64
	WaitingSince  *time.Time
	QueuedAt      *time.Time
	SnoozedUntil  *time.Time
	ClosedAt      *time.Time
	Subject       string
	LastAt        time.Time
	LastText      string
	LastKind      string
	LastDirection string
	InCount       int
	MessageCount  int
	CreatedAt     time.Time
	ContactName   string // read with the row; of a new one convState knows it
}

const conversationColumns = `c.id, c.number, c.version, c.channel_id, c.contact_id, c.thread_key, c.status, c.priority, c.tags, c.team_id, c.assignee_id,
 c.waiting_since, c.queued_at, c.snoozed_until, c.closed_at, c.subject, c.last_at, c.last_text, c.last_kind, c.last_direction, c.in_count, c.message_count, c.created_at`

const (
	// of each key the open conversation, else the youngest closed one that may be opened again, else a new id and number
	pickConversationsSQL = `
WITH k AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[]) WITH ORDINALITY AS k (channel_id, contact_id, thread, days, n)
), picked AS (
    SELECT k.n, k.days, c.* FROM k LEFT JOIN LATERAL (
        SELECT * FROM (
            SELECT c.id, c.status, c.closed_at, c.assignee_id FROM conversation c
            WHERE k.thread = '' AND c.channel_id = k.channel_id AND c.contact_id = k.contact_id AND c.thread_key IS NULL AND c.merged_into IS NULL
            UNION ALL
            SELECT c.id, c.status, c.closed_at, c.assignee_id FROM conversation c
            WHERE k.thread <> '' AND c.channel_id = k.channel_id AND c.thread_key = k.thread AND c.merged_into IS NULL) u
        ORDER BY u.status = 'closed', u.id DESC LIMIT 1) c ON true
), judged AS (
    SELECT *, id IS NULL OR (status = 'closed' AND closed_at < now() - make_interval(days => days)) AS fresh FROM picked
)
SELECT n, coalesce(id, 0), coalesce(assignee_id, 0), fresh,
       CASE WHEN fresh THEN nextval('conversation_id_seq') ELSE 0 END
FROM judged ORDER BY n`
	lockConversationsSQL = `SELECT ` + conversationColumns + `, (SELECT p.name FROM contact p WHERE p.id = c.contact_id) FROM conversation c WHERE c.id = ANY ($1::bigint[]) ORDER BY c.id FOR UPDATE`
)

// findConversations gives every event that needs one its conversation, locked in id order.
func (r *ingestRun) findConversations(ctx context.Context, tx pgx.Tx) error {
	for _, e := range r.all {
		if !e.carriesMessage() || !e.first {
			continue
		}
		k := convKey{e.ch.ID, e.person.ContactID, e.Thread}
		same := k
		if k.thread != "" { // whoever writes: a thread is one conversation
			same.contact = 0
		}
		c := r.convs[same]
		if c == nil {
			c = &convState{convKey: k, contactName: e.person.Name, channelKind: e.ch.Kind, identity: e.person.IdentityID, stranger: e.stranger}
			r.convs[same] = c
			r.order = append(r.order, c)
		}
		if e.Chat != "" { // the latest address is the one to answer to
			c.chat, c.chatData, c.identity = e.Chat, e.ChatData, e.person.IdentityID
		}
		e.conv = c
	}
	if len(r.order) == 0 {
		return nil
	}
	slices.SortFunc(r.order, func(a, b *convState) int {
		if a.channel != b.channel {
			return int(a.channel - b.channel)
		}
		return int(a.contact - b.contact)
	})
	known, err := r.pickConversations(ctx, tx)
	if err != nil {
		return err
	}
	if len(known) > 0 {
		rows, err := tx.Query(ctx, lockConversationsSQL, known)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[conversationRow])
		if err != nil {
			return err
		}
		byID := map[int64]conversationRow{}
		for _, row := range list {
			byID[row.ID] = row
		}
		for _, c := range r.order {
			if !c.isNew {
				row, ok := byID[c.row.ID]
				if !ok {
					return errRival
				}
				c.row, c.contactName = row, row.ContactName
			}
		}
	}
	return r.giveToSticky(ctx, tx)
}

func (r *ingestRun) pickConversations(ctx context.Context, tx pgx.Tx) (known []int64, err error) {
	var ch, contact []int64
	var thread []string
	var days []int32
	for _, c := range r.order {
		ch, contact, thread = append(ch, c.channel), append(contact, c.contact), append(thread, c.thread)
		days = append(days, int32(r.channels[c.channel].ReopenDays))
	}
	rows, err := tx.Query(ctx, pickConversationsSQL, ch, contact, thread, days)
	if err != nil {
		return nil, err
	}
	var n, id, assignee, newID int64
	var fresh bool
	_, err = pgx.ForEachRow(rows, []any{&n, &id, &assignee, &fresh, &newID}, func() error {
		c := r.order[n-1]
		if !fresh {
			c.row.ID = id
			known = append(known, id)
			return nil
		}
		c.isNew, c.previous = true, cmp.Or(id, c.stranger)
		c.row = conversationRow{
			ID: newID, Number: newID, ChannelID: c.channel, ContactID: c.contact, Status: Open, Tags: []string{}, TeamID: r.channels[c.channel].TeamID,
			LastKind: "message", LastDirection: "in", CreatedAt: r.g.now(),
		}
		if c.thread != "" {
			c.row.ThreadKey = &c.thread
		}
		if assignee != 0 { // candidate, judged by giveToSticky
			a := assignee
			c.row.AssigneeID = &a
		}
		return nil
	})
	return known, err
}

// giveToSticky gives a new conversation to the contact's owner, else to whoever had the last one, if that agent is on
// duty now; else it queues.
func (r *ingestRun) giveToSticky(ctx context.Context, tx pgx.Tx) error {
	wanted := map[*convState][]ids.ID{}
	var all []ids.ID
	for _, e := range r.all {
		c := e.conv
		if c == nil || !c.isNew || !r.channels[c.channel].Sticky || wanted[c] != nil {
			continue
		}
		wanted[c] = []ids.ID{}
		for _, a := range []int64{e.person.OwnerID, valueOf(c.row.AssigneeID)} {
			if a != 0 {
				wanted[c], all = append(wanted[c], ids.ID(a)), append(all, ids.ID(a))
			}
		}
	}
	for _, c := range r.order {
		if c.isNew {
			c.row.AssigneeID = nil
		}
	}
	onDuty, err := staff.AgentsOnDuty(ctx, tx, all)
	if err != nil {
		return err
	}
	for c, agents := range wanted {
		for _, a := range agents {
			if slices.ContainsFunc(onDuty, func(d staff.DutyAgent) bool { return d.ID == a }) {
				id := int64(a)
				c.row.AssigneeID = &id
				break
			}
		}
	}
	return nil
}

// take moves the conversation on by one message; nothing here touches the database.
func (c *convState) take(m *newMessage, e *inEvent, now time.Time) {
	w := &c.row
	if !c.touched {
		c.touched = true
		if !c.isNew {
			w.Version++
		} else {
			w.Version = 1
		}
		if c.isNew && e.History { // the past is shown, it asks nothing of anybody
			w.Status, w.ClosedAt = Closed, &now
		}
	}
	w.MessageCount++
	if m.kind != "message" {
		return
	}
	if !e.History {
		if w.Status != Open && m.direction == "in" && !e.Automatic { // an out-of-office note opens nothing
			w.Status, w.ClosedAt, w.SnoozedUntil = Open, nil, nil
		}
		if m.direction == "in" {
			w.InCount++
			if w.WaitingSince == nil && !e.Automatic {
				w.WaitingSince = &m.at
			}
		} else {
			w.WaitingSince = nil
		}
		if w.AssigneeID == nil && w.QueuedAt == nil && w.Status == Open {
			w.QueuedAt = &now
		}
	}
	if w.AssigneeID != nil || w.Status == Closed {
		w.QueuedAt = nil
	}
	m.inNo = w.InCount
	if w.Subject == "" {
		w.Subject = m.subject
	}
	if !m.at.Before(w.LastAt) {
		w.LastAt, w.LastDirection, w.LastKind = m.at, m.direction, "message"
		w.LastText = preview(m.text)
		if m.content != contentText && m.content != contentEmail {
			w.LastKind = m.content
		}
	}
}

// dto is the conversation as events carry it.
func (c *convState) dto() Conversation {
	w := c.row
	d := Conversation{
		ID: ids.ID(w.ID), Number: ids.ID(w.Number), Version: w.Version, Status: w.Status, Priority: w.Priority,
		Contact: Named{ID: ids.ID(w.ContactID), Name: c.contactName}, ChannelID: ids.ID(w.ChannelID), ChannelKind: c.channelKind,
		AssigneeID: idPtr(valueOf(w.AssigneeID)), TeamID: idPtr(valueOf(w.TeamID)), Tags: w.Tags, InCount: w.InCount,
		WaitingSince: w.WaitingSince, SnoozedUntil: w.SnoozedUntil, Subject: w.Subject, LastAt: w.LastAt, LastText: w.LastText,
		LastKind: w.LastKind, LastDirection: w.LastDirection, MessageCount: w.MessageCount, CreatedAt: w.CreatedAt, ClosedAt: w.ClosedAt,
	}
	if d.Tags == nil {
		d.Tags = []string{}
	}
	return d
}

// maxPreview is how much of the last message a row of the list carries, in characters.
const maxPreview = 160

// preview is the first line or so of a text, for the list.
func preview(text string) string {
	out := make([]rune, 0, maxPreview)
	space := false
	for i, r := range text {
		if i > 4*maxPreview || len(out) == maxPreview {
			break
		}
		if r == '\n' || r == '\r' || r == '\t' || r == ' ' {
			space = len(out) > 0
			continue
		}
		if space {
			out, space = append(out, ' '), false
		}
		out = append(out, r)
	}
	return string(out)
}
