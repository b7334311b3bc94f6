package telegram

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/parley-hub/parley/channels"
)

const maxName = 256

// person is a user. The number is the only key; the user name changes hands.
func person(u *models.User) channels.Person {
	return channels.Person{
		Identities: identity(u.ID), Name: fullName(u.FirstName, u.LastName),
		Username: clean(u.Username, 64), Language: clean(u.LanguageCode, 35),
	}
}

// chatPerson is the other side of a private chat, or a channel or group that speaks as itself.
func chatPerson(c *models.Chat) channels.Person {
	name := fullName(c.FirstName, c.LastName)
	if name == "" {
		name = clean(c.Title, maxName)
	}
	return channels.Person{Identities: identity(c.ID), Name: name, Username: clean(c.Username, 64)}
}

// group is the chat as a contact when several people are in it; nil for a private chat.
func group(c *models.Chat) *channels.Person {
	if c.Type == models.ChatTypePrivate || c.Type == "" && c.ID > 0 {
		return nil
	}
	p := chatPerson(c)
	return &p
}

func identity(id int64) []channels.Identity {
	if id == 0 {
		return nil
	}
	return []channels.Identity{{Kind: "telegram", Value: strconv.FormatInt(id, 10)}}
}

func fullName(first, last string) string {
	return clean(strings.TrimSpace(strings.TrimSpace(first)+" "+strings.TrimSpace(last)), maxName)
}

// chatRef is what a send needs beside the chat's number.
type chatRef struct {
	Business string `json:"business_connection_id,omitempty"`
	Thread   int    `json:"message_thread_id,omitempty"`
	Topic    int    `json:"direct_messages_topic_id,omitempty"`
}

func chatData(m *models.Message) json.RawMessage {
	ref := chatRef{Business: clean(m.BusinessConnectionID, 256)}
	if m.IsTopicMessage {
		ref.Thread = m.MessageThreadID
	}
	if m.DirectMessagesTopic != nil {
		ref.Topic = m.DirectMessagesTopic.TopicID
	}
	return ref.json()
}

func (r chatRef) json() json.RawMessage {
	if r == (chatRef{}) {
		return nil
	}
	b, _ := json.Marshal(r) // strings and numbers only
	return b
}

func messageID(m *models.Message) string {
	return providerID(clean(m.BusinessConnectionID, 256), m.Chat.ID, m.ID)
}

// providerID names a message. Telegram numbers the messages of each account by itself, so those of a business account
// carry its connection: the same customer's chat with the bot has numbers of its own.
func providerID(business string, chat int64, id int) string {
	s := strconv.FormatInt(chat, 10) + ":" + strconv.Itoa(id)
	if business != "" {
		return business + "/" + s
	}
	return s
}

// parseProviderID undoes providerID.
func parseProviderID(s string) (chat string, id int, ok bool) {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		s = s[i+1:]
	}
	chat, number, ok := strings.Cut(s, ":")
	if !ok {
		return "", 0, false
	}
	id, err := strconv.Atoi(number)
	return chat, id, err == nil && id > 0
}
