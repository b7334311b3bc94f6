package telegram

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

// reaction replaces what the sender had put on a message.
func reaction(r *models.MessageReactionUpdated) []channels.Inbound {
	e := channels.Inbound{
		Kind: channels.Reaction, Chat: strconv.FormatInt(r.Chat.ID, 10), Group: group(&r.Chat), At: unix(r.Date),
		TargetID: providerID("", r.Chat.ID, r.MessageID), Emojis: emojis(r.NewReaction),
	}
	switch {
	case r.User != nil:
		e.Sender = person(r.User)
	case r.ActorChat != nil:
		e.Sender = chatPerson(r.ActorChat)
	default:
		e.Sender = chatPerson(&r.Chat)
	}
	return []channels.Inbound{e}
}

func emojis(types []models.ReactionType) []string {
	var out []string
	for _, t := range types[:min(len(types), 32)] {
		switch {
		case t.ReactionTypeEmoji != nil:
			out = append(out, clean(t.ReactionTypeEmoji.Emoji, 64))
		case t.ReactionTypeCustomEmoji != nil:
			out = append(out, "custom emoji") // its picture belongs to Telegram; the words can be read
		case t.ReactionTypePaid != nil:
			out = append(out, "⭐")
		default:
			out = append(out, "unknown reaction")
		}
	}
	return out
}

// decodeReaction reads a reaction update in which there is a kind of reaction that the library does not know.
func decodeReaction(raw json.RawMessage) *models.MessageReactionUpdated {
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	r := &models.MessageReactionUpdated{}
	for name, value := range fields {
		if decodeField(name, value, r) || name != "new_reaction" {
			continue
		}
		var each []json.RawMessage
		_ = json.Unmarshal(value, &each)
		for _, one := range each {
			var t models.ReactionType
			_ = json.Unmarshal(one, &t) // an unknown kind stays empty and is shown as such
			r.NewReaction = append(r.NewReaction, t)
		}
	}
	if r.Chat.ID == 0 || r.MessageID == 0 {
		return nil
	}
	return r
}

// deleted are messages that were deleted in a business account's chat. Bots are not told of deletions elsewhere.
func deleted(d *models.BusinessMessagesDeleted) []channels.Inbound {
	ref := chatRef{Business: clean(d.BusinessConnectionID, 256)}
	var out []channels.Inbound
	for _, id := range d.MessageIDs[:min(len(d.MessageIDs), 1000)] {
		out = append(out, channels.Inbound{
			Kind: channels.Revoke, Chat: strconv.FormatInt(d.Chat.ID, 10), ChatData: ref.json(), Sender: chatPerson(&d.Chat),
			TargetID: providerID(ref.Business, d.Chat.ID, id),
		})
	}
	return out
}

// businessConnection says that somebody let the bot answer for an account, or stopped it. The person is one of ours,
// so it makes no lead.
func businessConnection(c *models.BusinessConnection) []channels.Inbound {
	text := "Connected this bot to a business account"
	if !c.IsEnabled {
		text = "Disconnected this bot from the business account"
	}
	var at time.Time
	if c.Date > 0 {
		at = time.Unix(c.Date, 0).UTC()
	}
	return []channels.Inbound{{
		Kind: channels.Membership, Chat: strconv.FormatInt(c.UserChatID, 10), Sender: person(&c.User), At: at, Automatic: true,
		Text: text, Data: data(params{"type": "business_connection", "enabled": c.IsEnabled}),
	}}
}

// pressed is a customer's press on a button under a message of ours.
func pressed(q *models.CallbackQuery) []channels.Inbound {
	e := channels.Inbound{
		Kind: channels.Message, Content: "text", Chat: strconv.FormatInt(q.From.ID, 10), Sender: person(&q.From),
	}
	label := ""
	if m := q.Message.Message; m != nil {
		e.Chat, e.ChatData, e.Group = strconv.FormatInt(m.Chat.ID, 10), chatData(m), group(&m.Chat)
		e.ReplyTo = messageID(m)
		label = buttonText(m.ReplyMarkup, q.Data)
	} else if m := q.Message.InaccessibleMessage; m != nil {
		e.Chat, e.Group = strconv.FormatInt(m.Chat.ID, 10), group(&m.Chat)
		e.ReplyTo = providerID("", m.Chat.ID, m.MessageID)
	}
	switch {
	case label != "":
		e.Text = "Pressed “" + label + "”"
	case q.GameShortName != "":
		e.Text = "Opened the game " + clean(q.GameShortName, 64)
	default:
		e.Text = joined(" ", "Pressed", clean(q.Data, 64))
	}
	e.Data = data(params{"type": "callback_query", "data": clean(q.Data, 64)})
	return []channels.Inbound{e}
}

func buttonText(k *models.InlineKeyboardMarkup, pressedData string) string {
	if k == nil || pressedData == "" {
		return ""
	}
	for _, row := range k.InlineKeyboard {
		for _, b := range row {
			if b.CallbackData == pressedData {
				return clean(b.Text, maxName)
			}
		}
	}
	return ""
}

// membership is what happened to the bot itself: a customer blocked it or let it in again, a group took it in or threw
// it out.
func membership(c *models.ChatMemberUpdated) []channels.Inbound {
	e := channels.Inbound{Chat: strconv.FormatInt(c.Chat.ID, 10), Sender: person(&c.From), Group: group(&c.Chat), At: unix(c.Date)}
	out := c.NewChatMember.Type == models.ChatMemberTypeBanned || c.NewChatMember.Type == models.ChatMemberTypeLeft
	if r := c.NewChatMember.Restricted; r != nil && !r.IsMember {
		out = true
	}
	reason := ""
	if e.Group == nil {
		e.Kind = channels.ContactUpdate
		if out {
			reason = "The customer has blocked the bot."
		}
		e.Sender.Unreachable = &reason
		return []channels.Inbound{e}
	}
	e.Kind = channels.Membership
	by := e.Sender.Name
	switch {
	case out:
		reason = "The bot is no longer in the group."
		e.Text = joined(" ", by, "removed the bot")
	case c.NewChatMember.Type == models.ChatMemberTypeAdministrator:
		e.Text = joined(" ", by, "made the bot an administrator")
	default:
		e.Text = joined(" ", by, "added the bot")
	}
	e.Group.Unreachable = &reason
	e.Data = data(params{"type": "my_chat_member", "status": string(c.NewChatMember.Type)})
	return []channels.Inbound{e}
}
