package inbox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// what is found is judged once more by the message itself: the index may be a moment behind
	foundMessagesSQL = `SELECT m.id, m.at, m.kind, m.content, m.direction, m.author_kind, coalesce(m.author_id, 0), m.conversation_id, h.kind,
	cp.id, cp.name, coalesce(sp.id, cp.id), coalesce(sp.name, cp.name), coalesce(a.name, ''), left(m.subject, 1000), left(m.text, 100000)
FROM unnest($4::timestamptz[], $5::uuid[]) k (at, id) JOIN message m ON m.at = k.at AND m.id = k.id` + messageJoins + `
WHERE m.deleted_at IS NULL AND ` + visibleSQL + ` ORDER BY m.at DESC, m.id DESC`

	foundFilesSQL = `SELECT f.id, f.kind, f.name, f.type, f.size, f.width, f.height, f.duration_ms, f.state, f.error, f.preview <> '',
	m.id, m.at, m.conversation_id, h.kind, p.id, p.name
FROM unnest($4::timestamptz[], $5::uuid[]) k (at, id) JOIN message m ON m.at = k.at AND m.id = k.id
	JOIN conversation c ON c.id = m.conversation_id JOIN channel h ON h.id = c.channel_id JOIN contact p ON p.id = c.contact_id
	JOIN attachment f ON f.message_id = m.id AND f.name <> ''
WHERE m.deleted_at IS NULL AND ` + visibleSQL + ` ORDER BY m.at DESC, m.id DESC, f.position, f.id`
)

func (s *search) hunt() *hunt {
	h := &hunt{s: s, at: s.after, lo: s.q.after}
	if b := s.q.before; !b.IsZero() && b.Before(h.at.at) {
		h.at = spot{b.UTC(), uuid.Nil}
	}
	return h
}

// messages finds what was said and noted.
func (f *Finder) messages(ctx context.Context, s search) (FoundList[FoundMessage], error) {
	out := FoundList[FoundMessage]{Items: []FoundMessage{}}
	h := s.hunt()
	h.words, h.indexed = s.q.tsquery(s.authors), s.q.positive(s.authors)
	if err := h.run(ctx, f, s.limit+1); err != nil {
		return out, err
	}
	keys, next := h.page(s.limit)
	out.NextCursor, out.Partial = next, h.partial
	if len(keys) == 0 {
		return out, nil
	}
	at, id := splitKeys(keys)
	rows, err := f.pool.Query(ctx, foundMessagesSQL, who(s.a, at, id)...)
	if err != nil {
		return out, fmt.Errorf("show found messages: %w", err)
	}
	terms := s.q.wanted()
	out.Items, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (FoundMessage, error) {
		var m FoundMessage
		var agent, contact int64
		var contactName, agentName, subject, text string
		err := row.Scan(&m.ID, &m.At, &m.Kind, &m.Content, &m.Direction, &m.Author.Kind, &agent, &m.ConversationID, &m.ChannelKind,
			&m.Contact.ID, &m.Contact.Name, &contact, &contactName, &agentName, &subject, &text)
		m.At = m.At.UTC()
		switch m.Author.Kind {
		case "contact":
			m.Author.ID, m.Author.Name = idPtr(contact), contactName
		case "agent":
			m.Author.ID, m.Author.Name = idPtr(agent), agentName
		}
		if subject != "" {
			text = subject + "\n" + text
		}
		m.Text = excerpt(text, terms, s.q.numbers())
		return m, err
	})
	if err != nil {
		return out, fmt.Errorf("show found messages: %w", err)
	}
	return out, nil
}

// files finds files by pieces of their names.
func (f *Finder) files(ctx context.Context, s search) (FoundList[FoundFile], error) {
	out := FoundList[FoundFile]{Items: []FoundFile{}}
	h := s.hunt()
	h.files, h.patterns = true, s.q.patterns()
	h.words = strings.Join(s.q.marks(s.authors), " & ")
	h.indexed = h.words != "" || slices.ContainsFunc(h.patterns, hasTrigram)
	if err := h.run(ctx, f, s.limit+1); err != nil {
		return out, err
	}
	keys, next := h.page(s.limit)
	out.NextCursor, out.Partial = next, h.partial
	if len(keys) == 0 {
		return out, nil
	}
	at, id := splitKeys(keys)
	rows, err := f.pool.Query(ctx, foundFilesSQL, who(s.a, at, id)...)
	if err != nil {
		return out, fmt.Errorf("show found files: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (FoundFile, error) {
		var m FoundFile
		var preview bool
		a := &m.Attachment
		err := row.Scan(&a.ID, &a.Kind, &a.Name, &a.Type, &a.Size, &a.Width, &a.Height, &a.DurationMS, &a.State, &a.Error, &preview,
			&m.MessageID, &m.At, &m.ConversationID, &m.ChannelKind, &m.Contact.ID, &m.Contact.Name)
		m.At = m.At.UTC()
		a.URL = "/api/attachments/" + a.ID.String()
		if preview {
			url := a.URL + "/preview"
			a.PreviewURL = &url
		}
		return m, err
	})
	if err != nil {
		return out, fmt.Errorf("show found files: %w", err)
	}
	var pieces []string
	for _, t := range s.q.wanted() {
		pieces = append(pieces, folded(t.typed))
	}
	for _, m := range list {
		// the names of one message are looked through together; of its files only those count that have it all
		if name := folded(m.Attachment.Name); !slices.ContainsFunc(pieces, func(p string) bool { return !strings.Contains(name, p) }) {
			m.Name = markPieces(m.Attachment.Name, pieces)
			out.Items = append(out.Items, m)
		}
	}
	return out, nil
}
