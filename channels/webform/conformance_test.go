package webform_test

import (
	"crypto/sha256"
	"encoding/json"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/webform"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) { channelstest.Run(t, peer) }

// peer is a visitor whose browser sends each submission until the hub has it, as form.js does.
func peer(t *testing.T) *channelstest.Peer {
	v := &visitor{wake: make(chan struct{}, 1), stop: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(v.run)
	t.Cleanup(func() { close(v.stop); wg.Wait() })
	settings := map[string]any{
		"fields": []map[string]any{
			{"name": "phone", "label": "Phone", "type": "phone"}, {"name": "message", "label": "Message", "type": "textarea", "required": true},
		},
		"pow_bits": 1, "min_seconds": 0, "per_ip_minute": 600,
	}
	if err := webform.Kind().Complete(settings, nil); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	return &channelstest.Peer{
		Kind: webform.Kind(), Account: channels.Account{ID: 9, Kind: webform.Name, Name: "Site", Settings: raw, BaseURL: "https://hub.test"},
		Hooked: func(h http.Handler) { v.set(func() { v.hub = h }) },
		Write:  func(text string) { v.set(func() { v.waiting = append(v.waiting, v.fill(text)) }) },
		Shown:  func(text string) string { return "Phone: +79123456789\nMessage: " + text },
		Again:  func(n int) { v.set(func() { v.waiting = append(v.waiting, v.done[len(v.done)-n:]...) }) },
	}
}

// visitor sends one after the other, in order.
type visitor struct {
	mu            sync.Mutex
	hub           http.Handler
	count         int
	waiting, done []string
	wake          chan struct{}
	stop          chan struct{}
}

func (v *visitor) set(f func()) {
	v.mu.Lock()
	f()
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *visitor) fill(text string) string {
	v.count++
	b, _ := json.Marshal(map[string]string{"phone": "+79123456789", "message": text, "_id": "submission-" + strconv.Itoa(v.count)})
	return string(b)
}

// work adds a solved challenge to a submission, once: every try after that sends the same.
func work(hub http.Handler, body string) string {
	if strings.Contains(body, `"_token"`) {
		return body
	}
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/forms/x", nil))
	var form struct {
		Token string
		Bits  int
	}
	if json.Unmarshal(w.Body.Bytes(), &form) != nil || form.Token == "" {
		return body
	}
	return strings.TrimSuffix(body, "}") + `,"_token":"` + form.Token + `","_proof":"` + solve(form.Token, form.Bits) + `"}`
}

func (v *visitor) run() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		v.mu.Lock()
		hub, next := v.hub, ""
		if len(v.waiting) > 0 {
			next = v.waiting[0]
		}
		v.mu.Unlock()
		if hub != nil && next != "" {
			next = work(hub, next)
			v.mu.Lock()
			v.waiting[0] = next
			v.mu.Unlock()
		}
		if hub != nil && next != "" && post(hub, next) {
			v.mu.Lock()
			v.waiting, v.done = v.waiting[1:], append(v.done, next)
			v.mu.Unlock()
			continue
		}
		select {
		case <-v.stop:
			return
		case <-v.wake:
		case <-tick.C:
		}
	}
}

// post is one try; false when the hub did not take it.
func post(hub http.Handler, body string) (ok bool) {
	defer func() {
		if recover() != nil { // the web server would have closed the connection
			ok = false
		}
	}()
	r := httptest.NewRequest(http.MethodPost, "/forms/x", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	hub.ServeHTTP(w, r)
	return w.Code == http.StatusOK
}

func solve(token string, want int) string {
	for n := 0; ; n++ {
		sum := sha256.Sum256([]byte(token + "." + strconv.Itoa(n)))
		if zeros := bits.LeadingZeros32(uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])); zeros >= want {
			return strconv.Itoa(n)
		}
	}
}
