package inbox

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// queue puts into the batch what the page can need; the results are read into p when the batch is sent.
func (p *itemParts) queue(b *pgx.Batch, msgs []messageRow) {
	need := needOf(msgs)
	if len(need.ids) > 0 {
		b.Queue(itemAttachmentsSQL, need.ids).Query(p.readAttachments)
		b.Queue(itemReactionsSQL, need.ats, need.ids).Query(p.readReactions)
	}
	if len(need.inIDs) > 0 {
		b.Queue(itemRawSQL, need.inAts, need.inIDs).Query(func(rows pgx.Rows) error {
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
	ats       []time.Time // of messages and notes: events carry no files and get no reactions
	ids       []uuid.UUID
	inAts     []time.Time // of what a channel gave us, perhaps with its own bytes
	inIDs     []uuid.UUID
	editedAts []time.Time
	editedIDs []uuid.UUID
	quoteAts  []time.Time
	quoteIDs  []uuid.UUID
}

func needOf(msgs []messageRow) itemNeed {
	var n itemNeed
	for i := range msgs {
		m := &msgs[i]
		if m.Kind != kindEvent {
			n.ats, n.ids = append(n.ats, m.At), append(n.ids, m.ID)
		}
		if m.Kind == kindMessage && (m.Direction == "in" || m.Author.ID == nil) {
			n.inAts, n.inIDs = append(n.inAts, m.At), append(n.inIDs, m.ID)
		}
		if m.EditedAt != nil || m.DeletedAt != nil {
			n.editedAts, n.editedIDs = append(n.editedAts, m.At), append(n.editedIDs, m.ID)
		}
		if m.replyID != nil && m.replyAt != nil {
			n.quoteAts, n.quoteIDs = append(n.quoteAts, *m.replyAt), append(n.quoteIDs, *m.replyID)
		}
	}
	return n
}

func (p *itemParts) readAttachments(rows pgx.Rows) error {
	var message uuid.UUID
	var a Attachment
	var preview bool
	_, err := pgx.ForEachRow(rows, []any{
		&message, &a.ID, &a.Kind, &a.Name, &a.Type, &a.Size, &a.Width, &a.Height, &a.DurationMS, &a.State, &a.Error, &a.ContentID, &preview,
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
