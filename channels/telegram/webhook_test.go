package telegram_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/telegram"
	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

const hello = `{"update_id": 5, "message": {"message_id": 1, "date": 1790000000, "chat": {"id": 77, "type": "private", "first_name": "Sara"}, "from": {"id": 77, "is_bot": false, "first_name": "Sara"}, "text": "hello"}}`

func hook(t *testing.T, secret string) (http.Handler, *channelstest.Sink) {
	t.Helper()
	a, err := telegram.Kind().New(channels.Account{ID: 7, Settings: settings(t, map[string]string{
		"token": tgfake.Token, "mode": "webhook", "webhook_secret": secret, "api_url": "http://127.0.0.1:1",
	})})
	if err != nil {
		t.Fatal(err)
	}
	sink := channelstest.NewSink()
	return a.(channels.Webhooker).Webhook(sink), sink
}

func post(h http.Handler, secret string, body io.Reader) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/hooks/telegram/7", body)
	if secret != "" {
		req.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

func TestWebhookAnswersOnlyAfterTheCommit(t *testing.T) {
	t.Parallel()
	h, sink := hook(t, "s3cret")
	for _, wrong := range []string{"", "S3cret", "s3cret ", "s3cre", strings.Repeat("x", 5000)} {
		if rec := post(h, wrong, strings.NewReader(hello)); rec.Code != http.StatusUnauthorized || rec.Body.Len() > 100 {
			t.Errorf("secret %.10q: %d", wrong, rec.Code)
		}
	}
	if sink.Deliveries() != 0 {
		t.Fatal("a wrong secret got in")
	}
	sink.FailBefore(1)
	if rec := post(h, "s3cret", strings.NewReader(hello)); rec.Code < 500 {
		t.Errorf("not stored, and %d", rec.Code)
	}
	for range 2 {
		if rec := post(h, "s3cret", strings.NewReader(hello)); rec.Code != http.StatusOK {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	if got := sink.Texts(); len(got) != 1 || got[0] != "hello" || len(sink.Cursors()) != 0 {
		t.Errorf("stored %q, cursors %v", got, sink.Cursors())
	}
	// Bytes that are no update are kept, or they would come again for ever.
	if rec := post(h, "s3cret", strings.NewReader("{{{")); rec.Code != http.StatusOK || len(sink.Messages()) != 2 {
		t.Errorf("%d, %d messages", rec.Code, len(sink.Messages()))
	}
	if rec := post(h, "s3cret", io.LimitReader(zeros{}, 11<<20)); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("11 MB: %d", rec.Code)
	}
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("X-Telegram-Bot-Api-Secret-Token", "s3cret")
	rec := httptest.NewRecorder()
	if h.ServeHTTP(rec, req); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", rec.Code)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWebhookAnswersAPress(t *testing.T) {
	t.Parallel()
	h, sink := hook(t, "s3cret")
	rec := post(h, "s3cret", strings.NewReader(`{"update_id": 6, "callback_query": {"id": "q1", "from": {"id": 77, "is_bot": false, "first_name": "Sara"}, "data": "yes", "chat_instance": "1"}}`))
	var answer map[string]string
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer["method"] != "answerCallbackQuery" || answer["callback_query_id"] != "q1" {
		t.Errorf("answer %s, %v", rec.Body, err)
	}
	if len(sink.Messages()) != 1 {
		t.Error("not stored")
	}
}

// TestWebhookIsSetAndWatched: a revoked token and an address that Telegram cannot reach are said in words.
func TestWebhookIsSetAndWatched(t *testing.T) {
	t.Parallel()
	p := factory("webhook")(t)
	sink := channelstest.NewSink()
	stop := channelstest.Start(t, p, sink)
	sink.UntilState(t, channels.Up)
	stop()
	p.Write("while nobody is there") // the old handler still answers: webhooks need no lease
	sink.UntilMessages(t, 1)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	k := telegram.Kind()
	if k.Name != "telegram" || len(k.Secrets) != 2 {
		t.Errorf("kind %+v", k)
	}
	good := tgfake.Token
	for _, c := range []struct {
		set   map[string]string
		field string
	}{
		{map[string]string{"token": good}, ""},
		{map[string]string{"token": " " + good + " ", "mode": "poll", "api_url": "http://127.0.0.1:8081/"}, ""},
		{map[string]string{"token": "test-token", "api_url": "http://127.0.0.1:8081"}, ""},
		{map[string]string{"token": good, "mode": "webhook", "webhook_secret": "abc_-9"}, ""},
		{map[string]string{}, "token"},
		{map[string]string{"token": "test-token"}, "token"},
		{map[string]string{"token": good + "/../x"}, "token"},
		{map[string]string{"token": "a/b", "api_url": "http://127.0.0.1:8081"}, "token"},
		{map[string]string{"token": good, "mode": "push"}, "mode"},
		{map[string]string{"token": good, "mode": "webhook"}, "webhook_secret"},
		{map[string]string{"token": good, "mode": "webhook", "webhook_secret": "with space"}, "webhook_secret"},
		{map[string]string{"token": good, "api_url": "ftp://x"}, "api_url"},
		{map[string]string{"token": good, "api_url": "api.telegram.org"}, "api_url"},
		{map[string]string{"token": good, "api_url": "https://user:pw@host"}, "api_url"},
	} {
		err := k.Check(settings(t, c.set))
		fe, ok := err.(*channels.FieldError) //nolint:errorlint // it is the contract's own type
		if c.field == "" && err != nil || c.field != "" && (!ok || fe.Field != c.field) {
			t.Errorf("%v: %v, want the field %q", c.set, err, c.field)
		}
	}
	if err := k.Check(json.RawMessage(`{"token": 5}`)); err == nil {
		t.Error("a number as token")
	}
	if err := k.Check(json.RawMessage(`[]`)); err == nil {
		t.Error("a list as settings")
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	p := factory("poll")(t)
	if err := p.Kind.Probe(t.Context(), p.Account); err != nil {
		t.Error(err)
	}
	p.LogOut()
	if err := p.Kind.Probe(t.Context(), p.Account); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("got %v", err)
	}
}
