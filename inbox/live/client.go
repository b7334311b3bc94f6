package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

// handleTime bounds what one frame of a client may take.
const handleTime = 10 * time.Second

// clientFrame is what we read of a client's frame ourselves.
type clientFrame struct {
	Type           string `json:"type"`
	Since          string `json:"since"`
	ConversationID id     `json:"conversation_id"`
	On             bool   `json:"on"`
	Ref            string `json:"ref"`
}

var pong = text([]byte(`{"type":"pong"}`)) //nolint:gochecknoglobals // a constant

// handle answers one frame; msg is only lent.
func (c *conn) handle(msg []byte) {
	var m clientFrame
	if err := json.Unmarshal(msg, &m); err != nil {
		c.send(errorFrame(string(errs.Invalid), "the frame is not what the contract says", ""))
		return
	}
	if m.Type == "ping" {
		c.send(pong)
		return
	}
	ctx, cancel := context.WithTimeout(c.hub.ctx, handleTime)
	defer cancel()
	if err := c.dispatch(ctx, &m, msg); err != nil {
		c.refuse(ctx, &m, err)
	}
}

func (c *conn) dispatch(ctx context.Context, m *clientFrame, msg []byte) error {
	if m.Type == "hello" {
		return c.hello(ctx, m.Since)
	}
	if c.seen() == nil {
		return errs.New(errs.Invalid, "the first frame is hello")
	}
	switch m.Type {
	case "watch":
		return c.onWatch(ctx, m)
	case "typing":
		return c.onTyping(ctx, m)
	}
	if fn := c.hub.handler(m.Type); fn != nil {
		return fn(ctx, c.viewer, bytes.Clone(msg))
	}
	return errs.New(errs.Invalid, "unknown type of frame")
}

// refuse tells the client what went wrong with his frame; our own troubles go to the log.
func (c *conn) refuse(ctx context.Context, m *clientFrame, err error) {
	code, message := errs.CodeOf(err), ""
	var e *errs.E
	if errors.As(err, &e) {
		message = e.Msg
	}
	if code == errs.Internal || message == "" {
		message = "that did not work; try again"
	}
	if code == errs.Internal && ctx.Err() == nil {
		c.hub.log.ErrorContext(ctx, "a client's frame failed", "agent_id", c.viewer.AgentID, "type", printable(m.Type), "error", err)
	}
	ref := m.Ref
	if ref == "" {
		ref = printable(m.Type)
	}
	c.send(errorFrame(string(code), message, ref))
}

// printable cuts a type that a client made up.
func printable(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}

// seen returns what the socket's agent may see, nil before hello.
func (c *conn) seen() *Access {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return c.access
}

// errUnseen hides whether a conversation exists from those who may not see it.
func errUnseen() error { return errs.New(errs.NotFound, "Conversation not found") }

// visible returns the access if it covers the conversation.
func (c *conn) visible(ctx context.Context, conversation int64) (*Access, error) {
	if conversation == 0 {
		return nil, errs.Field("conversation_id", "is missing")
	}
	at, err := c.hub.where(ctx, conversation)
	if errs.Is(err, errs.NotFound) {
		return nil, errUnseen()
	}
	if err != nil {
		return nil, err
	}
	access := c.seen()
	if access == nil || !access.Sees(at.team, at.assignee) {
		return nil, errUnseen()
	}
	return access, nil
}
