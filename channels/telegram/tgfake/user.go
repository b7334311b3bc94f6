package tgfake

import (
	"strings"
)

// User is a simulated customer of one bot.
type User struct {
	ID       int64
	First    string
	Last     string
	Username string
	Lang     string
	// Phone is what SendOwnContact shares, with the country code and without +, as Telegram gives it.
	Phone string

	b           *Bot
	deactivated bool
	onMessage   []func(u *User, m Message)
}

// NewUser makes a customer of the first bot. name may be "First Last".
func (s *Server) NewUser(name, lang string) *User { return s.first.NewUser(name, lang) }

// NewUser makes a customer of b.
func (b *Bot) NewUser(name, lang string) *User {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	first, last, _ := strings.Cut(name, " ")
	u := &User{ID: b.s.newID(), First: first, Last: last, Lang: lang, b: b}
	b.s.users[u.ID] = u
	return u
}

// With is the same person at another bot.
func (u *User) With(b *Bot) *User {
	v := *u
	v.b, v.onMessage = b, nil
	return &v
}

func (u *User) object() object {
	o := object{"id": u.ID, "is_bot": false, "first_name": u.First}
	u.names(o)
	if u.Lang != "" {
		o["language_code"] = u.Lang
	}
	return o
}

func (u *User) chatObject() object {
	o := object{"id": u.ID, "type": "private", "first_name": u.First}
	u.names(o)
	return o
}

func (u *User) names(o object) {
	if u.Last != "" {
		o["last_name"] = u.Last
	}
	if u.Username != "" {
		o["username"] = u.Username
	}
}

// Sent are the messages that the bot has sent to u, in order.
func (u *User) Sent() []Message {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	return u.b.privateChat(u).sent()
}

// Texts are the texts of Sent.
func (u *User) Texts() []string {
	var out []string
	for _, m := range u.Sent() {
		out = append(out, m.Text)
	}
	return out
}

// OnMessage is called, in a goroutine of its own, for each message that the bot sends to u or edits.
func (u *User) OnMessage(f func(m Message)) {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	u.onMessage = append(u.onMessage, func(_ *User, m Message) { f(m) })
}

// Block makes the bot's messages fail with 403; Unblock lets them through again. Both are told to the bot.
func (u *User) Block() { u.setBlocked(true) }

// Unblock undoes Block.
func (u *User) Unblock() { u.setBlocked(false) }

// Deactivate deletes the account.
func (u *User) Deactivate() {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	u.deactivated = true
}

func (u *User) setBlocked(blocked bool) {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	u.block(blocked)
}

func (u *User) block(blocked bool) {
	c := u.b.privateChat(u)
	if c.blocked == blocked {
		return
	}
	c.blocked = blocked
	status := func(kicked bool) object {
		o := object{"user": u.b.object(), "status": "member"}
		if kicked {
			o["status"], o["until_date"] = "kicked", 0
		}
		return o
	}
	u.b.push("my_chat_member", object{
		"chat": c.object, "from": u.object(), "date": u.b.s.Now().Unix(),
		"old_chat_member": status(!blocked), "new_chat_member": status(blocked),
	})
}

// Post sends a message of any kind: fields are those of the Bot API's Message beside id, chat, from and date. It returns
// the message's id.
func (u *User) Post(kind string, fields map[string]any) int {
	u.b.s.mu.Lock()
	defer u.b.s.mu.Unlock()
	return u.post(kind, fields)
}

func (u *User) post(kind string, fields object) int {
	c := u.b.privateChat(u)
	u.block(false)
	fields["from"] = u.object()
	m := u.b.add(c, kind, false, fields)
	u.b.push("message", m.object)
	return m.id
}
