package telegram

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

// TestWebhookWatch: what Telegram says about the webhook becomes the channel's state.
func TestWebhookWatch(t *testing.T) {
	t.Parallel()
	fake, err := tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	fake.WebhookRetry = 10 * time.Millisecond
	set, err := json.Marshal(map[string]string{"token": tgfake.Token, "mode": "webhook", "webhook_secret": "s", "api_url": fake.URL()})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAdapter(channels.Account{ID: 7, Settings: set, BaseURL: "http://127.0.0.1:1"}) // nobody listens there
	if err != nil {
		t.Fatal(err)
	}
	a.watchEvery = 5 * time.Millisecond
	sink := channelstest.NewSink()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, sink) }()
	sink.UntilState(t, channels.Up)

	fake.NewUser("Ada", "en").Send("hello")
	sink.UntilState(t, channels.Failed)
	if r := sink.LastState().Reason; !strings.Contains(r, "cannot deliver to http://127.0.0.1:1/hooks/telegram/7") {
		t.Errorf("reason %q", r)
	}
	fake.Revoke(tgfake.Token)
	sink.UntilState(t, channels.NeedsLogin)
	cancel()
	select {
	case <-done:
	case <-time.After(time.Second):
		t.Error("it does not stop")
	}
}
