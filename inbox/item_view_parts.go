package inbox

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/ids"
)

// queue puts into the batch what the page can need; the results are read into p when the batch is sent.
func (p *itemParts) queue(b *pgx.Batch, msgs []messageRow) {
	need := needOf(msgs)
	b.Queue(itemConversationsSQL, need.conversations).Query(func(rows pgx.Rows) error {
		var id ids.ID
		var c itemConversation
		_, err := pgx.ForEachRow(rows, []any{&id, &c.channelID, &c.channelKind, &c.contact.ID, &c.contact.Name}, func() error {
			p.conversations[id] = c
			return nil
		})
		return err
	})
	if len(need.senders) > 0 {
		b.Queue(itemSendersSQL, need.senders).Query(func(rows pgx.Rows) error {
			var id int64
			var n Named
			_, err := pgx.ForEachRow(rows, []any{&id, &n.ID, &n.Name}, func() error {
				p.senders[id] = n
				return nil
			})
			return err
		})
	}
	if len(need.agents) > 0 {
		b.Queue(itemAgentsSQL, need.agents).Query(func(rows pgx.Rows) error {
			var id int64
			var name string
			_, err := pgx.ForEachRow(rows, []any{&id, &name}, func() error {
				p.agents[id] = name
				return nil
			})
			return err
		})
	}
	if len(need.ids) > 0 {
		b.Queue(itemAttachmentsSQL, need.ids).Query(p.readAttachments)
		b.Queue(itemReactionsSQL, need.ats, need.ids).Query(p.readReactions)
		b.Queue(itemRawSQL, need.ats, need.ids).Query(func(rows pgx.Rows) error {
			var id uuid.UUID
			_, err := pgx.ForEachRow(rows, []any{&id}, func() error {
				p.raw[id] = true
				return nil
			})
			return err
		})
	}
	if len(need.editedIDs) > 0 {
		b.Queue(itemRevisionsSQL, need.editedAts, need.editedIDs).Query(func(rows pgx.Rows) error {
			var id uuid.UUID
			var n int
			_, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error {
				p.revisions[id] = n
				return nil
			})
			return err
		})
	}
	if len(need.quoteIDs) > 0 {
		b.Queue(itemQuotesSQL, need.quoteAts, need.quoteIDs).Query(p.readQuotes)
	}
}

// itemNeed collects the keys of everything that a page refers to.
type itemNeed struct {
	conversations, senders, agents []int64
	ats                            []time.Time // of messages and notes: events carry no files and get no reactions
	ids                            []uuid.UUID
	editedAts                      []time.Time
	editedIDs                      []uuid.UUID
	quoteAts                       []time.Time
	quoteIDs                       []uuid.UUID
}

func needOf(msgs []messageRow) itemNeed {
	var n itemNeed
	for i := range msgs {
		m := &msgs[i]
		n.conversations = append(n.conversations, int64(m.ConversationID))
		if m.Author.Kind == "contact" && m.identityID != nil {
			n.senders = append(n.senders, *m.identityID)
		}
		if m.Author.Kind == "agent" && m.authorID != nil {
			n.agents = append(n.agents, *m.authorID)
		}
		if m.Kind != kindEvent {
			n.ats, n.ids = append(n.ats, m.At), append(n.ids, m.ID)
		}
		if m.EditedAt != nil || m.DeletedAt != nil {
			n.editedAts, n.editedIDs = append(n.editedAts, m.At), append(n.editedIDs, m.ID)
		}
		if m.replyID != nil && m.replyAt != nil {
			n.quoteAts, n.quoteIDs = append(n.quoteAts, *m.replyAt), append(n.quoteIDs, *m.replyID)
		}
	}
	n.conversations, n.senders, n.agents = distinct(n.conversations), distinct(n.senders), distinct(n.agents)
	return n
}

func distinct(s []int64) []int64 {
	slices.Sort(s)
	return slices.Compact(s)
}

func (p *itemParts) readAttachments(rows pgx.Rows) error {
	var message uuid.UUID
	var a Attachment
	var preview bool
	_, err := pgx.ForEachRow(rows, []any{
		&message, &a.ID, &a.Kind, &a.Name, &a.Type, &a.Size, &a.Width, &a.Height, &a.DurationMS, &a.State, &a.Error, &preview,
	}, func() error {
		a.URL, a.PreviewURL = "/api/attachments/"+a.ID.String(), nil
		if preview {
			url := a.URL + "/preview"
			a.PreviewURL = &url
		}
		p.attachments[message] = append(p.attachments[message], a)
		return nil
	})
	return err
}

func (p *itemParts) readReactions(rows pgx.Rows) error {
	var message uuid.UUID
	var emoji, agentName, contactName string
	var agent, contact int64
	_, err := pgx.ForEachRow(rows, []any{&message, &emoji, &agent, &agentName, &contact, &contactName}, func() error {
		by := Author{Kind: "contact", ID: idPtr(contact), Name: contactName}
		if agent != 0 {
			by = Author{Kind: "agent", ID: idPtr(agent), Name: agentName}
		}
		p.reactions[message] = append(p.reactions[message], Reaction{Emoji: emoji, Author: by})
		return nil
	})
	return err
}

func (p *itemParts) readQuotes(rows pgx.Rows) error {
	var q Quote
	var content string
	var deleted bool
	_, err := pgx.ForEachRow(rows, []any{&q.ID, &q.Author, &q.Text, &content, &deleted}, func() error {
		q.Text = clipRunes(q.Text, maxQuoteText)
		if q.Text == "" && content != contentText {
			q.Text = content // a picture without words is quoted by what it is
		}
		if deleted {
			q.Text = ""
		}
		p.quotes[q.ID] = q
		return nil
	})
	return err
}
