package telegram_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/telegram"
	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

type bundle struct {
	fake    *tgfake.Server
	sink    *channelstest.Sink
	adapter channels.Adapter
}

func settings(t testing.TB, fields map[string]string) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// setup starts a fake and an adapter that polls it.
func setup(t *testing.T) *bundle {
	t.Helper()
	fake, err := tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	b := &bundle{fake: fake, sink: channelstest.NewSink()}
	account := channels.Account{ID: 1, Kind: telegram.Name, Settings: settings(t, map[string]string{"token": tgfake.Token, "api_url": fake.URL()})}
	if b.adapter, err = telegram.Kind().New(account); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.adapter.Run(ctx, b.sink) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(2 * time.Second):
			t.Error("the adapter does not stop")
		}
	})
	b.sink.UntilState(t, channels.Up)
	return b
}

func (b *bundle) logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestAStrangersMessageAndTheAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	user := b.fake.NewUser("Abebe Bikila", "am")
	user.Send("ሰላም, how much is the tent?")
	m := b.sink.UntilMessages(t, 1)[0]
	if m.Text != "ሰላም, how much is the tent?" || m.Sender.Name != "Abebe Bikila" || m.Sender.Language != "am" {
		t.Fatalf("got %+v", m)
	}
	r, err := b.adapter.Send(t.Context(), channels.Outbound{ClientID: "1", Op: channels.OpSend, Chat: m.Chat, ChatData: m.ChatData, Text: "120 birr", HTML: "<b>120</b> birr", ReplyTo: m.ProviderID})
	if err != nil {
		t.Fatal(err)
	}
	got := user.Sent()
	if len(got) != 1 || got[0].Text != "120 birr" || len(got[0].Entities) != 1 || got[0].Entities[0].Type != "bold" || got[0].ReplyTo == 0 {
		t.Fatalf("the customer got %+v", got)
	}
	if len(r.ProviderIDs) != 1 {
		t.Fatalf("got %+v", r)
	}
}
