package inbox

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// The kinds of events that this room writes to the spine.
const (
	EventMessageCreated      = "message.created"
	EventMessageUpdated      = "message.updated"
	EventConversationCreated = "conversation.created"
	EventConversationUpdated = "conversation.updated"
	EventReadUpdated         = "read.updated"
	EventChannelUpdated      = "channel.updated"
	EventChannelDeleted      = "channel.deleted"
)

// An event's payload is at most 8 kB (DESIGN 3); an item leaves room for the rest of the frame.
const (
	maxEventItem = 7 << 10
	maxEventText = 2000 // characters of text in an event; the whole is fetched when somebody looks
)

// conversationEvent carries the whole new row. Before the change it belonged to teamBefore and assigneeBefore (0 = none),
// so that whoever could see it then and cannot now is told.
func conversationEvent(kind string, by events.Actor, c Conversation, teamBefore, assigneeBefore int64) events.Event {
	c.Unread, c.ReadInNo = 0, 0
	return events.Event{
		Kind: kind, Actor: by, SubjectKind: "conversation", SubjectID: c.ID.String(),
		ConversationID: int64(c.ID), TeamID: idOf(c.TeamID), AssigneeID: idOf(c.AssigneeID),
		TeamBefore: teamBefore, AssigneeBefore: assigneeBefore, Payload: c,
	}
}

// itemEvent carries the timeline item, cut to what an event may hold; c says who may see it.
func itemEvent(kind string, by events.Actor, it Item, c Conversation) events.Event {
	return events.Event{
		Kind: kind, Actor: by, SubjectKind: "message", SubjectID: it.ID.String(),
		ConversationID: int64(c.ID), TeamID: idOf(c.TeamID), AssigneeID: idOf(c.AssigneeID),
		TeamBefore: idOf(c.TeamID), AssigneeBefore: idOf(c.AssigneeID), Payload: clipItem(it),
	}
}

// arrivalEvents tell of a message that moved its conversation and changed nothing of who may see it: the item, with the
// whole row of the conversation in it as "conversation". Every message from outside writes such an event, so it is one
// row, not two; where both do not fit, the conversation goes before by itself.
func arrivalEvents(by events.Actor, it Item, c Conversation) []events.Event {
	e := itemEvent(EventMessageCreated, by, it, c)
	c.Unread, c.ReadInNo = 0, 0
	item, err := events.Marshal(e.Payload)
	if err == nil {
		var row []byte
		if row, err = events.Marshal(c); err == nil && len(item)+len(row)+len(riderKey) <= events.MaxPayload {
			e.Payload = json.RawMessage(slices.Concat(item[:len(item)-1], []byte(riderKey), row, []byte("}")))
			return []events.Event{e}
		}
	}
	return []events.Event{conversationEvent(EventConversationUpdated, systemActor, c, idOf(c.TeamID), idOf(c.AssigneeID)), e}
}

// riderKey is where a message's event carries its conversation.
const riderKey = `,"conversation":`

func hasRider(e *events.Event) bool { return bytes.Contains(e.Raw, []byte(riderKey)) }

// rider is the conversation in the event of a message that came, nil when there is none.
func rider(e *events.Event) json.RawMessage {
	if e.Kind != EventMessageCreated || !hasRider(e) {
		return nil
	}
	var m struct {
		Conversation json.RawMessage `json:"conversation"`
	}
	if json.Unmarshal(e.Raw, &m) != nil {
		return nil
	}
	return m.Conversation
}

// clipItem shortens what may be long until the item fits, and returns it as JSON; nothing is lost, the client fetches
// the whole on demand.
func clipItem(it Item) json.RawMessage {
	limit := maxEventText
	if it.Content == contentEmail {
		it.HTML = ""
	}
	for {
		if utf8.RuneCountInString(it.Text) > limit {
			it.Text, it.Truncated = clipRunes(it.Text, limit), true
		}
		if len(it.HTML) > limit {
			it.HTML, it.Truncated = "", true
		}
		b, err := events.Marshal(it)
		if err == nil && len(b) <= maxEventItem {
			return b
		}
		switch {
		case limit > 100:
			limit /= 4
		case len(it.Data) > 512:
			it.Data, it.Truncated = json.RawMessage(`{}`), true
		case len(it.Reactions) > 5:
			it.Reactions, it.Truncated = it.Reactions[:5], true
		case len(it.Attachments) > 5:
			it.Attachments, it.Truncated = it.Attachments[:5], true
		default:
			return b
		}
	}
}

// clipRunes returns at most n characters of s.
func clipRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func idOf(p *ids.ID) int64 {
	if p == nil {
		return 0
	}
	return int64(*p)
}

func idPtr(v int64) *ids.ID {
	if v == 0 {
		return nil
	}
	id := ids.ID(v)
	return &id
}
