package live

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"
)

// typingSubject is where nodes tell each other who is typing.
const typingSubject = "live.typing"

const (
	// typingLasts is how long somebody types who does not say so again.
	typingLasts = 6 * time.Second
	// typingMax bounds what is remembered; beyond it notices are dropped, they are only hints.
	typingMax = 10_000
)

// Who types: an agent or the customer.
type Who struct {
	Kind string // "agent" or "contact"
	ID   int64
	Name string
}

// typingHint is what travels on the bus.
type typingHint struct {
	Conversation int64  `json:"c"`
	Kind         string `json:"k"`
	ID           int64  `json:"i"`
	Name         string `json:"n"`
	On           bool   `json:"o"`
}

// typing is who types where, as this node knows it.
type typing struct{ in map[int64]*typists }

type typists struct {
	who  map[typist]*typingState
	told time.Time
}

type typist struct {
	kind string
	id   int64
}

type typingState struct {
	name  string
	on    bool
	until time.Time
	dirty bool // not told yet
}

func newTyping() typing { return typing{in: map[int64]*typists{}} }

func newNode() string { return rand.Text() }

// Typing shows to those who may see the conversation, on every node, that somebody types there or no longer does. It
// never blocks.
func (h *Hub) Typing(conversationID int64, who Who, on bool) {
	b, err := json.Marshal(typingHint{conversationID, who.Kind, who.ID, who.Name, on})
	if err != nil {
		return // plain types always marshal
	}
	_ = h.bus.Publish(typingSubject, b)
}

// typingHint takes a notice off the bus, ours too.
func (h *Hub) typingHint(_ string, data []byte) {
	var n typingHint
	if err := json.Unmarshal(data, &n); err != nil || n.Conversation == 0 {
		return
	}
	if _, err := h.where(h.ctx, n.Conversation); err != nil {
		return // gone, or the database is away: a hint is not worth more
	}
	now := h.cfg.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.typing.in[n.Conversation]
	if t == nil {
		if !n.On || len(h.typing.in) >= typingMax {
			return
		}
		t = &typists{who: map[typist]*typingState{}}
		h.typing.in[n.Conversation] = t
	}
	key := typist{n.Kind, n.ID}
	s := t.who[key]
	if s == nil {
		if !n.On {
			return
		}
		s = &typingState{}
		t.who[key] = s
	}
	s.name, s.on, s.until, s.dirty = n.Name, n.On, now.Add(typingLasts), true
	h.tellTyping(n.Conversation, t, now)
}

// tellTyping sends what has changed in a conversation, at most once per tick. The caller holds mu.
func (h *Hub) tellTyping(conversation int64, t *typists, now time.Time) {
	if now.Sub(t.told) < tick {
		return
	}
	for key, s := range t.who {
		if !s.dirty {
			continue
		}
		s.dirty = false
		t.told = now
		f := typingFrame(conversation, key, s)
		for _, c := range h.audience(conversation) {
			if key.kind != "agent" || key.id != c.viewer.AgentID {
				c.send(f)
			}
		}
		if !s.on {
			delete(t.who, key)
		}
	}
}

// flushTyping tells what was held back and ends what has expired.
func (h *Hub) flushTyping(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for conversation, t := range h.typing.in {
		for _, s := range t.who {
			if s.on && now.After(s.until) {
				s.on, s.dirty = false, true
			}
		}
		h.tellTyping(conversation, t, now)
		if len(t.who) == 0 {
			delete(h.typing.in, conversation)
		}
	}
}

func typingFrame(conversation int64, who typist, s *typingState) []byte {
	b := append(make([]byte, maxHeader, 192), `{"type":"typing","conversation_id":`...)
	b = appendID(b, conversation)
	b = append(b, `,"who":{"kind":`...)
	b = appendString(b, who.kind)
	b = append(b, `,"id":`...)
	b = appendID(b, who.id)
	b = append(b, `,"name":`...)
	b = appendString(b, s.name)
	if s.on {
		b = append(b, `},"on":true}`...)
	} else {
		b = append(b, `},"on":false}`...)
	}
	return seal(opText, b)
}

// audience lists the sockets that may see a conversation whose place is known. The caller holds mu.
func (h *Hub) audience(conversation int64) []*conn {
	at, known := h.places.of[conversation]
	if !known {
		return nil
	}
	var out []*conn
	for _, c := range h.conns {
		if c.live && c.access.Sees(at.team, at.assignee) {
			out = append(out, c)
		}
	}
	return out
}

// onTyping answers a client who says that his agent types.
func (c *conn) onTyping(ctx context.Context, m *clientFrame) error {
	access, err := c.visible(ctx, int64(m.ConversationID))
	if err != nil {
		return err
	}
	c.hub.Typing(int64(m.ConversationID), Who{Kind: "agent", ID: access.AgentID, Name: access.Name}, m.On)
	if m.On && c.hub.cfg.AgentTypes != nil {
		c.hub.cfg.AgentTypes(int64(m.ConversationID))
	}
	return nil
}
