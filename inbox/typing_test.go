package inbox

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
)

// typer is a channel that only types.
type typer struct {
	channels.Adapter
	chats chan string
}

func (typer) Capabilities() channels.Capabilities { return channels.Capabilities{Typing: true} }

func (t typer) Typing(_ context.Context, chat string, _ json.RawMessage) error {
	t.chats <- chat
	return nil
}

func TestCustomerSeesThatAnAgentTypes(t *testing.T) {
	t.Parallel()
	w := newWay(t)
	w.must(writes("7", "1", "Hello"))
	w.must(writes("8", "1", "Hello, too"))
	conversation := func(chat string) int64 {
		return int64(w.count(`SELECT id FROM conversation WHERE chat = $1`, chat))
	}
	adapter := typer{chats: make(chan string, 10)}
	typist := NewTypist(w.pool, w.bus, func(id int64) (channels.Adapter, int64, bool) { return adapter, 1, id == w.channel }, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- typist.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	next := func() string {
		t.Helper()
		for deadline := time.After(10 * time.Second); ; {
			typist.AgentTypes(conversation("7")) // Run may not listen yet
			select {
			case chat := <-adapter.chats:
				return chat
			case <-deadline:
				t.Fatal("the customer was not told")
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if chat := next(); chat != "7" {
		t.Errorf("told %q", chat)
	}
	// Keystrokes go on: the provider is not asked for each of them, and another customer is not kept waiting.
	for range 20 {
		typist.AgentTypes(conversation("7"))
	}
	typist.AgentTypes(conversation("8"))
	select {
	case chat := <-adapter.chats:
		if chat != "8" {
			t.Errorf("told %q again", chat)
		}
	case <-time.After(10 * time.Second):
		t.Error("the other customer was not told")
	}
}
