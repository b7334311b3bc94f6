package telegram

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// converted is what one update means.
type converted struct {
	events   []channels.Inbound
	updateID int64  // 0 when it could not be read
	callback string // id of a pressed button that waits for an answer
}

// maxText bounds any text; Telegram's own bound is 4096 characters.
const maxText = 64 << 10

// convert reads one update. It is pure and never fails: what it cannot read becomes an event with Content "unknown"
// and the bytes kept. self is the bot's own user id; now stands in where the update tells no time.
func convert(raw []byte, self int64, now time.Time) converted {
	u, fields, err := decode(raw)
	c := converted{updateID: u.ID}
	key := "u" + strconv.FormatInt(u.ID, 10)
	if err != nil || u.ID <= 0 {
		c.updateID = 0
		h := sha256.Sum256(raw)
		key = "h" + hex.EncodeToString(h[:16])
	}
	switch {
	case err != nil:
		c.events = []channels.Inbound{unreadable()}
	case u.Message != nil:
		c.events = newMessage(u.Message, fields["message"], self)
	case u.EditedMessage != nil:
		c.events = edited(u.EditedMessage, fields["edited_message"], self)
	case u.ChannelPost != nil:
		c.events = newMessage(u.ChannelPost, fields["channel_post"], self)
	case u.EditedChannelPost != nil:
		c.events = edited(u.EditedChannelPost, fields["edited_channel_post"], self)
	case u.BusinessMessage != nil:
		c.events = newMessage(u.BusinessMessage, fields["business_message"], self)
	case u.EditedBusinessMessage != nil:
		c.events = edited(u.EditedBusinessMessage, fields["edited_business_message"], self)
	case u.DeletedBusinessMessages != nil:
		c.events = deleted(u.DeletedBusinessMessages)
	case u.BusinessConnection != nil:
		c.events = businessConnection(u.BusinessConnection)
	case u.MessageReaction != nil:
		c.events = reaction(u.MessageReaction)
	case u.CallbackQuery != nil:
		c.events = pressed(u.CallbackQuery)
		c.callback = u.CallbackQuery.ID
	case u.MyChatMember != nil:
		c.events = membership(u.MyChatMember)
	default:
		c.events = otherUpdate(u, fields)
	}
	for i := range c.events {
		e := &c.events[i]
		e.EventKey = key
		if i > 0 {
			e.EventKey += "/" + strconv.Itoa(i)
		}
		if e.At.IsZero() {
			e.At = now
		}
		if e.Direction == "" {
			e.Direction = channels.In
		}
		e.Raw = raw
	}
	return c
}

// unreadable is an update of which nothing could be read.
func unreadable() channels.Inbound {
	return channels.Inbound{
		// Nobody is known to have written, so it makes no lead.
		Kind: channels.Message, Content: "unknown", Automatic: true, Text: "Something arrived from Telegram that could not be read.",
		Data: data(params{"type": "unreadable"}),
	}
}

// otherUpdate is an update of a kind that we did not ask for or do not know.
func otherUpdate(u models.Update, fields map[string]json.RawMessage) []channels.Inbound {
	name := ""
	for f := range fields {
		if f != "update_id" && (name == "" || f < name) {
			name = f
		}
	}
	switch name {
	case "poll", "message_reaction_count", "chat_boost", "removed_chat_boost":
		return nil // counters and states of a chat; nobody wrote anything
	case "":
		return []channels.Inbound{unreadable()}
	}
	e := channels.Inbound{Kind: channels.Message, Content: "unknown", Data: data(params{"type": clean(name, 64)}), Text: otherWords(name)}
	var about struct {
		From *models.User `json:"from"`
		User *models.User `json:"user"`
		Chat *models.Chat `json:"chat"`
		Date int          `json:"date"`
	}
	_ = json.Unmarshal(fields[name], &about) // what it has is used
	who := about.From
	if who == nil {
		who = about.User
	}
	if who != nil {
		e.Sender = person(who)
		e.Chat = strconv.FormatInt(who.ID, 10)
	}
	if about.Chat != nil && about.Chat.ID != 0 {
		e.Chat = strconv.FormatInt(about.Chat.ID, 10)
		e.Group = group(about.Chat)
		if e.Group == nil && who == nil {
			e.Sender = chatPerson(about.Chat)
		}
	}
	e.Automatic = len(e.Sender.Identities) == 0
	e.At = unix(about.Date)
	return []channels.Inbound{e}
}

func otherWords(name string) string {
	switch name {
	case "poll_answer":
		return "Answered a poll"
	case "inline_query", "chosen_inline_result":
		return "Used the bot inside another chat"
	case "shipping_query", "pre_checkout_query":
		return "Is about to pay"
	case "purchased_paid_media":
		return "Bought paid media"
	case "chat_join_request":
		return "Asked to join the chat"
	}
	return unknownWords(name)
}

// unknownWords are the readable form of something that we cannot show.
func unknownWords(name string) string {
	return "Sent something that cannot be shown here yet: " + strings.ReplaceAll(clean(name, 64), "_", " ")
}

// newMessage is a message that somebody wrote, or a service message of a chat.
func newMessage(m *models.Message, raw json.RawMessage, self int64) []channels.Inbound {
	if m.Chat.ID == 0 || m.ID <= 0 {
		return []channels.Inbound{unreadable()} // nothing to know it by
	}
	e, ok := envelope(m, self)
	if !ok {
		return nil
	}
	e.Kind, e.ProviderID = channels.Message, messageID(m)
	fill(&e, m, raw)
	return []channels.Inbound{e}
}

// edited is a new version of a message: text, caption, media, a moved live location, a changed poll.
func edited(m *models.Message, raw json.RawMessage, self int64) []channels.Inbound {
	if m.Chat.ID == 0 || m.ID <= 0 {
		return []channels.Inbound{unreadable()}
	}
	e, ok := envelope(m, self)
	if !ok {
		return nil
	}
	fill(&e, m, raw)
	e.Kind, e.TargetID, e.Attribution = channels.Edit, messageID(m), nil
	if m.EditDate > 0 {
		e.At = unix(m.EditDate)
	}
	return []channels.Inbound{e}
}

// envelope is what all messages have: who, where, when, and what they answer. ok is false for our own message coming
// back from a business account.
func envelope(m *models.Message, self int64) (channels.Inbound, bool) {
	if m.SenderBusinessBot != nil && self != 0 && m.SenderBusinessBot.ID == self {
		return channels.Inbound{}, false
	}
	e := channels.Inbound{
		Chat: strconv.FormatInt(m.Chat.ID, 10), ChatData: chatData(m), At: unix(m.Date), Album: clean(m.MediaGroupID, 64),
		Group: group(&m.Chat), Direction: channels.In,
	}
	switch {
	case m.BusinessConnectionID != "":
		// A private chat between a customer and the business account. The customer is the chat; whoever else writes
		// there is the business.
		e.Sender = chatPerson(&m.Chat)
		if m.From != nil && m.From.ID == m.Chat.ID {
			e.Sender = person(m.From)
		} else {
			e.Direction = channels.Out
		}
	case m.DirectMessagesTopic != nil && m.DirectMessagesTopic.User != nil:
		// Somebody writes to a channel directly; the topic is that person's.
		e.Group = nil
		e.Sender = person(m.DirectMessagesTopic.User)
		if m.From == nil || m.From.ID != m.DirectMessagesTopic.User.ID {
			e.Direction = channels.Out
		}
	case m.SenderChat != nil:
		e.Sender = chatPerson(m.SenderChat) // an anonymous admin, or a channel writing in a group
	case m.From != nil:
		e.Sender = person(m.From)
	default:
		e.Sender = chatPerson(&m.Chat)
	}
	if q := m.ReplyToMessage; q != nil && q.ForumTopicCreated == nil {
		// In a topic every message "answers" the one that opened the topic; that is no quote.
		id := *q
		id.BusinessConnectionID = m.BusinessConnectionID
		if id.Chat.ID == 0 {
			id.Chat = m.Chat
		}
		e.ReplyTo = messageID(&id)
	} else if x := m.ExternalReply; x != nil && x.Chat != nil && x.MessageID != 0 {
		e.ReplyTo = providerID("", x.Chat.ID, x.MessageID)
	}
	return e, true
}

// fill puts the content of m into e.
func fill(e *channels.Inbound, m *models.Message, raw json.RawMessage) {
	b := content(m, raw)
	if b.kind != "" {
		e.Kind = b.kind
	}
	e.Content, e.Media = b.content, b.media
	e.Text, e.HTML = clean(b.text.text, maxText), ""
	if e.Text == b.text.text {
		if h := b.text.html(); len(h) <= 4*maxText { // cut, it would not be well-formed
			e.HTML = h
		}
	}
	if b.fixed {
		e.HTML = ""
	}
	if len(e.Media) == 0 && strings.TrimSpace(e.Text) == "" {
		e.Text, e.HTML = unknownWords(e.Content), "" // a card without a title: there is something, but nothing to read
	}
	extra := b.data
	if q := quote(m); len(q) > 0 {
		if extra == nil {
			extra = params{}
		}
		for k, v := range q {
			extra[k] = v
		}
	}
	e.Data = data(extra)
	if e.Kind == channels.Message && e.Direction == channels.In {
		e.Attribution = start(m.Text)
		if phone := ownPhone(m); phone != "" {
			e.Sender.Identities = append(e.Sender.Identities, channels.Identity{Kind: "phone", Value: phone, Raw: clean(m.Contact.PhoneNumber, 64)})
		}
	}
	if m.MigrateToChatID != 0 {
		e.Chat = strconv.FormatInt(m.MigrateToChatID, 10) // answers go to the new number from now on
	}
	if b.group != nil && e.Group != nil {
		for _, id := range b.group {
			if !slices.Contains(e.Group.Identities, id) {
				e.Group.Identities = append(e.Group.Identities, id)
			}
		}
	}
}

// maxData is what the hub keeps of Data.
const maxData = 2000

// data marshals what a content carries; nil for nothing. What is too long is shortened: the whole stands in Raw.
func data(p params) json.RawMessage {
	if len(p) == 0 {
		return nil
	}
	for _, limit := range []int{1024, 256, 64, 16} {
		b, err := json.Marshal(shortened(p, limit))
		if err != nil {
			return nil // a NaN among coordinates cannot come out of JSON
		}
		if len(b) <= maxData {
			return b
		}
	}
	return nil
}

func shortened(v any, limit int) any {
	switch v := v.(type) {
	case string:
		return clean(v, limit)
	case []string:
		out := make([]string, 0, len(v))
		for _, s := range v[:min(len(v), 30)] {
			out = append(out, clean(s, limit))
		}
		return out
	case params:
		out := make(params, len(v))
		for k, x := range v {
			out[k] = shortened(x, limit)
		}
		return out
	}
	return v
}

func unix(s int) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// start is the payload of a deep link: /start <payload>, at most 64 of A-Z a-z 0-9 _ and -.
func start(text string) map[string]string {
	command, payload, ok := strings.Cut(text, " ")
	if name, _, _ := strings.Cut(command, "@"); !ok || name != "/start" {
		return nil
	}
	payload = strings.TrimSpace(payload)
	if payload == "" || len(payload) > 64 || strings.Trim(payload, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		return nil
	}
	return map[string]string{"start": payload}
}
