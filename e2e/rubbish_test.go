package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
	"github.com/parley-hub/parley/e2e/rig"
)

// witness looks at every answer and frame of the clients it watches: no status says that we broke, and nothing says a
// secret.
type witness struct {
	t       *testing.T
	mu      sync.Mutex
	answers int
	secrets map[string]string // name to value
}

func watchAll(t *testing.T, w *rig.World) *witness {
	t.Helper()
	wit := &witness{t: t, secrets: map[string]string{"hash of a password": "$argon2"}}
	w.Admin.Seen = wit.see
	return wit
}

func (w *witness) guard(name, value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets[name] = value
}

func (w *witness) see(status int, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers++
	if status >= 500 && status != http.StatusServiceUnavailable {
		w.t.Errorf("an answer of %d: %.500s", status, body)
	}
	w.look("an answer", string(body))
}

// look needs mu.
func (w *witness) look(where, text string) {
	for name, value := range w.secrets {
		if i := strings.Index(text, value); i >= 0 {
			w.t.Errorf("%s tells the %s: ...%.200s", where, name, text[max(0, i-100):])
		}
	}
}

func (w *witness) logs(h *rig.Hub) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look("the log", h.Log())
	if i := strings.Index(h.Log(), "panic"); i >= 0 {
		w.t.Errorf("something panicked: %.2000s", h.Log()[i:])
	}
}

// expected is how a text is shown: what no database and no screen can hold is taken out, everything else stays.
func expected(s string) string { return strings.ReplaceAll(s, "\x00", "") }

// Whatever a customer or an agent types is stored and shown as text.
func TestNaughtyStrings(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	wit := watchAll(t, w)
	telegram(t, w, nil)
	list := naughty()
	user := w.Fake.NewUser("Sara Bekele", "am")
	for _, s := range list {
		user.Send(s)
	}
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Bekele"))
	check(t, rig.Until(ctx, "all texts are here", rig.Patience, func() (bool, error) {
		var k rig.Conversation
		err := w.Admin.Get(ctx, "/api/conversations/"+conv.ID, &k)
		return k.InCount == len(list), err
	}))
	var shown []string
	for _, i := range must[[]rig.Item](t)(rig.Timeline(ctx, w.Admin, conv.ID)) {
		if i.Kind != "message" {
			continue
		}
		if i.Truncated {
			check(t, w.Admin.Get(ctx, "/api/conversations/"+conv.ID+"/messages/"+i.ID, &i))
		}
		shown = append(shown, i.Text)
		plain(t, i)
	}
	for i, s := range list {
		if i >= len(shown) || shown[i] != expected(s) {
			t.Errorf("%.100q is shown as %.100q", s, shown[min(i, len(shown)-1)])
		}
	}

	// From an agent: a note and an answer, a name, a search.
	arrived := 0
	for i, s := range list {
		note, err := rig.Say(ctx, w.Admin, conv.ID, s, map[string]any{"note": true})
		if rig.StatusOf(err) == http.StatusUnprocessableEntity {
			if strings.TrimSpace(s) == s && !regexp.MustCompile(`^\p{M}*$|^[\p{Cf}\p{Z}]*$`).MatchString(s) {
				t.Errorf("a note with %.100q is refused: %v", s, err)
			}
			continue
		}
		check(t, err)
		plain(t, note)
		var whole rig.Item
		check(t, w.Admin.Get(ctx, "/api/conversations/"+conv.ID+"/messages/"+note.ID, &whole))
		if strings.TrimSpace(whole.Text) != strings.TrimSpace(expected(s)) {
			t.Errorf("a note with %.100q has %.100q", s, whole.Text)
		}
		if i%4 == 0 {
			if _, err := rig.Say(ctx, w.Admin, conv.ID, s, nil); err == nil {
				arrived++
			} else if rig.StatusOf(err) >= 500 {
				t.Error(err)
			}
		}
		_ = w.Admin.Get(ctx, "/api/conversations?view=all&q="+url.QueryEscape(s), nil)                                                           // any status but 5xx
		_ = w.Admin.Patch(ctx, "/api/me", map[string]string{"name": s}, nil)                                                                     // same
		_ = w.Admin.Post(ctx, "/api/contacts", map[string]any{"name": s, "identities": []map[string]string{{"kind": "email", "value": s}}}, nil) // same
		_ = w.Admin.Patch(ctx, "/api/conversations/"+conv.ID, map[string]any{"tags": []string{s}}, nil)                                          // same
	}
	check(t, rig.Until(ctx, "the answers leave", rig.Patience, func() (bool, error) {
		return len(user.Sent()) >= arrived, nil
	}))
	for _, s := range list[:20] {
		u := w.Fake.NewUser(s, s[:min(len(s), 8)])
		u.Username = s
		u.Send("my name is strange")
	}
	check(t, rig.Until(ctx, "strange names are here", rig.Patience, func() (bool, error) {
		list, err := rig.All[rig.Conversation](ctx, w.Admin, "/api/conversations?view=all")
		return len(list) == 21, err
	}))
	wit.logs(w.Hub)
	t.Logf("%d answers looked at", wit.answers)
}

// plain tells whether an item carries no markup but the few tags that the screen shows.
func plain(t *testing.T, i rig.Item) {
	t.Helper()
	if bad := regexp.MustCompile(`(?i)<\s*(script|img|svg|iframe|style|body|base|form|math|object|embed)|javascript:|\son\w+\s*=`).FindString(i.HTML); bad != "" {
		t.Errorf("the html of %.100q has %q: %.300s", i.Text, bad, i.HTML)
	}
}

// Nothing that comes in over the wire, to a webhook or to the API, breaks the hub.
func TestRubbishIn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	wit := watchAll(t, w)
	const secret = "canary_webhook_secret_7f"
	ch := must[rig.Channel](t)(w.Telegram(ctx, map[string]any{"mode": "webhook", "webhook_secret": secret}, nil))
	wit.guard("webhook secret", secret)
	c := w.Client() // a stranger
	c.Seen = wit.see
	hook := "/hooks/telegram/" + ch.ID
	post := func(path, secret string, body []byte) int {
		t.Helper()
		h := http.Header{"Content-Type": {"application/json"}}
		if secret != "" {
			h.Set("X-Telegram-Bot-Api-Secret-Token", secret)
		}
		_, err := c.Do(ctx, http.MethodPost, path, h, bytes.NewReader(body))
		if err != nil && rig.StatusOf(err) == 0 {
			t.Errorf("POST %s of %d bytes: %v", path, len(body), err)
		}
		return rig.StatusOf(err)
	}
	update := []byte(`{"update_id":1,"message":{"message_id":1,"date":1,"chat":{"id":5,"type":"private"},"from":{"id":5,"first_name":"X"},"text":"x"}}`)
	for name, tt := range map[string]struct {
		path, secret string
		want         int
	}{
		"no secret":      {hook, "", 401},
		"wrong secret":   {hook, "wrong", 401},
		"nearly right":   {hook, secret[:len(secret)-1], 401},
		"no channel":     {"/hooks/telegram/999999", secret, 404},
		"another kind":   {"/hooks/email/" + ch.ID, secret, 404},
		"not a number":   {"/hooks/telegram/x", secret, 404},
		"a long number":  {"/hooks/telegram/99999999999999999999999", secret, 404},
		"a path in it":   {"/hooks/telegram/..%2f" + ch.ID, secret, 404},
		"a wrong method": {hook + "/", secret, 404},
	} {
		if got := post(tt.path, tt.secret, update); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	if got := post(hook, secret, bytes.Repeat([]byte("a"), 11<<20)); got != 413 {
		t.Errorf("11 MB: %d, want 413", got)
	}
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	for i := range 150 {
		body := make([]byte, r.IntN(2000))
		for k := range body {
			body[k] = byte(r.Uint32())
		}
		if i%2 == 0 { // half of them begin as an update does
			body = append(bytes.Clone(update[:r.IntN(len(update))]), body...)
		}
		if got := post(hook, secret, body); got >= 500 {
			t.Errorf("rubbish is answered with %d", got)
		}
	}
	for _, body := range strangeUpdates() {
		if got := post(hook, secret, []byte(body)); got != 0 {
			t.Errorf("%.200s is answered with %d: it would come again for ever", body, got)
		}
	}

	// The API.
	for _, rt := range []string{
		"GET /api/conversations?limit=-1", "GET /api/conversations?limit=99999999999999999999", "GET /api/conversations?cursor=%00", "GET /api/conversations?cursor=AAAA",
		"GET /api/conversations?view=team:x", "GET /api/conversations?view=%3Cscript%3E", "GET /api/conversations/0", "GET /api/conversations/-1",
		"GET /api/conversations/99999999999999999999", "GET /api/conversations/1%00", "GET /api/conversations/1/timeline?before=x&after=y", "GET /api/conversations/1/messages/x",
		"GET /api/attachments/../../etc/passwd", "GET /api/attachments/%2e%2e%2f", "GET /api/contacts/1e3", "GET /api/audit?cursor=%ff%fe", "GET /api/nothing", "DELETE /api/nothing",
		"GET /api/outbox?state=x", "GET /api/leads?contact=x", "GET /api/routing/dry-run?channel=x", "GET /setup?token=%00", "GET /%00", "GET /..%2f..%2fetc/passwd", "TRACE /", "BREW /api/me",
	} {
		method, path, _ := strings.Cut(rt, " ")
		_, err := w.Admin.Do(ctx, method, path, nil, nil)
		if err != nil && rig.StatusOf(err) == 0 {
			t.Errorf("%s: %v", rt, err)
		}
	}
	bodies := []string{
		"", "x", "null", "[]", "1", `"x"`, "{}", `{"id":1}`, `{"text":null}`, `{"id":"x","text":"y"}`, `{"text":"` + strings.Repeat("a", 2<<20) + `"}`, strings.Repeat("[", 100_000),
		`{"email":[],"password":{}}`, `{"name":"\u0000"}`, `{"name":"\ud800"}`, "{\"name\":\"\xff\xfe\"}", `{"limit":1e400}`, `{"version":99999999999999999999}`, `{"unknown_field":1}`,
		`{"settings":{"token":1}}`, `{"kind":"telegram","settings":null}`, `{"assignee_id":"x"}`, `{"tags":["",null,5]}`, `{"status":"open","status":"closed"}`,
	}
	for _, rt := range []string{
		"POST /api/session", "POST /api/setup", "POST /api/channels", "POST /api/channels/test", "PATCH /api/channels/" + ch.ID, "PATCH /api/conversations/1", "POST /api/conversations/1/messages",
		"POST /api/conversations/1/read", "POST /api/uploads", "POST /api/contacts", "PATCH /api/contacts/1", "POST /api/contacts/1/merge", "POST /api/teams", "POST /api/invitations", "PATCH /api/me",
		"PUT /api/me/status", "PATCH /api/settings", "POST /api/leads", "POST /api/hours", "POST /api/absences",
	} {
		method, path, _ := strings.Cut(rt, " ")
		for _, body := range bodies {
			who := w.Admin
			if path == "/api/session" || path == "/api/setup" {
				who = c // the admin would sign in as somebody else
			}
			if err := who.JSON(ctx, method, path, []byte(body), nil); err != nil && rig.StatusOf(err) == 0 {
				t.Errorf("%s %.60s: %v", rt, body, err)
			}
		}
	}

	// And then it works as if nothing had been.
	w.Fake.NewUser("Sara Bekele", "am").Send("still there?")
	_ = must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Bekele"))
	wit.logs(w.Hub)
	t.Logf("%d answers looked at", wit.answers)
}

// strangeUpdates are JSON, but not what anybody expects: they have to be taken in, or they would come again for ever.
func strangeUpdates() []string {
	out := []string{
		`{}`, `[]`, `null`, `5`, `"x"`, `{"update_id":0}`, `{"update_id":-5,"message":{}}`, `{"update_id":"x"}`, `{"update_id":1e30}`, `{"update_id":9007199254740993}`,
		`{"update_id":2000,"something_new":{"a":[1,2,{"b":null}]}}`, `{"update_id":2001,"message":null}`, `{"update_id":2002,"message":[]}`, `{"update_id":2003,"message":{"message_id":"x"}}`,
	}
	for i, m := range []string{
		`"text":5`, `"text":null`, `"text":{"a":1}`, `"text":"\u0000x\u0000"`, `"text":"\ud800"`, `"text":"x","entities":[{"type":"bold","offset":-5,"length":99999999}]`,
		`"text":"x","entities":[{"type":"text_link","offset":0,"length":1,"url":"javascript:alert(1)"}]`, `"text":"x","entities":"no"`, `"photo":[]`, `"photo":[{"file_id":""}]`, `"photo":{"file_id":"x"}`,
		`"document":{"file_id":"../../etc/passwd","file_name":"../../../x\u0000.html","file_size":-1}`, `"location":{"latitude":1e999,"longitude":null}`, `"contact":{"phone_number":"<b>"}`,
		`"reply_to_message":{"message_id":-1}`, `"new_chat_members":[]`, `"sticker":{}`, `"poll":{"options":[{}]}`, `"dice":{"emoji":"x","value":99999}`, `"text":"x","date":99999999999999`, `"text":"x","date":-1`,
		`"text":"` + strings.Repeat("x", 100_000) + `"`, `"something_new":{"deep":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`,
	} {
		out = append(out, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1700000000,"chat":{"id":6,"type":"private"},"from":{"id":6,"first_name":"Odd"},%s}}`, 3000+i, 100+i, m))
	}
	return out
}

// What must be known to few is in no answer, no frame and no log, also when things go wrong.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cfg := config(t)
	const password = "canary password of the admin 5e"
	cfg.Env = []string{"PARLEY_LOG_LEVEL=debug"}
	w := world(t, cfg)
	wit := watchAll(t, w)
	const token = "7000000009:AACanaryTokenOfTheBot0123456789abcd"
	const secret = "canary_webhook_secret_9c"
	wit.guard("bot token", token)
	wit.guard("half of the bot token", "AACanaryTokenOfTheBot")
	wit.guard("webhook secret", secret)
	wit.guard("password", password)
	wit.guard("first password", rig.Password)
	check(t, w.Admin.Post(ctx, "/api/me/password", map[string]string{"current": rig.Password, "password": password}, nil))
	_, session, _ := strings.Cut(w.Admin.Cookie, "=")
	wit.guard("session", session)
	l := live(t, w.Admin, "")

	bot := w.Fake.NewBot(token, "canary_bot")
	ch := must[rig.Channel](t)(w.Telegram(ctx, map[string]any{"token": token, "webhook_secret": secret}, nil))
	user := bot.NewUser("Sara Bekele", "am")
	user.SendPhoto(picture(t), "")
	user.Send("hello")
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Bekele"))
	// Every kind of trouble makes words.
	for _, f := range []tgfake.FaultKind{tgfake.CutBefore, tgfake.CutAfter, tgfake.Garbage, tgfake.BadGateway, tgfake.ServerError} {
		w.Fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: f}, tgfake.Fault{Method: "getUpdates", Kind: f}, tgfake.Fault{Method: "download", Kind: f})
		user.SendPhoto(picture(t), "again")
		_ = must[rig.Item](t)(rig.Say(ctx, w.Admin, conv.ID, "trouble "+string(f), nil))
	}
	w.Fake.Revoke(token)
	check(t, rig.Until(ctx, "the channel says that its token is no good", rig.Patience, func() (bool, error) {
		var now rig.Channel
		err := w.Admin.Get(ctx, "/api/channels/"+ch.ID, &now)
		return now.State != "up", err
	}))
	w.Fake.Restore(token)
	_ = w.Admin.Post(ctx, "/api/channels/test", map[string]any{"kind": "telegram", "settings": map[string]string{"token": token, "api_url": "http://127.0.0.1:1"}}, nil)
	_ = w.Admin.Post(ctx, "/api/channels/test", map[string]any{"kind": "telegram", "id": ch.ID, "settings": map[string]string{"api_url": w.Fake.URL() + "/nowhere"}}, nil)
	_ = w.Admin.Patch(ctx, "/api/channels/"+ch.ID, map[string]any{"settings": map[string]any{"token": token, "mode": "nonsense"}}, nil)
	_ = w.Client().Post(ctx, "/api/session", map[string]string{"email": password, "password": password}, nil)
	var tok struct{ ID, Secret string }
	seen := w.Admin.Seen
	w.Admin.Seen = nil // this one answer tells the token, once
	check(t, w.Admin.Post(ctx, "/api/tokens", map[string]any{"name": "robot", "scopes": []string{"read"}, "password": password}, &tok))
	w.Admin.Seen = seen
	wit.guard("API token", tok.Secret)
	robot := w.Client()
	robot.Token, robot.Seen = tok.Secret, wit.see
	for _, path := range []string{
		"/api/me", "/api/agents", "/api/teams", "/api/settings", "/api/channels", "/api/channels/" + ch.ID, "/api/channels/" + ch.ID + "/quarantine", "/api/audit?limit=100", "/api/sessions",
		"/api/tokens", "/api/invitations", "/api/health", "/api/counts", "/api/outbox?state=failed", "/api/outbox?state=uncertain", "/api/conversations?view=all", "/api/contacts", "/api/leads",
		"/api/conversations/" + conv.ID + "/timeline", "/api/openapi.json", "/metrics", "/readyz", "/", "/api/routing/dry-run?channel=" + ch.ID,
	} {
		_, _ = w.Admin.Do(ctx, http.MethodGet, path, nil, nil)
		_, _ = robot.Do(ctx, http.MethodGet, path, nil, nil)
	}
	for _, i := range must[[]rig.Item](t)(rig.Timeline(ctx, w.Admin, conv.ID)) {
		_, _ = w.Admin.Do(ctx, http.MethodGet, "/api/conversations/"+conv.ID+"/messages/"+i.ID+"/raw", nil, nil)
	}
	check(t, w.Hub.Restart(ctx))
	l.Close()
	wit.logs(w.Hub)
	out, err := w.Hub.Command("config", "print").CombinedOutput()
	check(t, err)
	wit.mu.Lock()
	wit.look("config print", string(out))
	wit.mu.Unlock()
	// At rest: neither the database nor a file but the key opens a channel.
	rows := must[[]string](t)(rig.Column[string](ctx, cfg.DatabaseURL, `SELECT to_jsonb(c)::text FROM channel c`))
	for _, r := range rows {
		wit.mu.Lock()
		wit.look("the row of the channel", r)
		wit.mu.Unlock()
	}
	if info, err := os.Stat(cfg.DataDir + "/secret.key"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("secret.key: %v, %v", info, err)
	}
	t.Logf("%d answers and frames looked at", wit.answers)
}
