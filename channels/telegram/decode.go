package telegram

import (
	"bytes"
	"encoding/json"

	"github.com/go-telegram/bot/models"
)

// decode reads an update. The library's types refuse an object as a whole when one field of it is of a kind they do not
// know yet; then it is read field by field, and only what is really unknown is lost (from the event, not from Raw).
func decode(raw []byte) (models.Update, map[string]json.RawMessage, error) {
	var u models.Update
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return u, nil, err
	}
	for name, value := range fields {
		if bytes.Equal(value, []byte("null")) {
			delete(fields, name)
		}
	}
	if json.Unmarshal(raw, &u) == nil {
		return u, fields, nil
	}
	u = models.Update{}
	if err := json.Unmarshal(fields["update_id"], &u.ID); err != nil {
		return u, fields, err
	}
	for name, value := range fields {
		switch name {
		case "message":
			u.Message = decodeMessage(value)
		case "edited_message":
			u.EditedMessage = decodeMessage(value)
		case "channel_post":
			u.ChannelPost = decodeMessage(value)
		case "edited_channel_post":
			u.EditedChannelPost = decodeMessage(value)
		case "business_message":
			u.BusinessMessage = decodeMessage(value)
		case "edited_business_message":
			u.EditedBusinessMessage = decodeMessage(value)
		case "message_reaction":
			u.MessageReaction = decodeReaction(value)
		default:
			decodeField(name, value, &u)
		}
	}
	return u, fields, nil
}

// decodeField reads one field of an object into dst, which keeps what it had when that fails.
func decodeField[T any](name string, value json.RawMessage, dst *T) bool {
	one, err := json.Marshal(map[string]json.RawMessage{name: value})
	if err != nil {
		return false
	}
	before := *dst
	if json.Unmarshal(one, dst) != nil {
		*dst = before
		return false
	}
	return true
}

func decodeMessage(raw json.RawMessage) *models.Message {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	m := &models.Message{}
	for name, value := range fields {
		if decodeField(name, value, m) || name != "reply_to_message" {
			continue
		}
		var quoted struct {
			ID   int         `json:"message_id"`
			Chat models.Chat `json:"chat"`
		}
		if json.Unmarshal(value, &quoted) == nil {
			m.ReplyToMessage = &models.Message{ID: quoted.ID, Chat: quoted.Chat}
		}
	}
	if m.Chat.ID == 0 {
		return nil
	}
	return m
}
