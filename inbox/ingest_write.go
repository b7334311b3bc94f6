package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// newMessage is one message on its way into the table and into its event.
type newMessage struct {
	at           time.Time
	id           uuid.UUID
	seq          int64
	conversation *convState
	identity     int64
	kind         string
	content      string
	direction    string
	authorKind   string
	authorID     int64
	authorName   string
	text         string
	html         string
	subject      string
	data         json.RawMessage
	status       string
	provider     string
	replyTo      *MessageKey
	quote        *Quote
	album        string
	inNo         int
	history      bool
	edited       bool
	raw          []byte
	files        []Attachment
}

// ingestWriter collects the rows of a run; write sends them in one round trip.
type ingestWriter struct {
	leads    []crm.Lead
	messages []*newMessage
	byKey    map[MessageKey]*newMessage
	files    []fileRow
	members  map[[2]int64]bool
}

type fileRow struct {
	id                 uuid.UUID
	channel            int64
	message            *newMessage
	position           int
	kind, name, typ    string
	size               int64
	width, height, dur int
	ref                string
	state, err         string
	contentID          string
}

func (w *ingestWriter) message(m newMessage) {
	if w.byKey == nil {
		w.byKey = map[MessageKey]*newMessage{}
	}
	row := m
	w.messages = append(w.messages, &row)
	w.byKey[MessageKey{m.at, m.id}] = &row
}

func (w *ingestWriter) quoteOf(k MessageKey) *Quote {
	m := w.byKey[k]
	if m == nil {
		return nil
	}
	return &Quote{ID: m.id, Author: m.authorName, Text: clipRunes(m.text, maxPreview)}
}

// introduce adds the line that says where this person came from: a new contact, with his lead.
func (w *ingestWriter) introduce(r *ingestRun, e *inEvent) {
	data := map[string]any{"event": "contact", "contact_id": ids.ID(e.person.ContactID), "channel": e.ch.Kind}
	for _, l := range w.leads {
		if int64(l.Contact.ID) == e.person.ContactID {
			data["lead_id"] = l.ID
		}
	}
	if len(e.Attribution) > 0 {
		data["attribution"] = e.Attribution
	}
	b, err := json.Marshal(data)
	if err != nil {
		b = []byte(`{"event":"contact"}`)
	}
	m := newMessage{
		at: e.at, id: newMessageID(), conversation: e.conv, identity: e.person.IdentityID, kind: "event", content: "event", direction: "in",
		authorKind: "system", text: "New contact", data: b, status: "received", history: e.History,
	}
	e.conv.take(&m, e, r.g.now())
	w.message(m)
}

func (w *ingestWriter) attach(e *inEvent, m newMessage, position int, f channels.Media) {
	row := newFileRow(e.ch.ID, f)
	row.message, row.position = w.byKey[MessageKey{m.at, m.id}], position
	w.files = append(w.files, row)
	row.message.files = append(row.message.files, Attachment{
		ID: row.id, Kind: row.kind, Name: row.name, Type: row.typ, Size: row.size, Width: row.width, Height: row.height, DurationMS: row.dur,
		State: row.state, Error: row.err, ContentID: row.contentID, URL: "/api/attachments/" + row.id.String(),
	})
}

// newFileRow is a file as the provider tells of it, still to be fetched.
func newFileRow(channel int64, f channels.Media) fileRow {
	row := fileRow{
		id: newMessageID(), channel: channel, kind: mediaKind(f.Kind), name: storable(f.Name, 255), typ: storable(f.Type, 127),
		size: max(f.Size, 0), width: max(f.Width, 0), height: max(f.Height, 0), dur: int(f.Duration.Milliseconds()),
		ref: string(storableJSON(f.Ref, 4<<10)), state: "pending", contentID: storable(f.ContentID, 255),
	}
	if row.typ == "" {
		row.typ = "application/octet-stream"
	}
	if f.TooBig != "" {
		row.state, row.err = "failed", storable(f.TooBig, 500)
	}
	return row
}

func mediaKind(k string) string {
	switch k {
	case "photo", "voice", "audio", "video", "document", "sticker", "animation":
		return k
	}
	return "document"
}

func (w *ingestWriter) participant(c *convState, identity int64) {
	if w.members == nil {
		w.members = map[[2]int64]bool{}
	}
	w.members[[2]int64{c.row.ID, identity}] = true
}

const (
	insertConversationsSQL = `
INSERT INTO conversation (id, channel_id, contact_id, identity_id, chat, chat_data, thread_key, subject, status, team_id, assignee_id,
    waiting_since, queued_at, closed_at, last_at, last_text, last_kind, last_direction, in_count, message_count, previous_id, created_at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::jsonb[], $7::text[], $8::text[], $9::text[], $10::bigint[],
    $11::bigint[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::text[], $17::text[], $18::text[], $19::int[],
    $20::int[], $21::bigint[], $22::timestamptz[])
ON CONFLICT DO NOTHING`
	updateConversationsSQL = `
UPDATE conversation c SET version = n.version, status = n.status, subject = n.subject, waiting_since = n.waiting_since, queued_at = n.queued_at,
    snoozed_until = n.snoozed_until, closed_at = n.closed_at, last_at = n.last_at, last_text = n.last_text, last_kind = n.last_kind,
    last_direction = n.last_direction, in_count = n.in_count, message_count = n.message_count,
    identity_id = n.identity_id, chat = CASE WHEN n.chat = '' THEN c.chat ELSE n.chat END,
    chat_data = CASE WHEN n.chat = '' THEN c.chat_data ELSE n.chat_data END
FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[],
    $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::int[], $14::int[], $15::bigint[], $16::text[], $17::jsonb[])
    AS n (id, version, status, subject, waiting_since, queued_at, snoozed_until, closed_at, last_at, last_text, last_kind, last_direction, in_count,
    message_count, identity_id, chat, chat_data)
WHERE c.id = n.id`
	insertMessagesSQL = `
INSERT INTO message (at, id, seq, conversation_id, identity_id, kind, content, direction, author_kind, author_id, text, html, subject, data, status,
    provider_id, reply_to_at, reply_to_id, group_key, in_no, history, edited_at)
SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[],
    $11::text[], $12::text[], $13::text[], $14::jsonb[], $15::text[], $16::text[], $17::timestamptz[], $18::uuid[], $19::text[], $20::int[], $21::bool[],
    $22::timestamptz[])`
	insertRawSQL   = `INSERT INTO message_raw (message_at, message_id, raw) SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::bytea[])`
	insertFilesSQL = `
INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, position, kind, name, type, size, width, height, duration_ms, ref, state, error, content_id)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::uuid[], $6::int[], $7::text[], $8::text[], $9::text[], $10::bigint[],
    $11::int[], $12::int[], $13::int[], $14::jsonb[], $15::text[], $16::text[], $17::text[])`
	insertMembersSQL = `
INSERT INTO participant (conversation_id, identity_id) SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT DO NOTHING`
	saveCursorSQL = `
INSERT INTO channel_cursor (channel_id, name, value) VALUES ($1, $2, $3)
ON CONFLICT (channel_id, name) DO UPDATE SET value = excluded.value, at = now()`
	reserveSeqSQL = `SELECT nextval('message_seq') FROM generate_series(1, $1)`
)

// write stores conversations, messages, files, cursors and events in one round trip (two when there are messages:
// their sequence numbers come first, for the events carry them).
func (r *ingestRun) write(ctx context.Context, tx pgx.Tx) error {
	if len(r.w.messages) > 0 {
		rows, err := tx.Query(ctx, reserveSeqSQL, len(r.w.messages))
		if err != nil {
			return err
		}
		seqs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for i, m := range r.w.messages {
			m.seq = seqs[i]
		}
	}
	b := &pgx.Batch{}
	r.queueAliases(b)
	r.queueConversations(b)
	r.queueMessages(b)
	for _, j := range r.jobs {
		if c := j.batch.Cursor; c != nil {
			b.Queue(saveCursorSQL, j.channel, storable(c.Name, 200), storable(c.Value, 2000))
		}
	}
	if err := events.Queue(b, r.events()...); err != nil {
		return fmt.Errorf("%w: %w", errPoison, err)
	}
	if b.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, b).Close()
}

// events tells of every conversation as it is after the batch: of a new one by itself, else with its last message.
func (r *ingestRun) events() []events.Event {
	var evs []events.Event
	last := map[*convState]*newMessage{}
	for _, m := range r.w.messages {
		last[m.conversation] = m
	}
	for _, c := range r.order {
		if c.isNew && c.touched {
			evs = append(evs, conversationEvent(EventConversationCreated, systemActor, c.dto(), valueOf(c.row.TeamID), valueOf(c.row.AssigneeID)))
		}
	}
	for _, m := range r.w.messages {
		if c := m.conversation; !c.isNew && last[c] == m {
			evs = append(evs, arrivalEvents(m.actor(), m.item(), c.dto())...)
		} else {
			evs = append(evs, itemEvent(EventMessageCreated, m.actor(), m.item(), c.dto()))
		}
	}
	return evs
}

func (m *newMessage) actor() events.Actor {
	if m.authorKind == "contact" {
		return events.Actor{Kind: "contact", ID: m.authorID}
	}
	return systemActor
}

// agent is the member of staff who wrote it, 0 = none: a customer is named by the identity, which merges move.
func (m *newMessage) agent() int64 {
	if m.authorKind == "agent" {
		return m.authorID
	}
	return 0
}

// item is the message as events carry it.
func (m *newMessage) item() Item {
	c := m.conversation
	it := Item{
		ID: m.id, Version: 1, Seq: ids.ID(m.seq), Kind: m.kind, Content: m.content, Direction: m.direction, ConversationID: ids.ID(c.row.ID),
		ChannelID: ids.ID(c.row.ChannelID), ChannelKind: c.channelKind, Author: Author{Kind: m.authorKind, ID: idPtr(m.authorID), Name: m.authorName},
		Text: m.text, HTML: m.html, Subject: m.subject, Data: m.data, Attachments: m.files, Status: m.status, ReplyTo: m.quote,
		Reactions: []Reaction{}, Album: m.album, InNo: m.inNo, History: m.history, At: m.at,
	}
	if it.Attachments == nil {
		it.Attachments = []Attachment{}
	}
	if len(it.Data) == 0 {
		it.Data = json.RawMessage(`{}`)
	}
	if m.edited {
		it.EditedAt = &m.at
	}
	if len(m.raw) > 0 {
		url := fmt.Sprintf("/api/conversations/%d/messages/%s/raw", c.row.ID, m.id)
		it.RawURL = &url
	}
	return it
}
