package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-hub/parley/e2e/rig"
)

// screen is a client that keeps the whole inbox true by the live feed alone, as the front end does: it reads everything
// once, applies events in whatever order they come, and after a break resumes with its cursor.
type screen struct {
	c *rig.Client

	mu       sync.Mutex
	convs    map[string]rig.Conversation
	items    map[string]rig.Item
	whole    map[string]bool // conversations whose past has been read
	cursor   string
	live     *rig.Live
	resumed  int
	reloaded int
}

func newScreen(c *rig.Client) *screen {
	return &screen{c: c, convs: map[string]rig.Conversation{}, items: map[string]rig.Item{}, whole: map[string]bool{}}
}

// run keeps the screen true until ctx ends.
func (s *screen) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := s.once(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// once is the life of one socket.
func (s *screen) once(ctx context.Context) error {
	s.mu.Lock()
	since := s.cursor
	s.mu.Unlock()
	l, err := s.c.Live(ctx, since)
	if err != nil {
		var p *rig.Problem
		if errors.As(err, &p) && p.Status < 500 {
			return err
		}
		rig.Pause(ctx, 20*time.Millisecond) // the hub or the network is away for a moment
		return nil
	}
	defer l.Close()
	s.mu.Lock()
	s.live = l
	s.mu.Unlock()
	if since == "" || l.Greeting.Type == "snapshot" {
		if err := s.reload(ctx); err != nil {
			return err
		}
	} else {
		s.mu.Lock()
		s.resumed++
		s.mu.Unlock()
	}
	s.keep(l.Greeting)
	for {
		f, err := l.Wait(ctx, "an event", func(f rig.Frame) bool { return f.Type == "event" })
		if err != nil {
			return nil //nolint:nilerr // the socket broke, or nothing happened for a while: come back
		}
		if ok, err := s.complete(ctx, f); err != nil || !ok {
			return err
		}
		if err := s.apply(f); err != nil {
			return err
		}
	}
}

// complete reads the timeline of a conversation that comes into sight: the event tells only its row. false = that could
// not be done now; a new socket from the same cursor brings the event again.
func (s *screen) complete(ctx context.Context, f rig.Frame) (bool, error) {
	if !strings.HasPrefix(f.Kind, "conversation.") && f.Kind != "message.created" || f.Kind == "conversation.gone" || f.ConversationID == nil {
		return true, nil
	}
	id := *f.ConversationID
	s.mu.Lock()
	complete := s.whole[id]
	s.mu.Unlock()
	if complete {
		return true, nil
	}
	list, err := rig.Timeline(ctx, s.c, id)
	switch status := rig.StatusOf(err); {
	case status == 404:
		return true, nil // gone again: the event that says so follows
	case status >= 500 || status == 0 && err != nil:
		return false, nil
	case err != nil:
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.whole[id] = true
	for _, i := range list {
		if old, ok := s.items[i.ID]; !ok || i.Version >= old.Version {
			s.items[i.ID] = i
		}
	}
	return true, nil
}

func (s *screen) keep(f rig.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = f.Cursor
}

// drop cuts the connection.
func (s *screen) drop() {
	s.mu.Lock()
	l := s.live
	s.mu.Unlock()
	if l != nil {
		l.Close()
	}
}

func (s *screen) reload(ctx context.Context) error {
	convs, items, err := inbox(ctx, s.c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloaded++
	s.convs, s.items = convs, items
	for id := range convs {
		s.whole[id] = true
	}
	return nil
}

// inbox reads all that somebody sees over the API.
func inbox(ctx context.Context, c *rig.Client) (map[string]rig.Conversation, map[string]rig.Item, error) {
	convs, items := map[string]rig.Conversation{}, map[string]rig.Item{}
	for _, view := range []string{"all", "closed"} {
		list, err := rig.All[rig.Conversation](ctx, c, "/api/conversations?limit=100&view="+view)
		if err != nil {
			return nil, nil, err
		}
		for _, k := range list {
			convs[k.ID] = k
		}
	}
	for id := range convs {
		list, err := rig.Timeline(ctx, c, id)
		if err != nil {
			return nil, nil, err
		}
		for _, i := range list {
			items[i.ID] = i
		}
	}
	return convs, items, nil
}

// apply takes an event over; an older version never overwrites a newer.
func (s *screen) apply(f rig.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = f.Cursor
	switch f.Kind {
	case "message.created", "message.updated":
		var i rig.Item
		if err := json.Unmarshal(f.Data, &i); err != nil {
			return err
		}
		if old, ok := s.items[i.ID]; !ok || i.Version >= old.Version {
			s.items[i.ID] = i
		}
		var with struct {
			Conversation *rig.Conversation `json:"conversation"`
		}
		if err := json.Unmarshal(f.Data, &with); err != nil {
			return err
		}
		if with.Conversation != nil {
			s.row(*with.Conversation)
		}
	case "conversation.created", "conversation.updated":
		var k rig.Conversation
		if err := json.Unmarshal(f.Data, &k); err != nil {
			return err
		}
		s.row(k)
	case "conversation.gone":
		var gone struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(f.Data, &gone); err != nil {
			return err
		}
		delete(s.convs, gone.ID)
		delete(s.whole, gone.ID)
		maps.DeleteFunc(s.items, func(_ string, i rig.Item) bool { return i.ConversationID == gone.ID })
	}
	return nil
}

func (s *screen) row(k rig.Conversation) {
	if old, ok := s.convs[k.ID]; !ok || k.Version >= old.Version {
		s.convs[k.ID] = k
	}
}

// differs says how the screen differs from what the API tells; "" = not at all.
func (s *screen) differs(ctx context.Context) (string, error) {
	convs, items, err := inbox(ctx, s.c)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return join(diff("conversation", s.convs, convs, showConversation), diff("item", s.items, items, showItem)), nil
}

func showConversation(k rig.Conversation) string {
	assignee, team := "", ""
	if k.AssigneeID != nil {
		assignee = *k.AssigneeID
	}
	if k.TeamID != nil {
		team = *k.TeamID
	}
	return fmt.Sprintf("v%d %s %q %q %s a%s t%s %d/%d", k.Version, k.Status, k.Contact.Name, k.LastText, k.LastDirection, assignee, team, k.InCount, k.MessageCount)
}

func showItem(i rig.Item) string {
	return fmt.Sprintf("v%d in %s %s %s %q %s", i.Version, i.ConversationID, i.Kind, i.Direction, i.Text, i.Status)
}

func diff[T any](what string, have, want map[string]T, show func(T) string) string {
	var out []string
	for id, w := range want {
		if h, ok := have[id]; !ok {
			out = append(out, fmt.Sprintf("%s %s is missing: %s", what, id, show(w)))
		} else if show(h) != show(w) {
			out = append(out, fmt.Sprintf("%s %s is %s, want %s", what, id, show(h), show(w)))
		}
	}
	for id, h := range have {
		if _, ok := want[id]; !ok {
			out = append(out, fmt.Sprintf("%s %s is too much: %s", what, id, show(h)))
		}
	}
	slices.Sort(out)
	return strings.Join(out[:min(5, len(out))], "\n")
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
}
