package inbox

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

// maxTimelineText is how much of a message's text a timeline carries, in characters; the whole is fetched on demand.
const maxTimelineText = 8000

// The kinds of items, and the content of a plain one.
const (
	kindMessage = "message"
	kindNote    = "note"
	kindEvent   = "event"

	contentText  = "text"
	contentEmail = "email"
)

// maxQuoteText is how much of a quoted message is shown above the answer.
const maxQuoteText = 200

const (
	messageColumns = `m.at, m.id, m.version, m.seq, m.conversation_id, m.identity_id, m.kind, m.content, m.direction,
	m.author_kind, m.author_id, m.text, m.html, m.subject, m.data, m.status, m.error, m.reply_to_at, m.reply_to_id,
	m.group_key, m.in_no, m.history, m.send_at, m.edited_at, m.deleted_at,
	c.channel_id, h.kind, coalesce(sp.id, cp.id), coalesce(sp.name, cp.name), coalesce(a.name, '')`

	// where a message m stands and who wrote it. A customer is found through the identity that it came from, also after a
	// merge and in a group; without one he is the conversation's contact
	messageJoins = ` JOIN conversation c ON c.id = m.conversation_id JOIN channel h ON h.id = c.channel_id
	JOIN contact cp ON cp.id = c.contact_id
	LEFT JOIN identity si ON m.author_kind = 'contact' AND si.id = m.identity_id LEFT JOIN contact sp ON sp.id = si.contact_id
	LEFT JOIN agent a ON m.author_kind = 'agent' AND a.id = m.author_id`

	loadMessagesSQL = `SELECT ` + messageColumns + `
FROM unnest($1::timestamptz[], $2::uuid[]) k (at, id) JOIN message m ON m.at = k.at AND m.id = k.id` + messageJoins

	itemAttachmentsSQL = `SELECT message_id, id, kind, name, type, size, width, height, duration_ms, state, error, content_id, preview <> ''
FROM attachment WHERE message_id = ANY ($1::uuid[]) ORDER BY message_id, position, id`

	itemReactionsSQL = `SELECT r.message_id, r.emoji, r.agent_id, coalesce(a.name, ''), coalesce(p.id, 0), coalesce(p.name, '')
FROM unnest($1::timestamptz[], $2::uuid[]) k (at, id)
	JOIN reaction r ON r.message_at = k.at AND r.message_id = k.id
	LEFT JOIN agent a ON a.id = r.agent_id
	LEFT JOIN identity i ON i.id = r.identity_id LEFT JOIN contact p ON p.id = i.contact_id
ORDER BY r.at, r.identity_id, r.agent_id, r.emoji`

	itemRawSQL = `SELECT w.message_id FROM unnest($1::timestamptz[], $2::uuid[]) k (at, id)
	JOIN message_raw w ON w.message_at = k.at AND w.message_id = k.id`

	itemRevisionsSQL = `SELECT v.message_id, count(*)::int FROM unnest($1::timestamptz[], $2::uuid[]) k (at, id)
	JOIN message_revision v ON v.message_at = k.at AND v.message_id = k.id GROUP BY v.message_id`

	itemQuotesSQL = `SELECT m.id, CASE m.author_kind WHEN 'agent' THEN coalesce(a.name, '') WHEN 'contact' THEN coalesce(sp.name, cp.name) ELSE '' END,
	left(m.text, 201), m.content, m.deleted_at IS NOT NULL
FROM unnest($1::timestamptz[], $2::uuid[]) k (at, id)
	JOIN message m ON m.at = k.at AND m.id = k.id` + messageJoins
)

// messageRow is a row of message with what an Item needs to become whole.
type messageRow struct {
	Item
	replyAt *time.Time
	replyID *uuid.UUID
}

func scanMessage(row pgx.CollectableRow) (messageRow, error) {
	var m messageRow
	var data []byte
	var identity, agent *int64
	var contact int64
	var contactName, agentName string
	err := row.Scan(&m.At, &m.ID, &m.Version, &m.Seq, &m.ConversationID, &identity, &m.Kind, &m.Content, &m.Direction,
		&m.Author.Kind, &agent, &m.Text, &m.HTML, &m.Subject, &data, &m.Status, &m.Error, &m.replyAt, &m.replyID,
		&m.Album, &m.InNo, &m.History, &m.SendAt, &m.EditedAt, &m.DeletedAt,
		&m.ChannelID, &m.ChannelKind, &contact, &contactName, &agentName)
	if err != nil {
		return m, err
	}
	switch {
	case m.Author.Kind == "contact":
		m.Author.ID, m.Author.Name = idPtr(contact), contactName
	case m.Author.Kind == "agent" && agent != nil:
		m.Author.ID, m.Author.Name = idPtr(*agent), agentName
	}
	m.Data = json.RawMessage(data)
	m.At = m.At.UTC()
	utc(m.SendAt, m.EditedAt, m.DeletedAt)
	return m, nil
}

// loadItems makes whole items of message keys, in the order of the keys; keys without a row are left out. Texts are
// whole: who shows or sends them cuts (clipText, clipItem).
func loadItems(ctx context.Context, db postgres.DB, keys []MessageKey) ([]Item, error) {
	if len(keys) == 0 {
		return []Item{}, nil
	}
	at, id := splitKeys(keys)
	rows, err := db.Query(ctx, loadMessagesSQL, at, id)
	if err != nil {
		return nil, fmt.Errorf("load messages: %w", err)
	}
	msgs, err := pgx.CollectRows(rows, scanMessage)
	if err != nil {
		return nil, fmt.Errorf("load messages: %w", err)
	}
	items, err := dressItems(ctx, db, msgs)
	if err != nil {
		return nil, err
	}
	place := make(map[uuid.UUID]int, len(keys))
	for i, k := range keys {
		place[k.ID] = i
	}
	slices.SortStableFunc(items, func(a, b Item) int { return place[a.ID] - place[b.ID] })
	return items, nil
}

func splitKeys(keys []MessageKey) (at []time.Time, id []uuid.UUID) {
	for _, k := range keys {
		at, id = append(at, k.At), append(id, k.ID)
	}
	return at, id
}

// itemParts is what the items of one page need besides their rows.
type itemParts struct {
	attachments map[uuid.UUID][]Attachment
	reactions   map[uuid.UUID][]Reaction
	raw         map[uuid.UUID]bool
	revisions   map[uuid.UUID]int
	quotes      map[uuid.UUID]Quote
}

// dressItems adds attachments, reactions, quotes, revisions and the raw address to rows: one round trip of pipelined
// statements, each over the whole page, and only those that a row of the page can need.
func dressItems(ctx context.Context, db postgres.DB, msgs []messageRow) ([]Item, error) {
	if len(msgs) == 0 {
		return []Item{}, nil
	}
	p := itemParts{
		attachments: map[uuid.UUID][]Attachment{}, reactions: map[uuid.UUID][]Reaction{}, raw: map[uuid.UUID]bool{},
		revisions: map[uuid.UUID]int{}, quotes: map[uuid.UUID]Quote{},
	}
	b := &pgx.Batch{}
	p.queue(b, msgs)
	if b.Len() > 0 {
		if err := db.SendBatch(ctx, b).Close(); err != nil {
			return nil, fmt.Errorf("load parts of items: %w", err)
		}
	}
	items := make([]Item, len(msgs))
	for i := range msgs {
		items[i] = p.dress(&msgs[i])
	}
	return items, nil
}

func (p *itemParts) dress(m *messageRow) Item {
	it := m.Item
	it.Attachments = orEmpty(p.attachments[it.ID])
	it.Reactions = orEmpty(p.reactions[it.ID])
	it.Revisions = p.revisions[it.ID]
	if p.raw[it.ID] {
		url := "/api/conversations/" + it.ConversationID.String() + "/messages/" + it.ID.String() + "/raw"
		it.RawURL = &url
	}
	if m.replyID != nil {
		if q, ok := p.quotes[*m.replyID]; ok {
			it.ReplyTo = &q
		}
	}
	return it
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// clipText cuts an item for a timeline.
func clipText(it *Item) {
	if it.Content == contentEmail { // a document of its own, which is shown in a frame and fetched for it
		it.HTML = ""
	}
	if text := clipRunes(it.Text, maxTimelineText); len(text) < len(it.Text) {
		it.Text, it.HTML, it.Truncated = text, "", true
	}
	// formatting is never cut in the middle: over the limit the plain text stands alone
	if len(it.HTML) > 4*maxTimelineText {
		it.HTML, it.Truncated = "", true
	}
}
