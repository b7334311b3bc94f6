package live

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/parley-hub/parley/internal/events"
)

// audience is who may see an event.
type audience byte

const (
	nobody    audience = iota
	everybody          // every agent
	oneAgent           // whom the event is about
	byScope            // who may see the conversation
)

// audienceOf follows the kinds of the contract. What is not named there goes to nobody: a new kind must be allowed
// here before a browser gets it.
func audienceOf(e *events.Event) audience {
	noun, what, _ := strings.Cut(e.Kind, ".")
	switch noun {
	case "session", "login", "token", "audit", "invitation":
		return nobody
	case "read", "draft", "notification", "bulk":
		return oneAgent
	case "agent": // how somebody gets in is nobody's business: agent.password_changed, agent.totp_removed
		if what == "created" || what == "updated" || what == "deleted" {
			return everybody
		}
	case "contact", "lead", "pipeline", "team", "channel", "setting", "canned":
		return everybody
	case "view":
		if shared(e) {
			return everybody
		}
		return oneAgent
	case "conversation", "message", "call":
		if e.ConversationID != 0 {
			return byScope
		}
	}
	return nobody
}

// shared reports whether a saved view is everybody's; its maker's own is his alone.
func shared(e *events.Event) bool {
	var body struct {
		Shared bool `json:"shared"`
	}
	return json.Unmarshal(e.Raw, &body) == nil && body.Shared
}

// prepared is an event with its frames, made once for all sockets.
type prepared struct {
	cursor events.Cursor
	to     audience
	agent  int64 // oneAgent

	conversation                         int64
	team, assignee, teamWas, assigneeWas int64
	moved                                bool // who could see it before may not see it now

	frame, gone []byte
}

func prepare(e *events.Event) *prepared {
	p := &prepared{
		cursor: e.Cursor, to: audienceOf(e), conversation: e.ConversationID,
		team: e.TeamID, assignee: e.AssigneeID, teamWas: e.TeamBefore, assigneeWas: e.AssigneeBefore,
	}
	switch p.to {
	case nobody:
		return p
	case oneAgent:
		p.agent = aboutAgent(e)
	case byScope:
		p.moved = e.Kind == "conversation.updated" && (p.team != p.teamWas || p.assignee != p.assigneeWas)
		if p.moved {
			data := append(strconv.AppendInt([]byte(`{"id":"`), e.ConversationID, 10), `"}`...)
			p.gone = eventFrame(e, "conversation.gone", data)
		}
	case everybody:
	}
	p.frame = eventFrame(e, e.Kind, e.Raw)
	return p
}

// aboutAgent is the agent that a personal event names.
func aboutAgent(e *events.Event) int64 {
	var body struct {
		AgentID id `json:"agent_id"`
	}
	if err := json.Unmarshal(e.Raw, &body); err == nil && body.AgentID != 0 {
		return int64(body.AgentID)
	}
	if e.Actor.Kind == "agent" {
		return e.Actor.ID
	}
	return 0
}

// frameFor returns what an agent is sent of the event, nil for nothing.
func (p *prepared) frameFor(a *Access) []byte {
	switch p.to {
	case everybody:
		return p.frame
	case oneAgent:
		if p.agent == a.AgentID {
			return p.frame
		}
	case byScope:
		if a.Sees(p.team, p.assignee) {
			return p.frame
		}
		if p.moved && a.Sees(p.teamWas, p.assigneeWas) {
			return p.gone
		}
	case nobody:
	}
	return nil
}

var errNoID = errors.New("an identifier is a decimal string")

// id reads an identifier whether it is written as a decimal string, as our API does, or as a number.
type id int64

func (i id) String() string { return strconv.FormatInt(int64(i), 10) }

func (i *id) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "" || s == "null" {
		*i = 0
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return errNoID
	}
	*i = id(n)
	return nil
}
