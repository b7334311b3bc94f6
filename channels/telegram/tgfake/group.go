package tgfake

// Group is a group with the bot in it.
type Group struct {
	ID    int64
	Title string

	bot      *Bot
	chat     *chat
	super    bool
	in       bool  // the bot is a member
	upgraded int64 // the supergroup that it became
}

// NewGroup makes a group of the first bot; super = a supergroup.
func (s *Server) NewGroup(title string, super bool) *Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first.newGroup(title, super)
}

func (b *Bot) newGroup(title string, super bool) *Group {
	g := &Group{Title: title, bot: b, super: super, in: true}
	g.ID = -b.s.newID()
	if super {
		g.ID -= 1_000_000_000_000
	}
	g.chat = &chat{key: chatKey{id: g.ID}, group: g, messages: map[int]*message{}}
	g.chat.object = g.object()
	b.s.groups[g.ID] = g
	return g
}

func (g *Group) object() object {
	kind := "group"
	if g.super {
		kind = "supergroup"
	}
	return object{"id": g.ID, "type": kind, "title": g.Title}
}

// Say is a message of u in the group.
func (g *Group) Say(u *User, text string) int { return g.Post(u, "text", textFields(text)) }

// Post is a message of any kind in the group, service messages included; u may be nil.
func (g *Group) Post(u *User, kind string, fields map[string]any) int {
	g.bot.s.mu.Lock()
	defer g.bot.s.mu.Unlock()
	if u != nil {
		fields["from"] = u.object()
	}
	m := g.bot.add(g.chat, kind, false, fields)
	g.bot.push("message", m.object)
	return m.id
}

// Joined says that u came in by itself.
func (g *Group) Joined(u *User) int {
	return g.Post(u, "service", object{"new_chat_member": u.object(), "new_chat_participant": u.object(), "new_chat_members": []object{u.object()}})
}

// Left says that u went away.
func (g *Group) Left(u *User) int {
	return g.Post(u, "service", object{"left_chat_member": u.object()})
}

// Rename changes the title.
func (g *Group) Rename(by *User, title string) int {
	g.bot.s.mu.Lock()
	g.Title = title
	g.chat.object = g.object()
	g.bot.s.mu.Unlock()
	return g.Post(by, "service", object{"new_chat_title": title})
}

// Kick throws the bot out (in = false) or takes it in.
func (g *Group) Kick(by *User, out bool) {
	g.bot.s.mu.Lock()
	defer g.bot.s.mu.Unlock()
	status := func(out bool) object {
		o := object{"user": g.bot.object(), "status": "member"}
		if out {
			o["status"], o["until_date"] = "kicked", 0
		}
		return o
	}
	g.in = !out
	g.bot.push("my_chat_member", object{
		"chat": g.chat.object, "from": by.object(), "date": g.bot.s.Now().Unix(), "old_chat_member": status(!out), "new_chat_member": status(out),
	})
}

// Upgrade turns a group into a supergroup with a new number; both are told, as Telegram does.
func (g *Group) Upgrade(by *User) *Group {
	g.bot.s.mu.Lock()
	n := g.bot.newGroup(g.Title, true)
	g.upgraded = n.ID
	g.bot.s.mu.Unlock()
	g.Post(by, "service", object{"migrate_to_chat_id": n.ID})
	n.Post(by, "service", object{"migrate_from_chat_id": g.ID, "sender_chat": n.object()})
	return n
}

// Sent are the bot's messages in the group.
func (g *Group) Sent() []Message {
	g.bot.s.mu.Lock()
	defer g.bot.s.mu.Unlock()
	return g.chat.sent()
}

// Business is a business account that lets the bot answer for it.
type Business struct {
	ID string

	b       *Bot
	owner   *User
	enabled bool
	at      int64
}

// Connect lets the first bot answer for owner's account.
func (s *Server) Connect(owner *User) *Business {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.first
	z := &Business{ID: s.opaque("biz"), b: b, owner: owner, enabled: true, at: s.Now().Unix()}
	b.business[z.ID] = z
	b.push("business_connection", z.object())
	return z
}

func (z *Business) object() object {
	return object{
		"id": z.ID, "user": z.owner.object(), "user_chat_id": z.owner.ID, "date": z.at, "is_enabled": z.enabled,
		"rights": object{"can_reply": true, "can_read_messages": true},
	}
}

// Disconnect ends it.
func (z *Business) Disconnect() {
	z.b.s.mu.Lock()
	defer z.b.s.mu.Unlock()
	z.enabled = false
	z.b.push("business_connection", z.object())
}

func (z *Business) chat(customer *User) *chat {
	key := chatKey{business: z.ID, id: customer.ID}
	c := z.b.chats[key]
	if c == nil {
		c = &chat{key: key, object: customer.chatObject(), user: customer, messages: map[int]*message{}}
		z.b.chats[key] = c
	}
	return c
}

// Write is a message of the customer to the business account.
func (z *Business) Write(customer *User, text string) int { return z.post(customer, customer, text) }

// OwnerWrites is what the owner types to the customer with his own hands.
func (z *Business) OwnerWrites(customer *User, text string) int {
	return z.post(customer, z.owner, text)
}

func (z *Business) post(customer, from *User, text string) int {
	z.b.s.mu.Lock()
	defer z.b.s.mu.Unlock()
	fields := textFields(text)
	fields["from"], fields["business_connection_id"] = from.object(), z.ID
	m := z.b.add(z.chat(customer), "text", false, fields)
	z.b.push("business_message", m.object)
	return m.id
}

// Edit changes a message.
func (z *Business) Edit(customer *User, id int, text string) {
	z.b.s.mu.Lock()
	defer z.b.s.mu.Unlock()
	if m := z.chat(customer).messages[id]; m != nil {
		m.object["text"], m.object["edit_date"] = text, z.b.s.Now().Unix()
		delete(m.object, "entities")
		z.b.push("edited_business_message", m.object)
	}
}

// Delete deletes messages.
func (z *Business) Delete(customer *User, ids ...int) {
	z.b.s.mu.Lock()
	defer z.b.s.mu.Unlock()
	c := z.chat(customer)
	for _, id := range ids {
		if m := c.messages[id]; m != nil {
			m.deleted = true
		}
	}
	z.b.push("deleted_business_messages", object{"business_connection_id": z.ID, "chat": c.object, "message_ids": ids})
}

// Sent are the bot's messages to the customer in the account's name.
func (z *Business) Sent(customer *User) []Message {
	z.b.s.mu.Lock()
	defer z.b.s.mu.Unlock()
	return z.chat(customer).sent()
}
