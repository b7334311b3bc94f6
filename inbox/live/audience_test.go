package live

import (
	"encoding/json"
	"testing"

	"github.com/parley-hub/parley/internal/events"
)

// TestWhoSeesWhatIsPersonal: what belongs to one agent reaches him alone, and a view all those who have it.
func TestWhoSeesWhatIsPersonal(t *testing.T) {
	t.Parallel()
	me, colleague := &Access{AgentID: 5, Scope: scopeAll}, &Access{AgentID: 6, Scope: scopeAll}
	for _, c := range []struct {
		kind, payload   string
		mine, everybody bool
	}{
		{"draft.updated", `{"agent_id": "5", "text": "secret"}`, true, false},
		{"notification.updated", `{"agent_id": "5"}`, true, false},
		{"notification.read", `{"agent_id": "5"}`, true, false},
		{"bulk.updated", `{"agent_id": "5"}`, true, false},
		{"canned.updated", `{"id": "1"}`, true, true},
		{"view.updated", `{"agent_id": "5", "shared": false}`, true, false},
		{"view.updated", `{"agent_id": "5", "shared": true}`, true, true},
		{"view.deleted", `{"agent_id": "5", "shared": true}`, true, true},
		{"push.updated", `{"agent_id": "5"}`, false, false}, // not named: nobody's
	} {
		// a conversation that everybody sees makes what is personal no less so
		p := prepare(&events.Event{Kind: c.kind, Actor: events.System, ConversationID: 9, Raw: json.RawMessage(c.payload)})
		if got := p.frameFor(me) != nil; got != c.mine {
			t.Errorf("%s %s reaches its agent: %v", c.kind, c.payload, got)
		}
		if got := p.frameFor(colleague) != nil; got != c.everybody {
			t.Errorf("%s %s reaches a colleague: %v", c.kind, c.payload, got)
		}
	}
}
