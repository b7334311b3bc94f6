package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/staff"
)

const (
	maxText = 200 // characters of a message in a notification
	// pushesPerMinute of one agent: whoever is given a thousand conversations at once needs no thousand signals.
	pushesPerMinute = 10
)

const (
	tellSQL = `INSERT INTO notification AS n (agent_id, kind, conversation_id, message_id, title, text, actor)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (agent_id, conversation_id, kind) WHERE read_at IS NULL DO UPDATE SET
	version = n.version + 1, times = n.times + 1, message_id = excluded.message_id, title = excluded.title, text = excluded.text,
	actor = excluded.actor, at = now()
RETURNING ` + columns

	titleSQL = `SELECT p.name FROM conversation c JOIN contact p ON p.id = c.contact_id WHERE c.id = $1`

	pushedSQL = `SELECT count(*)::int FROM (SELECT 1 FROM notification WHERE agent_id = $1 AND at > now() - interval '1 minute' LIMIT $2) x`

	devicesSQL = `SELECT id FROM push_subscription WHERE agent_id = $1 ORDER BY id`
)

// news is something that may concern somebody.
type news struct {
	kind         string
	agent        int64
	conversation int64
	message      *uuid.UUID
	text         string
	actor        string
}

// Follower decides who is told about what happens.
func (s *Service) Follower() events.Follower {
	return events.Follower{
		Name: "notify", Kinds: []string{inbox.EventMessageCreated, inbox.EventConversationUpdated, inbox.EventReadUpdated},
		Handle: s.follow, After: func() { events.Wake(s.bus) },
	}
}

func (s *Service) follow(ctx context.Context, tx pgx.Tx, evs []events.Event) error {
	people, err := staff.Colleagues(ctx, tx)
	if err != nil {
		return err
	}
	present, err := staff.Presence(ctx, tx)
	if err != nil {
		return err
	}
	h := house{people: people, present: present}
	for i := range evs {
		e := &evs[i]
		if e.Kind == inbox.EventReadUpdated {
			// What was read on the screen needs no bell any more.
			marked, err := read(ctx, tx, e.Actor.ID, ReadWhat{Conversation: ids.ID(e.ConversationID)})
			if err == nil {
				err = events.Append(ctx, tx, marked...)
			}
			if err != nil {
				return err
			}
			continue
		}
		list, err := h.newsOf(ctx, tx, e)
		if err != nil {
			return err
		}
		if err := s.tell(ctx, tx, e, list); err != nil {
			return err
		}
	}
	return nil
}

// house is who works here, as one batch of events finds it.
type house struct {
	people  []staff.Access
	present map[ids.ID]staff.Status
}

func (h house) name(e *events.Event) string {
	if e.Actor.Kind != "agent" {
		return ""
	}
	if i := slices.IndexFunc(h.people, func(p staff.Access) bool { return int64(p.AgentID) == e.Actor.ID }); i >= 0 {
		return h.people[i].Name
	}
	return ""
}

// watchers are the members of a team who are at work: a queue is not a reason to wake anybody.
func (h house) watchers(team int64) []int64 {
	var out []int64
	for _, p := range h.people {
		if p.InTeam(ids.ID(team)) && p.Can(staff.Reply) && h.present[p.AgentID] != staff.Off && h.present[p.AgentID] != "" {
			out = append(out, int64(p.AgentID))
		}
	}
	return out
}

// newsOf says whom an event may concern.
func (h house) newsOf(ctx context.Context, tx pgx.Tx, e *events.Event) ([]news, error) {
	if e.Kind == inbox.EventConversationUpdated {
		return h.moved(e), nil
	}
	var it struct {
		ID        uuid.UUID `json:"id"`
		Kind      string    `json:"kind"`
		Direction string    `json:"direction"`
		Text      string    `json:"text"`
		History   bool      `json:"history"`
		Data      struct {
			Mentions []inbox.Mention `json:"mentions"`
		} `json:"data"`
		Attachments []struct {
			Name string `json:"name"`
		} `json:"attachments"`
	}
	if err := json.Unmarshal(e.Raw, &it); err != nil {
		return nil, fmt.Errorf("read item: %w", err)
	}
	n := news{conversation: e.ConversationID, message: &it.ID, text: clip(it.Text), actor: h.name(e)}
	if n.text == "" && len(it.Attachments) > 0 {
		n.text = clip(it.Attachments[0].Name)
	}
	switch {
	case it.Kind == "note" && len(it.Data.Mentions) > 0:
		called, err := inbox.MentionedIn(ctx, tx, it.ID)
		if err != nil {
			return nil, err
		}
		return n.to(Called, h.seeing(e, called)...), nil
	case it.Kind != "message" || it.Direction != "in" || it.History:
		return nil, nil
	case e.AssigneeID != 0:
		return n.to(Message, e.AssigneeID), nil
	case e.TeamID != 0:
		return n.to(Queue, h.watchers(e.TeamID)...), nil
	}
	return nil, nil
}

// moved follows a conversation that was given to somebody, or back to a team's queue.
func (h house) moved(e *events.Event) []news {
	var c inbox.Conversation
	if json.Unmarshal(e.Raw, &c) != nil || c.Status == inbox.Closed {
		return nil
	}
	n := news{conversation: e.ConversationID, text: clip(c.LastText), actor: h.name(e)}
	switch {
	case e.AssigneeID != 0 && e.AssigneeID != e.AssigneeBefore:
		return n.to(Assigned, e.AssigneeID)
	case e.AssigneeID == 0 && e.TeamID != 0 && (e.TeamID != e.TeamBefore || e.AssigneeBefore != 0) && c.Status != inbox.Snoozed:
		return n.to(Queue, h.watchers(e.TeamID)...)
	}
	return nil
}

// seeing leaves out who may not see the conversation any more.
func (h house) seeing(e *events.Event, agents []int64) []int64 {
	return slices.DeleteFunc(agents, func(agent int64) bool {
		return !slices.ContainsFunc(h.people, func(p staff.Access) bool {
			return int64(p.AgentID) == agent && p.Sees(ids.ID(e.TeamID), ids.ID(e.AssigneeID))
		})
	})
}

func (n news) to(kind string, agents ...int64) []news {
	out := make([]news, len(agents))
	for i, agent := range agents {
		out[i] = n
		out[i].kind, out[i].agent = kind, agent
	}
	return out
}

// tell writes down what somebody wants to know, and has his devices told.
func (s *Service) tell(ctx context.Context, tx pgx.Tx, e *events.Event, list []news) error {
	list = slices.DeleteFunc(list, func(n news) bool {
		return e.Actor.Kind == "agent" && e.Actor.ID == n.agent || s.cfg.Looking(n.agent, n.conversation)
	})
	if len(list) == 0 {
		return nil
	}
	agents := make([]int64, len(list))
	for i, n := range list {
		agents[i] = n.agent
	}
	settings, err := settingsOf(ctx, tx, agents)
	if err != nil {
		return err
	}
	var title string
	if err := tx.QueryRow(ctx, titleSQL, e.ConversationID).Scan(&title); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // the conversation is gone: nothing to show
		}
		return fmt.Errorf("read contact of conversation %d: %w", e.ConversationID, err)
	}
	for _, n := range list {
		how := settings(n.agent).of(n.kind)
		if how == Off {
			continue
		}
		if err := s.tellOne(ctx, tx, n, title, how == Push); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) tellOne(ctx context.Context, tx pgx.Tx, n news, title string, devices bool) error {
	var lately int
	if devices {
		if err := tx.QueryRow(ctx, pushedSQL, n.agent, pushesPerMinute).Scan(&lately); err != nil {
			return fmt.Errorf("look at notifications: %w", err)
		}
	}
	rows, err := tx.Query(ctx, tellSQL, n.agent, n.kind, n.conversation, n.message, title, n.text, n.actor)
	if err != nil {
		return fmt.Errorf("notify agent %d: %w", n.agent, err)
	}
	told, err := pgx.CollectExactlyOneRow(rows, scan)
	if err != nil {
		return fmt.Errorf("notify agent %d: %w", n.agent, err)
	}
	if err := events.Append(ctx, tx, events.Event{
		Kind: EventUpdated, Actor: events.System, SubjectKind: "notification", SubjectID: told.ID.String(), Payload: told,
	}); err != nil {
		return err
	}
	if !devices || lately >= pushesPerMinute {
		return nil
	}
	if rows, err = tx.Query(ctx, devicesSQL, n.agent); err != nil {
		return fmt.Errorf("list devices of agent %d: %w", n.agent, err)
	}
	subscriptions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("list devices of agent %d: %w", n.agent, err)
	}
	for _, id := range subscriptions {
		if err := jobs.InsertTx(ctx, tx, pushArgs{Notification: int64(told.ID), Version: told.Version, Subscription: id}); err != nil {
			return err
		}
	}
	return nil
}

func clip(s string) string {
	if utf8.RuneCountInString(s) <= maxText {
		return s
	}
	r := []rune(s)
	return string(r[:maxText-1]) + "…"
}
