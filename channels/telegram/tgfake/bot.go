package tgfake

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Bot is one bot of the server.
type Bot struct {
	Token    string
	ID       int64
	Username string

	s        *Server
	revoked  bool
	updates  []update
	history  []update // the last that were acknowledged
	lastID   int64    // of updates
	allowed  map[string]bool
	news     chan struct{} // closed and made anew with every update
	poll     chan struct{} // closed when another poller takes over
	hook     webhook
	ended    int // counts EndPolls
	lastMsg  int
	chats    map[chatKey]*chat
	business map[string]*Business
	actions  []string // chat actions shown
	answered []string // callback queries answered
}

type update struct {
	id   int64
	kind string
	raw  json.RawMessage
}

// chatKey: a business account's chats are apart from the bot's own.
type chatKey struct {
	business string
	id       int64
}

type chat struct {
	key      chatKey
	object   object
	user     *User  // private chats
	group    *Group // the others
	blocked  bool
	messages map[int]*message
	order    []int
	lastMsg  int // supergroups number their own messages
}

type message struct {
	id       int
	object   object
	byBot    bool
	deleted  bool
	edited   bool
	reaction []string // the bot's
	files    []File
	kind     string
}

// NewBot makes a bot. The number before the colon of the token is its id.
func (s *Server) NewBot(token, username string) *Bot {
	s.mu.Lock()
	defer s.mu.Unlock()
	head, _, _ := strings.Cut(token, ":")
	id, err := strconv.ParseInt(head, 10, 64)
	if err != nil {
		id = s.newID()
	}
	b := &Bot{
		Token: token, ID: id, Username: username, s: s, news: make(chan struct{}), lastID: 100_000_000 + id%1_000_000,
		chats: map[chatKey]*chat{}, business: map[string]*Business{},
	}
	s.bots[token] = b
	return b
}

// Bot is the first bot.
func (s *Server) Bot() *Bot { return s.first }

func (b *Bot) object() object {
	return object{"id": b.ID, "is_bot": true, "first_name": b.Username, "username": b.Username}
}

// defaultAllowed: what is not named here is sent only when allowed_updates asks for it.
func defaultAllowed(kind string) bool {
	return kind != "chat_member" && kind != "message_reaction" && kind != "message_reaction_count"
}

// push queues an update for the bot; it needs s.mu. The value is encoded at once, later changes do not show.
func (b *Bot) push(kind string, value any) int64 {
	if b.allowed != nil && !b.allowed[kind] || b.allowed == nil && !defaultAllowed(kind) {
		return 0
	}
	b.lastID++
	raw, err := json.Marshal(object{"update_id": b.lastID, kind: value})
	if err != nil {
		panic("tgfake: an update that is no JSON: " + err.Error())
	}
	b.append(update{id: b.lastID, kind: kind, raw: raw})
	return b.lastID
}

func (b *Bot) append(u update) {
	b.updates = append(b.updates, u)
	b.wake()
}

func (b *Bot) wake() {
	close(b.news)
	b.news = make(chan struct{})
}

// Pending is how many updates wait to be acknowledged.
func (b *Bot) Pending() int {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return len(b.updates)
}

// Actions are the chat actions shown so far, as "<chat id> typing".
func (b *Bot) Actions() []string {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return append([]string(nil), b.actions...)
}

// Answered are the callback queries that the bot answered.
func (b *Bot) Answered() []string {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	return append([]string(nil), b.answered...)
}

// Raw queues an update as it is. A missing update_id is filled in; the id is returned.
func (b *Bot) Raw(raw json.RawMessage) int64 {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	fields := map[string]json.RawMessage{}
	var head struct {
		ID int64 `json:"update_id"`
	}
	if json.Unmarshal(raw, &fields) != nil || json.Unmarshal(raw, &head) != nil {
		b.lastID++
		b.append(update{id: b.lastID, raw: raw}) // what is no update is delivered as it is
		return b.lastID
	}
	if head.ID == 0 {
		b.lastID++
		head.ID = b.lastID
		fields["update_id"] = json.RawMessage(strconv.FormatInt(head.ID, 10))
		raw, _ = json.Marshal(fields) // valid JSON a moment ago
	}
	b.lastID = max(b.lastID, head.ID)
	b.append(update{id: head.ID, raw: append(json.RawMessage(nil), raw...)})
	return head.ID
}

// acknowledge forgets what is below offset; it needs s.mu.
func (b *Bot) acknowledge(offset int64) {
	b.drop(func(u update) bool { return u.id < offset })
}

func (b *Bot) drop(gone func(update) bool) {
	i := 0 // nearly always a row at the front
	for i < len(b.updates) && gone(b.updates[i]) {
		i++
	}
	b.history = append(b.history, b.updates[:i]...)
	b.updates = b.updates[i:]
	b.updates = slices.DeleteFunc(b.updates, func(u update) bool {
		if !gone(u) {
			return false
		}
		b.history = append(b.history, u)
		return true
	})
	if extra := len(b.history) - 1000; extra > 0 {
		b.history = b.history[extra:]
	}
}

// Redeliver queues the last n acknowledged updates again, as a provider does that has lost the acknowledgement.
func (b *Bot) Redeliver(n int) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	again := slices.Clone(b.history[max(0, len(b.history)-n):])
	b.updates = append(again, b.updates...)
	b.wake()
}

// Reverse turns the order of what waits around.
func (b *Bot) Reverse() {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.updates = slices.Clone(b.updates)
	slices.Reverse(b.updates)
}

// Recorded returns what waits to be acknowledged, as it will be delivered.
func (b *Bot) Recorded() []json.RawMessage {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	out := make([]json.RawMessage, len(b.updates))
	for i, u := range b.updates {
		out[i] = u.raw
	}
	return out
}

// privateChat finds or makes the chat of u with the bot; it needs s.mu.
func (b *Bot) privateChat(u *User) *chat {
	key := chatKey{id: u.ID}
	c := b.chats[key]
	if c == nil {
		c = &chat{key: key, object: u.chatObject(), user: u, messages: map[int]*message{}}
		b.chats[key] = c
	}
	return c
}

// nextMessage numbers a message: private chats and groups of a bot share one row of numbers, supergroups have their own.
func (b *Bot) nextMessage(c *chat) int {
	if c.group != nil && c.group.super {
		c.lastMsg++
		return c.lastMsg
	}
	b.lastMsg++
	return b.lastMsg
}

// add stores a message in c and returns it; it needs s.mu.
func (b *Bot) add(c *chat, kind string, byBot bool, fields object) *message {
	id := b.nextMessage(c)
	o := object{"message_id": id, "chat": c.object, "date": b.s.Now().Unix()}
	for k, v := range fields {
		o[k] = v
	}
	m := &message{id: id, object: o, byBot: byBot, kind: kind}
	c.messages[id] = m
	c.order = append(c.order, id)
	return m
}

// EndPolls lets a waiting getUpdates answer at once with what there is.
func (b *Bot) EndPolls() {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.ended++
	b.wake()
}

// Skip makes the bot number its next updates and messages as one that has been in use before: a hub remembers the numbers
// that it has seen, so a server that starts anew beside an older hub must not give them out again.
func (b *Bot) Skip(n int) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.lastID += int64(n)
	b.lastMsg += n
}
