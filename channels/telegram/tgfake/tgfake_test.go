package tgfake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"go.uber.org/goleak"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type bundle struct {
	*tgfake.Server
	http *http.Client
	lib  *bot.Bot // somebody else's client: the fake must speak to it as the real server does
}

func setup(t *testing.T) *bundle {
	t.Helper()
	s, err := tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{}}
	lib, err := bot.New(tgfake.Token, bot.WithServerURL(s.URL()), bot.WithHTTPClient(time.Minute, c), bot.WithErrorsHandler(func(error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.CloseIdleConnections()
		s.Close()
	})
	return &bundle{s, c, lib}
}

// call runs a method with a form and returns the answer.
func (b *bundle) call(t *testing.T, method string, values url.Values) (out struct {
	OK          bool
	Result      json.RawMessage
	ErrorCode   int `json:"error_code"`
	Description string
	Parameters  struct {
		RetryAfter int `json:"retry_after"`
	}
},
) {
	t.Helper()
	resp, err := b.http.PostForm(b.URL()+"/bot"+tgfake.Token+"/"+method, values)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func updateIDs(t *testing.T, raw json.RawMessage) []int64 {
	t.Helper()
	var us []struct {
		ID int64 `json:"update_id"`
	}
	if err := json.Unmarshal(raw, &us); err != nil {
		t.Fatal(err)
	}
	out := make([]int64, len(us))
	for i, u := range us {
		out[i] = u.ID
	}
	return out
}

func TestOffsetConfirms(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.NewUser("Ada", "en")
	for i := range 5 {
		u.Send(fmt.Sprint(i))
	}
	first := updateIDs(t, b.call(t, "getUpdates", url.Values{"limit": {"2"}}).Result)
	if len(first) != 2 || first[1] != first[0]+1 {
		t.Fatalf("got %v", first)
	}
	if again := updateIDs(t, b.call(t, "getUpdates", nil).Result); len(again) != 5 || again[0] != first[0] {
		t.Errorf("without an offset nothing is acknowledged: %v", again)
	}
	rest := updateIDs(t, b.call(t, "getUpdates", url.Values{"offset": {fmt.Sprint(first[1] + 1)}}).Result)
	if len(rest) != 3 || b.Bot().Pending() != 3 {
		t.Errorf("rest %v, pending %d", rest, b.Bot().Pending())
	}
	if last := updateIDs(t, b.call(t, "getUpdates", url.Values{"offset": {"-1"}}).Result); len(last) != 1 || b.Bot().Pending() != 1 {
		t.Errorf("a negative offset forgets all but the last: %v", last)
	}
}

func TestLongPollAndSecondPoller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	type answer struct {
		code int
		ids  []int64
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			r := b.call(t, "getUpdates", url.Values{"timeout": {"30"}})
			a := answer{code: r.ErrorCode}
			if r.OK {
				a.ids = updateIDs(t, r.Result)
			}
			answers <- a
		}()
	}
	// Whichever came later has ended the other.
	if a := <-answers; a.code != 409 {
		t.Fatalf("the older poller got %+v", a)
	}
	b.NewUser("Ada", "en").Send("hi")
	if a := <-answers; a.code != 0 || len(a.ids) != 1 {
		t.Errorf("the younger poller got %+v", a)
	}
}

func TestAllowedUpdates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.NewUser("Ada", "en")
	id := u.Send("a")
	u.React(id, "👍") // not in the default set
	if b.Bot().Pending() != 1 {
		t.Errorf("pending %d", b.Bot().Pending())
	}
	b.call(t, "getUpdates", url.Values{"allowed_updates": {`["message_reaction"]`}})
	u.React(id, "👍")
	u.Send("b")
	if b.Bot().Pending() != 2 {
		t.Errorf("pending %d", b.Bot().Pending())
	}
}

func TestWebhookPushesUntil2xx(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.WebhookRetry = 5 * time.Millisecond
	got := make(chan string, 10)
	n := 0
	mux := http.NewServeMux()
	mux.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("X-Telegram-Bot-Api-Secret-Token") + " " + r.Header.Get("Content-Type")
		if n++; n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = body
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"method":"answerCallbackQuery","callback_query_id":"q"}`))
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	l := listen(t)
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	if r := b.call(t, "setWebhook", url.Values{"url": {"http://" + l.Addr().String() + "/hook"}, "secret_token": {"abc"}}); !r.OK {
		t.Fatal(r.Description)
	}
	if r := b.call(t, "getUpdates", nil); r.ErrorCode != 409 || !strings.Contains(r.Description, "webhook is active") {
		t.Errorf("got %+v", r)
	}
	b.NewUser("Ada", "en").Send("hi")
	for range 3 {
		if h := <-got; h != "abc application/json" {
			t.Errorf("headers %q", h)
		}
	}
	eventually(t, func() bool { return b.Bot().Pending() == 0 && len(b.Bot().Answered()) == 1 })
	var info struct {
		URL       string
		LastError string `json:"last_error_message"`
	}
	if err := json.Unmarshal(b.call(t, "getWebhookInfo", nil).Result, &info); err != nil || info.URL == "" || !strings.Contains(info.LastError, "503") {
		t.Errorf("info %+v %v", info, err)
	}
	b.call(t, "deleteWebhook", nil)
	if r := b.call(t, "getUpdates", nil); !r.OK {
		t.Errorf("got %+v", r)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !f(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain")
		}
	}
}

func TestStrictErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u, stranger := b.NewUser("Ada", "en"), b.NewUser("Bob", "en")
	u.Send("hi")
	chat := fmt.Sprint(u.ID)
	if r := b.call(t, "sendMessage", url.Values{"chat_id": {chat}, "text": {"same"}}); !r.OK {
		t.Fatal(r.Description)
	}
	sent := fmt.Sprint(u.Sent()[0].ID)
	blocker := b.NewUser("Eve", "en")
	blocker.Send("hi")
	blocker.Block()
	for _, c := range []struct {
		method string
		values url.Values
		code   int
		want   string
	}{
		{"sendMessage", url.Values{"text": {"x"}}, 400, "Bad Request: chat_id is empty"},
		{"sendMessage", url.Values{"chat_id": {"12"}, "text": {"x"}}, 400, "Bad Request: chat not found"},
		{"sendMessage", url.Values{"chat_id": {fmt.Sprint(stranger.ID)}, "text": {"x"}}, 403, "Forbidden: bot can't initiate conversation with a user"},
		{"sendMessage", url.Values{"chat_id": {fmt.Sprint(blocker.ID)}, "text": {"x"}}, 403, "Forbidden: bot was blocked by the user"},
		{"sendMessage", url.Values{"chat_id": {chat}}, 400, "Bad Request: message text is empty"},
		{"sendMessage", url.Values{"chat_id": {chat}, "text": {" \n "}}, 400, "Bad Request: message text is empty"},
		{"sendMessage", url.Values{"chat_id": {chat}, "text": {strings.Repeat("😀", 2049)}}, 400, "Bad Request: message is too long"},
		{"sendMessage", url.Values{"chat_id": {chat}, "text": {"<div>x</div>"}, "parse_mode": {"HTML"}}, 400, `Unsupported start tag "div" at byte offset 0`},
		{"sendMessage", url.Values{"chat_id": {chat}, "text": {"<b>x"}, "parse_mode": {"HTML"}}, 400, `Can't find end tag corresponding to start tag "b"`},
		{"sendMessage", url.Values{"chat_id": {chat}, "text": {"<b>x</i>"}, "parse_mode": {"HTML"}}, 400, `expected "</b>", found "</i>"`},
		{"sendMessage", url.Values{"chat_id": {chat}, "text": {"x"}, "reply_to_message_id": {"99"}}, 400, "Bad Request: message to be replied not found"},
		{"editMessageText", url.Values{"chat_id": {chat}, "message_id": {sent}, "text": {"same"}}, 400, "Bad Request: message is not modified"},
		{"editMessageText", url.Values{"chat_id": {chat}, "message_id": {"999"}, "text": {"x"}}, 400, "Bad Request: message to edit not found"},
		{"editMessageCaption", url.Values{"chat_id": {chat}, "message_id": {sent}, "caption": {"x"}}, 400, "there is no caption in the message to edit"},
		{"deleteMessage", url.Values{"chat_id": {chat}, "message_id": {"999"}}, 400, "Bad Request: message to delete not found"},
		{"setMessageReaction", url.Values{"chat_id": {chat}, "message_id": {sent}, "reaction": {`[{"type":"emoji","emoji":"🚀"}]`}}, 400, "REACTION_INVALID"},
		{"sendPhoto", url.Values{"chat_id": {chat}}, 400, "there is no photo in the request"},
		{"getFile", url.Values{"file_id": {"nope"}}, 400, "Bad Request: invalid file_id"},
		{"sendTelepathy", nil, 404, "Not Found"},
	} {
		r := b.call(t, c.method, c.values)
		if r.OK || r.ErrorCode != c.code || !strings.Contains(r.Description, c.want) {
			t.Errorf("%s %v: %d %s", c.method, c.values, r.ErrorCode, r.Description)
		}
	}
	resp, err := b.http.Get(b.URL() + "/bot123:wrong/getMe")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong token: %d", resp.StatusCode)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.NewUser("Ada", "en")
	u.Send("hi")
	v := url.Values{"chat_id": {fmt.Sprint(u.ID)}, "text": {"x"}}
	b.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.RateLimit, RetryAfter: 5, Times: 2})
	for range 2 {
		if r := b.call(t, "sendMessage", v); r.ErrorCode != 429 || r.Parameters.RetryAfter != 5 || r.Description != "Too Many Requests: retry after 5" {
			t.Errorf("got %+v", r)
		}
	}
	if r := b.call(t, "sendMessage", v); !r.OK {
		t.Errorf("got %+v", r)
	}
	for i, kind := range []tgfake.FaultKind{tgfake.CutBefore, tgfake.CutAfter} {
		b.Fail(tgfake.Fault{Method: "sendMessage", Kind: kind})
		resp, err := b.http.PostForm(b.URL()+"/bot"+tgfake.Token+"/sendMessage", v)
		if err == nil {
			resp.Body.Close()
			t.Error("an answer came")
		}
		if got := len(u.Sent()); got != 1+i {
			t.Errorf("%s: %d messages", kind, got)
		}
	}
}

// TestForeignClient: the library, which sends everything as multipart, gets along with the fake.
func TestForeignClient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	u := b.NewUser("Ada Lovelace", "en")
	u.Send("hi")
	m, err := b.lib.SendMessage(ctx, &bot.SendMessageParams{ChatID: u.ID, Text: "<b>hello</b> & <i>you</i>", ParseMode: models.ParseModeHTML})
	if err != nil || m.Text != "hello & you" || len(m.Entities) != 2 || m.Entities[1].Offset != 8 {
		t.Fatalf("%+v %v", m, err)
	}
	p, err := b.lib.SendPhoto(ctx, &bot.SendPhotoParams{ChatID: u.ID, Photo: &models.InputFileUpload{Filename: "a.jpg", Data: strings.NewReader("picture")}, Caption: "c"})
	if err != nil || len(p.Photo) != 2 || p.Caption != "c" {
		t.Fatalf("%+v %v", p, err)
	}
	g, err := b.lib.SendMediaGroup(ctx, &bot.SendMediaGroupParams{ChatID: u.ID, Media: []models.InputMedia{
		&models.InputMediaPhoto{Media: "attach://one", MediaAttachment: strings.NewReader("1"), Caption: "both"},
		&models.InputMediaVideo{Media: "attach://two", MediaAttachment: strings.NewReader("22")},
	}})
	if err != nil || len(g) != 2 || g[0].MediaGroupID == "" || g[0].MediaGroupID != g[1].MediaGroupID {
		t.Fatalf("%+v %v", g, err)
	}
	if _, err := b.lib.EditMessageText(ctx, &bot.EditMessageTextParams{ChatID: u.ID, MessageID: m.ID, Text: "new"}); err != nil {
		t.Error(err)
	}
	f, err := b.lib.GetFile(ctx, &bot.GetFileParams{FileID: p.Photo[1].FileID})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := b.http.Get(b.lib.FileDownloadLink(f))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if data, _ := io.ReadAll(resp.Body); string(data) != "picture" {
		t.Errorf("downloaded %q", data)
	}
	b.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.RateLimit, RetryAfter: 4})
	var tooMany *bot.TooManyRequestsError
	if _, err := b.lib.SendMessage(ctx, &bot.SendMessageParams{ChatID: u.ID, Text: "x"}); !errors.As(err, &tooMany) || tooMany.RetryAfter != 4 {
		t.Errorf("got %v", err)
	}
	u.Block()
	if _, err := b.lib.SendMessage(ctx, &bot.SendMessageParams{ChatID: u.ID, Text: "x"}); !errors.Is(err, bot.ErrorForbidden) {
		t.Errorf("got %v", err)
	}
}

// TestLibrarysPollerLosesUpdates is the control of our own poller: the library's acknowledges an update while its
// handler still runs.
func TestLibrarysPollerLosesUpdates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release, seen := make(chan struct{}), make(chan struct{}, 10)
	lib, err := bot.New(tgfake.Token, bot.WithServerURL(b.URL()), bot.WithHTTPClient(time.Second, b.http), bot.WithErrorsHandler(func(error) {}),
		bot.WithNotAsyncHandlers(), bot.WithDefaultHandler(func(ctx context.Context, _ *bot.Bot, _ *models.Update) {
			seen <- struct{}{}
			select {
			case <-release:
			case <-ctx.Done():
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	u := b.NewUser("Ada", "en")
	for range 3 {
		u.Send("hi")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		lib.Start(ctx)
	}()
	<-seen
	eventually(t, func() bool { return b.Bot().Pending() == 0 })
	close(release)
	cancel()
	<-done
}

func TestControlOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t)
	do := func(method, path string, body any, out any) int {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, b.URL()+"/control/"+path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := b.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if out != nil {
			if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode
	}
	var user, msg struct{ ID int64 }
	do("POST", "users", map[string]any{"name": "Ada Lovelace", "lang": "en", "phone": "251911234567"}, &user)
	base := fmt.Sprintf("users/%d/", user.ID)
	for _, action := range []string{
		"send", "start", "html", "photo", "voice", "audio", "video", "video_note", "animation", "document", "sticker", "location", "venue", "contact",
		"own_contact", "poll", "reply",
	} {
		if code := do("POST", base+action, map[string]any{"text": "x", "data": []byte("x"), "message_id": 1, "options": []string{"a"}}, &msg); code != 200 || msg.ID == 0 {
			t.Errorf("%s: %d", action, code)
		}
	}
	do("POST", base+"album", map[string]any{"datas": [][]byte{[]byte("1"), []byte("2")}}, nil)
	for _, action := range []string{"edit", "react", "press", "block", "unblock"} {
		if code := do("POST", base+action, map[string]any{"message_id": 1, "text": "y", "emoji": "👍", "button": "b"}, nil); code != 200 {
			t.Errorf("%s: %d", action, code)
		}
	}
	pending := b.Bot().Pending()
	if pending != 17+2+4 { // all but the reaction, which nobody asked for
		t.Errorf("%d updates", pending)
	}
	b.call(t, "sendMessage", url.Values{"chat_id": {fmt.Sprint(user.ID)}, "text": {"answer"}})
	var sent []tgfake.Message
	if do("GET", base+"sent", nil, &sent); len(sent) != 1 || sent[0].Text != "answer" {
		t.Errorf("sent %+v", sent)
	}
	do("POST", "faults", tgfake.Fault{Method: "getMe", Kind: tgfake.ServerError}, nil)
	if r := b.call(t, "getMe", nil); r.ErrorCode != 500 {
		t.Errorf("got %+v", r)
	}
	var group struct{ ID int64 }
	do("POST", "groups", map[string]any{"title": "Hiking", "super": true}, &group)
	if code := do("POST", fmt.Sprintf("groups/%d/say", group.ID), map[string]any{"user": user.ID, "text": "hi"}, nil); code != 200 {
		t.Errorf("say: %d", code)
	}
	var flood struct{ Updates int }
	if do("POST", "flood", map[string]any{"users": 10, "messages": 3}, &flood); flood.Updates != 30 {
		t.Errorf("flood %+v", flood)
	}
	do("POST", "raw", map[string]any{"update": map[string]any{"poll": map[string]any{}}}, &msg)
	if b.Bot().Pending() != pending+1+30+1 {
		t.Errorf("%d updates", b.Bot().Pending())
	}
	for path, want := range map[string]int{"users/5/sent": 404, "nothing": 404, base + "fly": 404, base + "nothing": 404} {
		if code := do("POST", path, map[string]any{}, nil); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
	do("POST", "revoke", map[string]any{"token": tgfake.Token}, nil)
	if r := b.call(t, "getMe", nil); r.ErrorCode != 401 {
		t.Errorf("got %+v", r)
	}
}

// TestCustomersWhoAnswer: what the demo is made of.
func TestCustomersWhoAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.NewUser("Ada", "en")
	u.OnMessage(func(m tgfake.Message) { u.Reply(m.ID, "thank you for: "+m.Text) })
	u.Send("hi")
	b.call(t, "sendMessage", url.Values{"chat_id": {fmt.Sprint(u.ID)}, "text": {"hello"}})
	eventually(t, func() bool { return b.Bot().Pending() == 2 })
	if last := b.Bot().Recorded()[1]; !bytes.Contains(last, []byte("thank you for: hello")) || !bytes.Contains(last, []byte("reply_to_message")) {
		t.Errorf("got %s", last)
	}
}
