package webform

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/bits"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
)

const site = "https://shop.example"

// site under test: a form, its hub, and a clock.
type bench struct {
	t    *testing.T
	a    *Adapter
	sink *channelstest.Sink
	hub  http.Handler
	now  time.Time
}

func newBench(t *testing.T, change ...func(map[string]any)) *bench {
	t.Helper()
	set := map[string]any{
		"fields": []map[string]any{
			{"name": "name", "label": "Your name", "type": "text", "required": true},
			{"name": "phone", "label": "Phone", "type": "phone"},
			{"name": "mail", "label": "E-mail", "type": "email"},
			{"name": "plan", "label": "Plan", "type": "select", "options": []string{"Small", "Large"}},
			{"name": "message", "label": "Message", "type": "textarea"},
			{"name": "terms", "label": "I agree", "type": "checkbox"},
		},
		"sites": []string{site, "http://localhost:8000"}, "thanks": "Thanks!", "pow_bits": 8, "min_seconds": 2,
	}
	for _, c := range change {
		c(set)
	}
	if err := complete(set, nil); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, sink: channelstest.NewSink(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.a, err = newAdapter(channels.Account{ID: 3, Kind: Name, Name: "Shop", Settings: raw, BaseURL: "https://hub.test"}, func() time.Time { return b.now })
	if err != nil {
		t.Fatal(err)
	}
	b.hub = b.a.Webhook(b.sink)
	return b
}

type values map[string]string

func (v values) encode() string {
	q := url.Values{}
	for k, x := range v {
		q.Set(k, x)
	}
	return q.Encode()
}

func (b *bench) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.hub.ServeHTTP(w, r)
	return w
}

func request(v values, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://hub.test/forms/x", strings.NewReader(v.encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = "192.0.2.7:0"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func (b *bench) want(status int, code string, r *http.Request) map[string]any {
	b.t.Helper()
	w := b.send(r)
	var out map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	if w.Code != status || (code != "" && out["code"] != code) {
		b.t.Fatalf("got %d %s, want %d %s", w.Code, w.Body, status, code)
	}
	return out
}

func (b *bench) challenge() described {
	b.t.Helper()
	w := b.send(httptest.NewRequest(http.MethodGet, "https://hub.test/forms/x", nil))
	var d described
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || d.Token == "" {
		b.t.Fatalf("%v in %s", err, w.Body)
	}
	return d
}

func solve(token string, want int) string {
	for n := 0; ; n++ {
		sum := sha256.Sum256([]byte(token + "." + strconv.Itoa(n)))
		if bits.LeadingZeros32(uint32(sum[0])<<24|uint32(sum[1])<<16|uint32(sum[2])<<8|uint32(sum[3])) >= want {
			return strconv.Itoa(n)
		}
	}
}

// proven is a submission whose browser has done everything right; the clock moves on by what the form asks for.
func (b *bench) proven(v values) values {
	d := b.challenge()
	b.now = b.now.Add(3 * time.Second)
	v["_token"], v["_proof"] = d.Token, solve(d.Token, d.Bits)
	return v
}

func (b *bench) stored(n int) []channels.Inbound {
	b.t.Helper()
	got := b.sink.Messages()
	if len(got) != n {
		b.t.Fatalf("%d messages are stored, want %d", len(got), n)
	}
	return got
}

func TestSubmissionBecomesAMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.proven(values{
		"name": "Ada Lovelace", "phone": "+44 20 7946 0958", "mail": "ada@example.org", "plan": "Large", "message": "Two\r\nlines", "terms": "on", "colour": "red",
		"_id": "0190c0de-0000-7000-8000-000000000001", "_page": "https://shop.example/buy?x=1#frag",
		"_first": `{"utm_source":"ad","page":"https://shop.example/","evil":"x"}`, "_last": `{"utm_source":"mail","referrer":"javascript:alert(1)"}`,
	})
	out := b.want(http.StatusOK, "", request(v, "Origin", site))
	if out["thanks"] != "Thanks!" {
		t.Errorf("answered %v", out)
	}
	m := b.stored(1)[0]
	wantText := "Your name: Ada Lovelace\nPhone: +44 20 7946 0958\nE-mail: ada@example.org\nPlan: Large\nMessage:\nTwo\nlines\nI agree: Yes\ncolour: red"
	if m.Text != wantText || m.Content != "form" {
		t.Errorf("got %s %q", m.Content, m.Text)
	}
	wantPerson := channels.Person{Unproven: true, Name: "Ada Lovelace", Identities: []channels.Identity{
		{Kind: "phone", Value: "+44 20 7946 0958", Raw: "+44 20 7946 0958"}, {Kind: "email", Value: "ada@example.org", Raw: "ada@example.org"},
	}}
	if diff := cmp.Diff(wantPerson, m.Sender); diff != "" {
		t.Error(diff)
	}
	wantTouch := map[string]string{
		"utm_source": "ad", "page": "https://shop.example/", "last_utm_source": "mail", "last_page": "https://shop.example/buy?x=1",
	}
	if diff := cmp.Diff(wantTouch, m.Attribution); diff != "" {
		t.Error(diff)
	}
	var d details
	if err := json.Unmarshal(m.Data, &d); err != nil || !d.Proof || len(d.Fields) != 7 || d.Page != "https://shop.example/buy?x=1" {
		t.Errorf("data %s: %v", m.Data, err)
	}
}

// The ways to send the same thing.
func TestBodies(t *testing.T) {
	t.Parallel()
	var form bytes.Buffer
	mw := multipart.NewWriter(&form)
	_ = mw.WriteField("name", "Ada")
	_ = mw.WriteField("plan", "Small")
	_ = mw.Close()
	var file bytes.Buffer
	fw := multipart.NewWriter(&file)
	_ = fw.WriteField("name", "Ada")
	part, _ := fw.CreateFormFile("cv", "cv.pdf")
	_, _ = part.Write([]byte("%PDF"))
	_ = fw.Close()
	for name, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"form-encoded":     {"application/x-www-form-urlencoded", "name=Ada&plan=Small", 200},
		"multipart":        {mw.FormDataContentType(), form.String(), 200},
		"json":             {"application/json", `{"name":"Ada","plan":"Small","_first":{"utm_source":"ad"}}`, 200},
		"json, odd values": {"application/json", `{"name":["Ada"],"plan":"Small","terms":false,"message":null}`, 200},
		"multipart, file":  {fw.FormDataContentType(), file.String(), 422},
		"json, nested":     {"application/json", `{"name":{"first":"Ada"}}`, 422},
		"json, cut":        {"application/json", `{"name":"Ada"`, 422},
		"json, two":        {"application/json", `{"name":"Ada"}{}`, 422},
		"json, list":       {"application/json", `["Ada"]`, 422},
		"bad escape":       {"application/x-www-form-urlencoded", "name=%zz", 422},
		"text":             {"text/plain", "name=Ada", 415},
		"no type":          {"", "name=Ada", 415},
		"no boundary":      {"multipart/form-data", "name=Ada", 422},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			r := httptest.NewRequest(http.MethodPost, "/forms/x", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.kind)
			b.want(c.status, "", r)
			if c.status != 200 {
				b.stored(0)
				return
			}
			if got, want := b.stored(1)[0].Text, "Your name: Ada\nPlan: Small"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestWrongFieldsAreNamed(t *testing.T) {
	t.Parallel()
	for field, v := range map[string]values{
		"name":    {"phone": "+44 20 7946 0958"},
		"mail":    {"name": "Ada", "mail": "nonsense"},
		"phone":   {"name": "Ada", "phone": "call me"},
		"plan":    {"name": "Ada", "plan": "Huge"},
		"message": {"name": "Ada", "message": strings.Repeat("я", maxArea+1)},
		"other":   {"name": "Ada", "other": strings.Repeat("x", maxArea+1)},
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			out := b.want(http.StatusUnprocessableEntity, "invalid", request(v))
			list, _ := out["errors"].([]any)
			if len(list) != 1 || list[0].(map[string]any)["location"] != "body."+field {
				t.Errorf("refused at %v, want body.%s", out["errors"], field)
			}
			b.stored(0)
		})
	}
}

func TestForgedOriginsAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i, origin := range []string{
		"https://evil.example", "https://shop.example.evil.example", "https://evil-shop.example", "http://shop.example", "https://shop.example:8443", "null",
		"https://user@shop.example", "https://shop.example/", "https://hub.test.evil.example", "garbage", "https://",
	} {
		r := request(values{"name": "Ada"}, "Origin", origin)
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:0", i)
		w := b.send(r)
		if w.Code != http.StatusForbidden || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %d, allowed %q", origin, w.Code, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
	b.want(http.StatusForbidden, "cross_origin", request(values{"name": "Ada"}, "Sec-Fetch-Site", "cross-site"))
	b.stored(0)
	for i, origin := range []string{site, "http://localhost:8000", "https://hub.test"} {
		r := request(values{"name": "Ada"}, "Origin", origin)
		r.RemoteAddr = fmt.Sprintf("198.51.100.%d:0", i)
		if w := b.send(r); w.Code != http.StatusOK || w.Header().Get("Access-Control-Allow-Origin") != origin || w.Header().Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: got %d %v", origin, w.Code, w.Header())
		}
	}
	b.stored(3)
	r := httptest.NewRequest(http.MethodOptions, "/forms/x", nil)
	r.Header.Set("Origin", site)
	if w := b.send(r); w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Headers") != "Content-Type" {
		t.Errorf("preflight: got %d %v", w.Code, w.Header())
	}
}

// Row 15 of the feature table: without proof no leads, with it one, replayed none.
func TestProofIsDemandedAndCountsOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(s map[string]any) { s["proof_required"], s["per_ip_minute"] = true, 600 })
	for i := range 500 {
		if w := b.send(request(values{"name": "Bot", "_proof": strconv.Itoa(i)})); w.Code == http.StatusOK {
			t.Fatal("taken without proof")
		}
	}
	b.stored(0)
	v := b.proven(values{"name": "Ada"})
	b.want(http.StatusOK, "", request(v))
	m := b.stored(1)[0]
	for i := range 50 { // the same challenge, whatever else is sent
		v["name"], v["_id"] = fmt.Sprint("Replay ", i), fmt.Sprintf("submission-%d", i)
		b.want(http.StatusOK, "", request(v))
	}
	// the hub takes a delivery's key once: all of them had the same
	b.stored(1)
	if !strings.HasPrefix(m.EventKey, "t:") {
		t.Errorf("delivery %q is not named by its challenge", m.EventKey)
	}
}

func TestChallenges(t *testing.T) {
	t.Parallel()
	good := func(b *bench) values { return b.proven(values{"name": "Ada"}) }
	for name, c := range map[string]struct {
		make func(b *bench) values
		code string
	}{
		"too fast": {func(b *bench) values {
			v := good(b)
			b.now = b.now.Add(-2 * time.Second)
			return v
		}, "too_fast"},
		"stale": {func(b *bench) values {
			v := good(b)
			b.now = b.now.Add(tokenLife)
			return v
		}, "stale"},
		"another form's": {func(b *bench) values {
			other := newBench(b.t)
			other.now = b.now
			v := other.proven(values{"name": "Ada"})
			b.now = other.now
			return v
		}, "stale"},
		"made easier": {func(b *bench) values {
			v := good(b)
			v["_token"] = strings.Replace(v["_token"], ".8.", ".1.", 1)
			return v
		}, "stale"},
		"made older": {func(b *bench) values {
			v := good(b)
			p := strings.Split(v["_token"], ".")
			p[1] = "1700000000000"
			v["_token"] = strings.Join(p, ".")
			return v
		}, "stale"},
		"garbage":  {func(*bench) values { return values{"name": "Ada", "_token": "1.2.3"} }, "stale"},
		"no point": {func(*bench) values { return values{"name": "Ada", "_token": "x"} }, "stale"},
		"huge":     {func(*bench) values { return values{"name": "Ada", "_token": strings.Repeat("1.", 5000)} }, "stale"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.want(http.StatusUnprocessableEntity, c.code, request(c.make(b)))
			b.stored(0)
		})
	}
	b := newBench(t) // solved wrongly it is a submission without proof, and says so
	d := b.challenge()
	b.now = b.now.Add(3 * time.Second)
	wrong := 0
	for ; zeroBits(d.Token+"."+strconv.Itoa(wrong)) >= d.Bits; wrong++ {
	}
	b.want(http.StatusOK, "", request(values{"name": "Ada", "_token": d.Token, "_proof": strconv.Itoa(wrong)}))
	if m := b.stored(1)[0]; !strings.Contains(string(m.Data), `"proof":false`) {
		t.Errorf("data %s", m.Data)
	}
}

func TestRobotInTheTrapLearnsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	out := b.want(http.StatusOK, "", request(values{"name": "Bot", b.challenge().Trap: "https://spam.example"}))
	if out["ok"] != true || out["thanks"] != "Thanks!" {
		t.Errorf("answered %v", out)
	}
	b.stored(0)
}

func TestDoubleClickIsOneMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := values{"name": "Ada", "_id": "0190c0de-0000-7000-8000-000000000001"}
	b.want(http.StatusOK, "", request(v))
	b.want(http.StatusOK, "", request(v))
	b.stored(1)
}

func TestLargeFieldIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(http.StatusRequestEntityTooLarge, "too_large", request(values{"name": strings.Repeat("x", 1<<20)}))
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, "f%d=x&", i)
	}
	r := httptest.NewRequest(http.MethodPost, "/forms/x", strings.NewReader(many.String()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	b.want(http.StatusUnprocessableEntity, "invalid", r)
	b.stored(0)
}

// 10,000 posts of a minute, from one address and from as many: what is stored and what is remembered stays small, and
// somebody with a proof still gets through.
func TestFloodIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	flood := func(from func(i int) string) (taken int) {
		for i := range 10_000 {
			r := request(values{"name": "Bot"})
			r.RemoteAddr = from(i)
			switch w := b.send(r); w.Code {
			case http.StatusOK:
				taken++
			case http.StatusTooManyRequests:
				if w.Header().Get("Retry-After") == "" {
					t.Fatal("not told when to come again")
				}
			default:
				t.Fatalf("got %d", w.Code)
			}
		}
		return taken
	}
	if n := flood(func(int) string { return "192.0.2.7:0" }); n != defaultPerMinute {
		t.Errorf("one address: %d were taken, want %d", n, defaultPerMinute)
	}
	if n := flood(func(i int) string { return fmt.Sprintf("10.%d.%d.1:0", i/250, i%250) }); n != perMinuteUnproven-defaultPerMinute {
		t.Errorf("as many addresses: %d were taken, want %d", n, perMinuteUnproven-defaultPerMinute)
	}
	if n := flood(func(i int) string { return fmt.Sprintf("[2001:db8:0:1:%x::1]:0", i) }); n != 0 {
		t.Errorf("one IPv6 network after that: %d were taken", n)
	}
	if n := len(b.a.limits.nets); n > maxNetworks {
		t.Errorf("%d networks are remembered, the limit is %d", n, maxNetworks)
	}
	before := len(b.sink.Messages())
	r := request(b.proven(values{"name": "Ada"}))
	r.RemoteAddr = "203.0.113.9:0"
	b.want(http.StatusOK, "", r)
	b.stored(before + 1)
	b.now = b.now.Add(2 * time.Minute) // and a minute later everybody
	b.want(http.StatusOK, "", request(values{"name": "Late"}))
}

func TestPlainFormGetsPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	page := func(v values) *httptest.ResponseRecorder {
		r := request(v, "Accept", "text/html,application/xhtml+xml", "Origin", site, "Referer", "https://shop.example/contact?utm_source=x")
		return b.send(r)
	}
	w := page(values{"name": "Ada", "mail": "<b>wrong", "message": `"><script>alert(1)</script>`, "extra": "kept"})
	body := w.Body.String()
	if w.Code != 422 || !strings.Contains(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("got %d %s", w.Code, body)
	}
	for _, want := range []string{"This is not an e-mail address.", `name="_token" value="1.`, "&lt;script&gt;alert(1)", `name="extra" value="kept"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "<script>alert") || strings.Contains(body, "<b>wrong") {
		t.Error("what was typed became markup")
	}
	if w = page(values{"name": "Ada"}); w.Code != 200 || !strings.Contains(w.Body.String(), "Thanks!") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if m := b.stored(1)[0]; m.Attribution["page"] != "https://shop.example/contact?utm_source=x" {
		t.Errorf("attribution %v", m.Attribution)
	}
	r := httptest.NewRequest(http.MethodGet, "/forms/x", nil)
	r.Header.Set("Accept", "text/html")
	w = b.send(r)
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'self' "+site) || strings.Contains(csp, "script-src 'unsafe") {
		t.Errorf("policy %q", csp)
	}
	to := newBench(t, func(s map[string]any) { s["redirect"] = site + "/done" })
	r = request(values{"name": "Ada"}, "Accept", "text/html")
	if w := to.send(r); w.Code != http.StatusSeeOther || w.Header().Get("Location") != site+"/done" {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
}

// A hub that cannot store says so, and the browser's next try is the same submission.
func TestUnstoredIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sink.FailBefore(1)
	v := values{"name": "Ada", "_id": "0190c0de-0000-7000-8000-000000000001"}
	b.want(http.StatusServiceUnavailable, "unavailable", request(v))
	b.stored(0)
	b.want(http.StatusOK, "", request(v))
	b.stored(1)
}
