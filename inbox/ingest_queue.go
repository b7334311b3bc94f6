package inbox

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// queueConversations adds the inserts and the updates of the touched conversations to b. A new one that a rival opened
// meanwhile makes the run start over.
func (r *ingestRun) queueConversations(b *pgx.Batch) {
	var n, u struct {
		id, channel, contact, identity   []int64
		version, inCount, messages       []int32
		chat, subject, status            []string
		chatData                         []string
		text, kind, direction            []string
		thread                           []*string
		team, assignee, previous         []*int64
		waiting, queued, snoozed, closed []*time.Time
		last, created                    []time.Time
	}
	fresh := 0
	for _, c := range r.order {
		if !c.touched {
			continue
		}
		t := &u
		if c.isNew {
			t = &n
			fresh++
		}
		w := c.row
		t.id, t.channel, t.contact, t.identity = append(t.id, w.ID), append(t.channel, w.ChannelID), append(t.contact, w.ContactID), append(t.identity, c.identity)
		t.version, t.inCount, t.messages = append(t.version, int32(w.Version)), append(t.inCount, int32(w.InCount)), append(t.messages, int32(w.MessageCount))
		t.chat, t.subject, t.status, t.chatData = append(t.chat, c.chat), append(t.subject, w.Subject), append(t.status, string(w.Status)), append(t.chatData, jsonOrEmpty(c.chatData))
		t.text, t.kind, t.direction, t.thread = append(t.text, w.LastText), append(t.kind, w.LastKind), append(t.direction, w.LastDirection), append(t.thread, w.ThreadKey)
		t.team, t.assignee, t.previous = append(t.team, w.TeamID), append(t.assignee, w.AssigneeID), append(t.previous, nullable(c.previous))
		t.waiting, t.queued, t.snoozed, t.closed = append(t.waiting, w.WaitingSince), append(t.queued, w.QueuedAt), append(t.snoozed, w.SnoozedUntil), append(t.closed, w.ClosedAt)
		t.last, t.created = append(t.last, w.LastAt), append(t.created, w.CreatedAt)
	}
	if fresh > 0 {
		b.Queue(insertConversationsSQL, n.id, n.channel, n.contact, n.identity, n.chat, n.chatData, n.thread, n.subject, n.status, n.team,
			n.assignee, n.waiting, n.queued, n.closed, n.last, n.text, n.kind, n.direction, n.inCount, n.messages, n.previous, n.created).
			Exec(func(ct pgconn.CommandTag) error {
				if int(ct.RowsAffected()) != fresh {
					return errRival
				}
				return nil
			})
	}
	if len(u.id) > 0 {
		b.Queue(updateConversationsSQL, u.id, u.version, u.status, u.subject, u.waiting, u.queued, u.snoozed, u.closed, u.last, u.text, u.kind,
			u.direction, u.inCount, u.messages, u.identity, u.chat, u.chatData)
	}
}

func (r *ingestRun) queueMessages(b *pgx.Batch) {
	var at []time.Time
	var id []uuid.UUID
	var seq, conversation []int64
	var identity, author []*int64
	var kind, content, direction, authorKind, text, html, subject, data, status, provider, album []string
	var replyAt, edited []*time.Time
	var replyID []*uuid.UUID
	var inNo []int32
	var history []bool
	var rawAt []time.Time
	var rawID []uuid.UUID
	var raw [][]byte
	for _, m := range r.w.messages {
		at, id, seq, conversation = append(at, m.at), append(id, m.id), append(seq, m.seq), append(conversation, m.conversation.row.ID)
		identity = append(identity, nullable(m.identity)) // a customer is named by the identity alone: merges move it
		author = append(author, nullable(m.agent()))
		kind, content, direction, authorKind = append(kind, m.kind), append(content, m.content), append(direction, m.direction), append(authorKind, m.authorKind)
		text, html, subject, data = append(text, m.text), append(html, m.html), append(subject, m.subject), append(data, jsonOrEmpty(m.data))
		status, provider, album = append(status, m.status), append(provider, m.provider), append(album, m.album)
		inNo, history = append(inNo, int32(m.inNo)), append(history, m.history)
		var ra, ed *time.Time
		var ri *uuid.UUID
		if m.replyTo != nil {
			ra, ri = &m.replyTo.At, &m.replyTo.ID
		}
		if m.edited {
			ed = &m.at
		}
		replyAt, replyID, edited = append(replyAt, ra), append(replyID, ri), append(edited, ed)
		if len(m.raw) > 0 {
			rawAt, rawID, raw = append(rawAt, m.at), append(rawID, m.id), append(raw, m.raw)
		}
	}
	if len(id) > 0 {
		b.Queue(insertMessagesSQL, at, id, seq, conversation, identity, kind, content, direction, authorKind, author, text, html, subject, data, status,
			provider, replyAt, replyID, album, inNo, history, edited)
	}
	if len(rawID) > 0 {
		b.Queue(insertRawSQL, rawAt, rawID, raw)
	}
	r.queueFiles(b)
	if len(r.w.members) > 0 {
		var conv, member []int64
		for k := range r.w.members {
			conv, member = append(conv, k[0]), append(member, k[1])
		}
		b.Queue(insertMembersSQL, conv, member)
	}
}

func (r *ingestRun) queueFiles(b *pgx.Batch) {
	if len(r.w.files) == 0 {
		return
	}
	var id, message []uuid.UUID
	var channel, conversation, size []int64
	var at []time.Time
	var position, width, height, dur []int32
	var kind, name, typ, ref, state, errText, contentID []string
	for _, f := range r.w.files {
		id, message, channel, conversation = append(id, f.id), append(message, f.message.id), append(channel, f.channel), append(conversation, f.message.conversation.row.ID)
		at, size, position = append(at, f.message.at), append(size, f.size), append(position, int32(f.position))
		width, height, dur = append(width, int32(f.width)), append(height, int32(f.height)), append(dur, int32(f.dur))
		kind, name, typ, ref = append(kind, f.kind), append(name, f.name), append(typ, f.typ), append(ref, f.ref)
		state, errText, contentID = append(state, f.state), append(errText, f.err), append(contentID, f.contentID)
	}
	b.Queue(insertFilesSQL, id, channel, conversation, at, message, position, kind, name, typ, size, width, height, dur, ref, state, errText, contentID)
}

func jsonOrEmpty(b json.RawMessage) string {
	if len(b) == 0 {
		return "{}"
	}
	return string(b)
}

func nullable(v int64) *int64 {
	if v == 0 {
		return nil
	}
	return &v
}
