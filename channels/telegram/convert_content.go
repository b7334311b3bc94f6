package telegram

import (
	"encoding/json"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// body is the content of a message.
type body struct {
	kind    channels.InboundKind // set when it is not a message
	content string
	text    rich
	fixed   bool // text is our words, not the customer's: no formatting
	data    params
	media   []channels.Media
	group   []channels.Identity // further identities of the group
}

// content finds out what a message carries: text, a file, a card, an event of the chat, or something unknown.
func content(m *models.Message, raw json.RawMessage) body {
	for _, f := range []func(*models.Message) (body, bool){textContent, mediaContent, cardContent} {
		if b, ok := f(m); ok {
			return b
		}
	}
	fields := map[string]json.RawMessage{}
	_ = json.Unmarshal(raw, &fields) // it is an object: it was read as a message
	if b, ok := serviceContent(m, fields); ok {
		return b
	}
	return unknownContent(fields)
}

func textContent(m *models.Message) (body, bool) {
	if m.Text == "" {
		return body{}, false
	}
	b := body{content: "text", text: fromEntities(m.Text, m.Entities)}
	return b, true
}

// words is a body whose text we made.
func words(content, text string, d params) (body, bool) {
	return body{content: content, text: rich{text: text}, fixed: true, data: d}, true
}

// envelopeFields are the fields that say nothing about the kind of a message.
func envelopeField(name string) bool {
	switch name {
	case "message_id", "message_thread_id", "direct_messages_topic", "from", "sender_chat", "sender_boost_count", "sender_business_bot",
		"sender_tag", "date", "business_connection_id", "chat", "forward_origin", "forward_from", "forward_from_chat", "forward_from_message_id",
		"forward_signature", "forward_sender_name", "forward_date", "is_topic_message", "is_automatic_forward", "reply_to_message",
		"external_reply", "quote", "reply_to_story", "reply_to_checklist_task_id", "via_bot", "edit_date", "has_protected_content",
		"is_from_offline", "is_paid_post", "media_group_id", "author_signature", "paid_star_count", "link_preview_options",
		"suggested_post_info", "effect_id", "entities", "caption", "caption_entities", "show_caption_above_media", "has_media_spoiler",
		"reply_markup":
		return true
	}
	return false
}

// unknownContent is a message of a kind that is newer than this program. A caption is still a text to be read.
func unknownContent(fields map[string]json.RawMessage) body {
	name := ""
	for f := range fields {
		if !envelopeField(f) && (name == "" || f < name) {
			name = f
		}
	}
	if name == "" {
		name = "empty"
	}
	text := unknownWords(name)
	var caption string
	if json.Unmarshal(fields["caption"], &caption) == nil && caption != "" {
		text = caption
	}
	b, _ := words("unknown", text, params{"type": clean(name, 64)})
	return b
}

// quote is what a message quotes that may not be in our database: a marked part, or a message of another chat.
func quote(m *models.Message) params {
	p := params{}
	if m.Quote != nil && m.Quote.Text != "" {
		p["quote"] = clean(m.Quote.Text, 4096)
	}
	if x := m.ExternalReply; x != nil {
		ext := params{"from": origin(&x.Origin)}
		if what := externalContent(x); what != "" {
			ext["content"] = what
		}
		p["external_reply"] = ext
	}
	if m.ReplyToStore != nil {
		p["reply_to_story"] = true
	}
	if m.ForwardOrigin != nil {
		p["forwarded_from"] = origin(m.ForwardOrigin)
	}
	if m.ViaBot != nil && m.ViaBot.Username != "" {
		p["via_bot"] = clean(m.ViaBot.Username, 64)
	}
	return p
}

// origin names whom a forwarded or quoted message comes from.
func origin(o *models.MessageOrigin) string {
	switch {
	case o.MessageOriginUser != nil:
		return fullName(o.MessageOriginUser.SenderUser.FirstName, o.MessageOriginUser.SenderUser.LastName)
	case o.MessageOriginHiddenUser != nil:
		return clean(o.MessageOriginHiddenUser.SenderUserName, maxName)
	case o.MessageOriginChat != nil:
		return chatPerson(&o.MessageOriginChat.SenderChat).Name
	case o.MessageOriginChannel != nil:
		return chatPerson(&o.MessageOriginChannel.Chat).Name
	}
	return ""
}

func externalContent(x *models.ExternalReplyInfo) string {
	switch {
	case len(x.Photo) > 0:
		return "photo"
	case x.Video != nil, x.VideoNote != nil:
		return "video"
	case x.Voice != nil:
		return "voice"
	case x.Audio != nil:
		return "audio"
	case x.Animation != nil:
		return "animation"
	case x.Document != nil:
		return "document"
	case x.Sticker != nil:
		return "sticker"
	case x.Location != nil, x.Venue != nil:
		return "location"
	case x.Contact != nil:
		return "contact"
	case x.Poll != nil:
		return "poll"
	}
	return ""
}
