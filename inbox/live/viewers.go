package live

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// viewersSubject is where nodes tell each other who looks at a conversation.
const viewersSubject = "live.viewers"

const (
	// viewersAgain is how often a node repeats itself, so that one that came later knows too; viewersLast is when a
	// node that says nothing any more is forgotten.
	viewersAgain = 15 * time.Second
	viewersLast  = 40 * time.Second
	viewersMax   = 10_000
)

// viewersHint is what travels on the bus: all agents who look at a conversation on that node.
type viewersHint struct {
	Node         string  `json:"n"`
	Conversation int64   `json:"c"`
	Agents       []int64 `json:"a"`
}

// viewers is who looks at what.
type viewers struct {
	here    map[int64][]*conn                   // on this node
	there   map[int64]map[string]*remoteViewers // on others, by node
	dirty   map[int64]bool
	shown   map[int64][]int64 // what was told last
	again   time.Time
	leaving []*conn // scratch of moved
}

type remoteViewers struct {
	agents []int64
	until  time.Time
}

func newViewers() viewers {
	return viewers{
		here: map[int64][]*conn{}, there: map[int64]map[string]*remoteViewers{},
		dirty: map[int64]bool{}, shown: map[int64][]int64{},
	}
}

// watch notes that a socket looks at a conversation, 0 for none. The caller holds mu.
func (h *Hub) watch(c *conn, conversation int64) {
	if c.watching == conversation {
		return
	}
	v := &h.viewers
	if old := c.watching; old != 0 {
		v.here[old] = slices.DeleteFunc(v.here[old], func(o *conn) bool { return o == c })
		if len(v.here[old]) == 0 {
			delete(v.here, old)
		}
		v.dirty[old] = true
		h.announce(old)
	}
	c.watching = conversation
	if conversation != 0 {
		v.here[conversation] = append(v.here[conversation], c)
		v.dirty[conversation] = true
		h.announce(conversation)
	}
}

// announce tells the other nodes who looks at a conversation here. The caller holds mu.
func (h *Hub) announce(conversation int64) {
	b, err := json.Marshal(viewersHint{h.node, conversation, h.viewersHere(conversation)})
	if err != nil {
		return // plain types always marshal
	}
	_ = h.bus.Publish(viewersSubject, b)
}

func (h *Hub) viewersHere(conversation int64) []int64 {
	agents := []int64{}
	for _, c := range h.viewers.here[conversation] {
		agents = append(agents, c.viewer.AgentID)
	}
	return unique(agents)
}

// viewersOf lists who looks at a conversation, on all nodes. The caller holds mu.
func (h *Hub) viewersOf(conversation int64) []int64 {
	agents := h.viewersHere(conversation)
	for _, r := range h.viewers.there[conversation] {
		agents = append(agents, r.agents...)
	}
	return unique(agents)
}

// Looking reports whether an agent has a conversation on the screen just now, on any node.
func (h *Hub) Looking(agent, conversation int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.viewersOf(conversation), agent)
}

func unique(agents []int64) []int64 {
	slices.Sort(agents)
	return slices.Compact(agents)
}

// viewersHint takes a notice of another node.
func (h *Hub) viewersHint(_ string, data []byte) {
	var n viewersHint
	if err := json.Unmarshal(data, &n); err != nil || n.Node == h.node || n.Conversation == 0 {
		return
	}
	now := h.cfg.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	v := &h.viewers
	nodes := v.there[n.Conversation]
	if len(n.Agents) == 0 {
		if nodes != nil {
			delete(nodes, n.Node)
			v.dirty[n.Conversation] = true
		}
		return
	}
	if nodes == nil {
		if len(v.there) >= viewersMax {
			return
		}
		nodes = map[string]*remoteViewers{}
		v.there[n.Conversation] = nodes
	}
	nodes[n.Node] = &remoteViewers{unique(n.Agents), now.Add(viewersLast)}
	v.dirty[n.Conversation] = true
}

// flushViewers tells what has changed since the last tick.
func (h *Hub) flushViewers(now time.Time) {
	h.mu.Lock()
	again := now.Sub(h.viewers.again) >= viewersAgain
	if again {
		h.viewers.again = now
		for conversation, nodes := range h.viewers.there {
			for node, r := range nodes {
				if now.After(r.until) {
					delete(nodes, node)
					h.viewers.dirty[conversation] = true
				}
			}
			if len(nodes) == 0 {
				delete(h.viewers.there, conversation)
			}
		}
		for conversation := range h.viewers.here {
			h.announce(conversation)
		}
	}
	var unknown []int64
	for conversation := range h.viewers.dirty {
		if _, known := h.places.of[conversation]; !known {
			unknown = append(unknown, conversation)
			continue
		}
		h.tellViewers(conversation)
	}
	h.mu.Unlock()
	if len(unknown) > 0 {
		// Watched on another node only. The database is asked outside of the lock and off the loop that shows events.
		h.lookUpViewed(unknown)
	}
}

// lookUpViewed finds the places of conversations; the next tick tells.
func (h *Hub) lookUpViewed(conversations []int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, conversation := range conversations {
		delete(h.viewers.dirty, conversation)
	}
	if h.stopped {
		return
	}
	h.work.Go(func() {
		for _, conversation := range conversations {
			if _, err := h.where(h.ctx, conversation); err != nil {
				continue
			}
			h.mu.Lock()
			h.viewers.dirty[conversation] = true
			h.mu.Unlock()
		}
	})
}

// tellViewers sends the viewers of a conversation to those who may see it. The caller holds mu.
func (h *Hub) tellViewers(conversation int64) {
	v := &h.viewers
	delete(v.dirty, conversation)
	agents := h.viewersOf(conversation)
	if slices.Equal(agents, v.shown[conversation]) {
		return
	}
	if len(agents) == 0 {
		delete(v.shown, conversation)
	} else {
		v.shown[conversation] = agents
	}
	f := viewersFrame(conversation, agents)
	for _, c := range h.audience(conversation) {
		c.send(f)
	}
}

func viewersFrame(conversation int64, agents []int64) []byte {
	b := append(make([]byte, maxHeader, 128), `{"type":"viewers","conversation_id":`...)
	b = appendID(b, conversation)
	b = append(b, `,"agents":[`...)
	for i, a := range agents {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendID(b, a)
	}
	return seal(opText, append(b, `]}`...))
}

// onWatch answers a client who opens a conversation, or none.
func (c *conn) onWatch(ctx context.Context, m *clientFrame) error {
	conversation := int64(m.ConversationID)
	if conversation != 0 {
		if _, err := c.visible(ctx, conversation); err != nil {
			return err
		}
	}
	h := c.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if !c.live {
		return nil
	}
	if at, known := h.places.of[conversation]; conversation != 0 && known && !c.access.Sees(at.team, at.assignee) {
		return errUnseen() // it moved while we looked
	}
	h.watch(c, conversation)
	if conversation == 0 {
		return nil
	}
	// Who opens it late is told what others were told before.
	now := [][]byte{viewersFrame(conversation, h.viewersOf(conversation))}
	if t := h.typing.in[conversation]; t != nil {
		for key, s := range t.who {
			if s.on && (key.kind != "agent" || key.id != c.viewer.AgentID) {
				now = append(now, typingFrame(conversation, key, s))
			}
		}
	}
	c.send(now...)
	return nil
}
