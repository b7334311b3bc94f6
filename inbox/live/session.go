package live

import (
	"encoding/json"
	"time"

	"github.com/parley-hub/parley/internal/events"
)

// sessions remembers which sessions ended lately. Without it a session that ends between the look of web at its cookie
// and the registration of the socket would leave a socket that nobody closes.
type sessions struct {
	mark uint64 // counts the ends
	last []endedSession
}

type endedSession struct {
	mark           uint64
	agent, session int64 // session 0: all of the agent's
	at             time.Time
}

const sessionMemory = time.Minute

func newSessions() sessions { return sessions{} }

// ended reports whether the viewer's session ended: this very session, or since mark all of the agent's.
func (s *sessions) ended(v Viewer, mark uint64) bool {
	for _, e := range s.last {
		if e.agent != v.AgentID {
			continue
		}
		if e.session == 0 && e.mark > mark || e.session != 0 && e.session == v.SessionID {
			return true
		}
	}
	return false
}

func (s *sessions) forget(now time.Time) {
	for len(s.last) > 0 && now.Sub(s.last[0].at) > sessionMemory {
		s.last = s.last[1:]
	}
	if len(s.last) == 0 {
		s.last = nil
	}
}

// sessionEnded closes the sockets of the session, or all of the agent's. The caller holds mu.
func (h *Hub) sessionEnded(e *events.Event) {
	var body struct {
		AgentID   id `json:"agent_id"`
		SessionID id `json:"session_id"`
	}
	if err := json.Unmarshal(e.Raw, &body); err != nil || body.AgentID == 0 {
		h.log.Error("a session.ended event cannot be read", "cursor", e.Cursor.String(), "error", err)
		return
	}
	h.signOut(int64(body.AgentID), int64(body.SessionID))
}

func (h *Hub) signOut(agent, session int64) {
	h.sessions.mark++
	h.sessions.last = append(h.sessions.last, endedSession{h.sessions.mark, agent, session, h.cfg.Now()})
	for _, c := range h.byAgent[agent] {
		if session == 0 || c.viewer.SessionID == session {
			c.live = false
			c.shutdown(closeSignedOut, "signed out")
		}
	}
}
