package telegram_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/telegram"
	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

func TestEverythingACustomerCanDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.fake.NewUser("Ada Lovelace", "en")
	u.Phone = "251911234567"
	pic := []byte("\xff\xd8 picture")
	u.Start("spring-sale")
	u.SendHTML("<b>bold</b> & <i>italic</i>")
	u.SendPhoto(pic, "look")
	u.SendVoice(pic, 3)
	u.SendDocument("plan.pdf", "application/pdf", pic, "")
	u.SendFile("video", tgfake.Content{Data: pic, Type: "video/mp4"}, "")
	u.SendFile("video_note", tgfake.Content{Data: pic, Width: 240}, "")
	u.SendFile("audio", tgfake.Content{Data: pic, Type: "audio/mpeg", Name: "a.mp3"}, "")
	u.SendFile("animation", tgfake.Content{Data: pic, Type: "video/mp4"}, "")
	u.SendAlbum("album", pic, pic)
	u.SendLocation(9.03, 38.74)
	u.SendVenue(9.03, 38.74, "Office", "Bole road")
	u.SendOwnContact()
	u.SendContact("Abebe", "+251911000000", 0)
	u.SendPoll("Which?", "red", "blue")
	u.SendSticker("😂", "video", pic)
	want := []string{
		"text", "text", "photo", "voice", "document", "video", "video", "audio", "animation", "photo", "photo", "location", "location",
		"contact", "contact", "poll", "sticker",
	}
	got := b.sink.UntilMessages(t, len(want))
	for i, m := range got {
		if m.Content != want[i] {
			t.Errorf("%d: %s, want %s", i, m.Content, want[i])
		}
		for _, f := range m.Media {
			var w strings.Builder
			info, err := b.adapter.FetchMedia(t.Context(), f.Ref, &w)
			if err != nil || w.String() != string(pic) || info.Size != int64(len(pic)) || info.Name == "" {
				t.Errorf("%s: %+v %v", m.Content, info, err)
			}
		}
	}
	if got[0].Attribution["start"] != "spring-sale" || got[1].HTML != "<b>bold</b> &amp; <i>italic</i>" || got[9].Album == "" || got[9].Album != got[10].Album {
		t.Errorf("attribution %v, html %q, albums %q %q", got[0].Attribution, got[1].HTML, got[9].Album, got[10].Album)
	}
	if ids := got[13].Sender.Identities; len(ids) != 2 || ids[1] != (channels.Identity{Kind: "phone", Value: "+251911234567", Raw: "251911234567"}) {
		t.Errorf("own contact: %+v", ids)
	}
	if len(got[14].Sender.Identities) != 1 {
		t.Errorf("another's card: %+v", got[14].Sender.Identities)
	}
}

func TestEditReactPressBlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.fake.NewUser("Ada", "en")
	id := u.Send("frist")
	in := b.sink.UntilMessages(t, 1)[0]
	if _, err := b.adapter.Send(t.Context(), channels.Outbound{Op: channels.OpSend, Chat: in.Chat, Text: "answer"}); err != nil {
		t.Fatal(err)
	}
	mine := u.Sent()[0].ID
	u.Edit(id, "first")
	u.React(mine, "👍", "custom:123")
	u.React(mine)
	query := u.Press(mine, "yes")
	u.Block()
	u.Unblock()
	b.sink.Until(t, "seven events", func() bool { return len(b.sink.Events()) == 7 })
	e := b.sink.Events()
	if e[1].Kind != channels.Edit || e[1].TargetID != in.ProviderID || e[1].Text != "first" {
		t.Errorf("edit %+v", e[1])
	}
	if e[2].Kind != channels.Reaction || len(e[2].Emojis) != 2 || len(e[3].Emojis) != 0 || e[2].TargetID != e[3].TargetID {
		t.Errorf("reactions %+v %+v", e[2], e[3])
	}
	if e[4].Kind != channels.Message || !strings.Contains(e[4].Text, "yes") {
		t.Errorf("press %+v", e[4])
	}
	if e[5].Kind != channels.ContactUpdate || *e[5].Sender.Unreachable == "" || *e[6].Sender.Unreachable != "" {
		t.Errorf("block %+v %+v", e[5], e[6])
	}
	eventually(t, "the answered press", func() bool {
		a := b.fake.Bot().Answered()
		return len(a) == 1 && a[0] == query
	})
}

func TestSecondPollerIsSaidInWords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fake.Fail(tgfake.Fault{Method: "getUpdates", Kind: tgfake.Refuse, Code: 409, Description: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"})
	b.fake.Bot().EndPolls()
	b.sink.UntilState(t, channels.Failed)
	if r := b.sink.LastState().Reason; !strings.Contains(r, "Another program") {
		t.Errorf("reason %q", r)
	}
}

func TestForeignWebhookIsRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	calls := b.fake.Calls("deleteWebhook")
	b.fake.Fail(tgfake.Fault{Method: "getUpdates", Kind: tgfake.Refuse, Code: 409, Description: "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"})
	b.fake.Bot().EndPolls()
	b.sink.UntilState(t, channels.Failed)
	b.sink.UntilState(t, channels.Up)
	if b.fake.Calls("deleteWebhook") != calls+1 {
		t.Error("deleteWebhook was not called again")
	}
}

func TestLimitOnPollingIsObeyed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fake.Fail(tgfake.Fault{Method: "getUpdates", Kind: tgfake.RateLimit, RetryAfter: 2, Times: 1})
	began := time.Now()
	b.fake.Bot().EndPolls()
	b.sink.UntilState(t, channels.Failed)
	if st := b.sink.LastState(); st.Until.IsZero() {
		t.Errorf("state %+v", st)
	}
	b.sink.UntilState(t, channels.Up)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("asked again after %s", took)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !f(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestIdsStartOver: after a week without updates Telegram starts over at a random, maybe lower number.
func TestIdsStartOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.fake.NewUser("Ada", "en")
	u.Send("before")
	b.sink.UntilMessages(t, 1)
	eventually(t, "the acknowledgement", func() bool { return b.fake.Bot().Pending() == 0 })
	calls := b.fake.Calls("getUpdates")
	b.fake.Bot().EndPolls() // a week of empty answers
	eventually(t, "the next poll", func() bool { return b.fake.Calls("getUpdates") > calls })
	b.fake.Bot().Raw(json.RawMessage(`{"update_id": 17, "message": {"message_id": 900, "date": 1790000000, "chat": {"id": 77, "type": "private", "first_name": "Sara"}, "from": {"id": 77, "is_bot": false, "first_name": "Sara"}, "text": "after"}}`))
	b.sink.UntilMessages(t, 2)

	// Also when the hub was down meanwhile and its cursor is above the new number.
	fake, err := tgfake.Listen("127.0.0.1:0", b.logger())
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	fake.Bot().Raw(json.RawMessage(`{"update_id": 18, "message": {"message_id": 901, "date": 1790000000, "chat": {"id": 77, "type": "private", "first_name": "Sara"}, "from": {"id": 77, "is_bot": false, "first_name": "Sara"}, "text": "while away"}}`))
	sink := channelstest.NewSink()
	a, err := telegram.Kind().New(channels.Account{ID: 1, Cursors: map[string]string{"update_id": "500000"}, Settings: settings(t, map[string]string{"token": tgfake.Token, "api_url": fake.URL()})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, sink) }()
	sink.UntilMessages(t, 1)
	cancel()
	<-done
}

// TestUnreadableUpdateDoesNotStopTheOthers: poison hurts only itself.
func TestUnreadableUpdateDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.fake.NewUser("Ada", "en")
	b.fake.Bot().Raw(json.RawMessage(`{"message": 5}`))
	b.fake.Bot().Raw(json.RawMessage(`{"brand_new": {"from": {"id": 99, "first_name": "Sara"}}}`))
	u.Send("after the poison")
	got := b.sink.UntilMessages(t, 3)
	if got[0].Content != "unknown" || got[1].Content != "unknown" || got[1].Sender.Name != "Sara" || got[2].Text != "after the poison" {
		t.Errorf("got %+v", got)
	}
	b.sink.UntilState(t, channels.Up)
}

func TestFileGoneAndTooBig(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.fake.NewUser("Ada", "en")
	u.SendFile("document", tgfake.Content{Size: 21 << 20, Name: "big.zip"}, "")
	u.SendDocument("a.txt", "text/plain", []byte("abc"), "")
	got := b.sink.UntilMessages(t, 2)
	if got[0].Media[0].TooBig == "" || got[1].Media[0].TooBig != "" {
		t.Errorf("got %+v", got)
	}
	if _, err := b.adapter.FetchMedia(t.Context(), got[0].Media[0].Ref, io.Discard); !errors.Is(err, channels.ErrMediaGone) {
		t.Errorf("too big: %v", err)
	}
	b.fake.Fail(tgfake.Fault{Method: "download", Kind: tgfake.CutAfter})
	_, err := b.adapter.FetchMedia(t.Context(), got[1].Media[0].Ref, io.Discard)
	if err == nil || errors.Is(err, channels.ErrMediaGone) || strings.Contains(err.Error(), tgfake.Token) {
		t.Errorf("cut: %v", err)
	}
	if _, err := b.adapter.FetchMedia(t.Context(), json.RawMessage(`{}`), io.Discard); err == nil {
		t.Error("an empty reference")
	}
}

func TestTenThousandUpdates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n := b.fake.Bot().Flood(1000, 10, "hello")
	b.sink.UntilMessages(t, n)
	if b.sink.Deliveries() != n {
		t.Errorf("%d deliveries of %d", b.sink.Deliveries(), n)
	}
}
