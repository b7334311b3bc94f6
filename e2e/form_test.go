package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-hub/parley/e2e/rig"
)

const shop = "https://shop.example"

// form makes a website form; its public address is returned.
func form(t *testing.T, w *rig.World, more map[string]any) (rig.Channel, string) {
	t.Helper()
	settings := map[string]any{
		"fields": []map[string]any{
			{"name": "name", "label": "Name", "type": "text", "required": true},
			{"name": "phone", "label": "Phone", "type": "phone"},
			{"name": "mail", "label": "E-mail", "type": "email"},
			{"name": "message", "label": "Message", "type": "textarea"},
		},
		"sites": []string{shop}, "pow_bits": 8, "min_seconds": 0, "per_ip_minute": 600,
	}
	for k, v := range more {
		settings[k] = v
	}
	var ch rig.Channel
	check(t, w.Admin.Post(t.Context(), "/api/channels", map[string]any{"kind": "webform", "name": "Site", "settings": settings}, &ch))
	key, _ := ch.Settings["key"].(string)
	if len(key) < 20 || ch.Settings["form_secret"] != "" {
		t.Fatalf("settings in the answer: %v", ch.Settings)
	}
	address := w.Hub.URL + "/forms/" + key
	check(t, rig.Until(t.Context(), "the form to be served", rig.Patience, func() (bool, error) { // a hint after the commit
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			return false, err
		}
		status, _ := ask(t, req)
		return status == http.StatusOK, nil
	}))
	return ch, address
}

// fill posts values as a page of the shop does; it returns the status and the answer.
func fill(t *testing.T, address, origin string, v url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(v.Encode()))
	check(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	return ask(t, req)
}

func ask(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	check(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	check(t, err)
	return res.StatusCode, string(b)
}

// worked adds a challenge and its solution.
func worked(t *testing.T, address string, v url.Values) url.Values {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	check(t, err)
	_, body := ask(t, req)
	var d struct {
		Token string
		Bits  int
	}
	check(t, json.Unmarshal([]byte(body), &d))
	for n := 0; ; n++ {
		proof := strconv.Itoa(n)
		if sum := sha256.Sum256([]byte(d.Token + "." + proof)); bits.LeadingZeros16(uint16(sum[0])<<8|uint16(sum[1])) >= d.Bits {
			v.Set("_token", d.Token)
			v.Set("_proof", proof)
			return v
		}
	}
}

// A visitor's form is a lead on an open screen within a second; a known number is neither refused nor believed.
func TestFormBecomesALead(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	_, address := form(t, w, nil)
	l := live(t, w.Admin, "")

	before := time.Now()
	status, answer := fill(t, address, "", url.Values{"name": {"Ada Lovelace"}, "phone": {"+44 20 7946 0958"}, "utm_source": {"poster"}})
	if status != http.StatusOK {
		t.Fatalf("a plain post: %d %s", status, answer)
	}
	_, err := l.WaitEvent(ctx, "lead.created", func(f rig.Frame) bool { return strings.Contains(string(f.Data), "Ada Lovelace") })
	check(t, err)
	ev, err := l.WaitEvent(ctx, "message.created", func(f rig.Frame) bool { return strings.Contains(string(f.Data), "Name: Ada Lovelace") })
	check(t, err)
	if took := time.Since(before); took > time.Second {
		t.Errorf("on the screen after %s", took)
	} else {
		t.Logf("on the screen after %s", took.Round(time.Millisecond))
	}
	var item rig.Item
	check(t, json.Unmarshal(ev.Data, &item))
	if err := w.Admin.Post(ctx, "/api/conversations/"+item.ConversationID+"/messages", map[string]any{
		"id": "0190c0de-0000-7000-8000-000000000001", "text": "answer",
	}, nil); rig.StatusOf(err) != http.StatusConflict {
		t.Errorf("an answer through the form: %v", err)
	}

	// A person whom we know by a proof, and a stranger who types the same number.
	var known rig.Contact
	check(t, w.Admin.Post(ctx, "/api/contacts", map[string]any{
		"name": "Sara", "identities": []map[string]string{{"kind": "phone", "value": "+251 91 123 4567"}},
	}, &known))
	status, answer = fill(t, address, shop, worked(t, address, url.Values{"name": {"Mallory"}, "phone": {"+251911234567"}, "mail": {"mallory@evil.example"}}))
	if status != http.StatusOK || strings.Contains(answer, "Sara") {
		t.Fatalf("a known number: %d %s", status, answer)
	}
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Mallory"))
	var after, stranger struct {
		Version    int
		Name       string
		Identities []any
		Asserted   []struct {
			Kind  string
			Known *rig.Ref
		}
		AssertedBy []rig.Ref `json:"asserted_by"`
		Leads      []any
	}
	check(t, w.Admin.Get(ctx, "/api/contacts/"+known.ID, &after))
	if after.Version != 1 || after.Name != "Sara" || len(after.Identities) != 1 || len(after.Leads) != 0 || len(after.AssertedBy) != 1 {
		t.Errorf("the known person: %+v", after)
	}
	check(t, w.Admin.Get(ctx, "/api/contacts/"+conv.Contact.ID, &stranger))
	if len(stranger.Identities) != 0 || len(stranger.Asserted) != 2 || stranger.Asserted[0].Known == nil && stranger.Asserted[1].Known == nil || len(stranger.Leads) != 1 {
		t.Errorf("the stranger: %+v", stranger)
	}
}

// Bad input against the real edge: a megabyte in one field, ten thousand posts, forged origins, a replayed challenge.
func TestFormUnderFire(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := world(t, config(t))
	ch, address := form(t, w, map[string]any{"per_ip_minute": 20})
	leads := func() int {
		var list struct{ Items []any }
		check(t, w.Admin.Get(ctx, "/api/leads?limit=200", &list))
		return len(list.Items)
	}
	if status, answer := fill(t, address, "", url.Values{"name": {strings.Repeat("x", 1<<20)}}); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte: %d %.200s", status, answer)
	}
	for _, origin := range []string{"https://evil.example", "null", shop + ".evil.example"} {
		if status, answer := fill(t, address, origin, url.Values{"name": {"Forged"}}); status != http.StatusForbidden {
			t.Errorf("from %s: %d %s", origin, status, answer)
		}
	}
	v := worked(t, address, url.Values{"name": {"Once"}})
	for i := range 5 {
		v.Set("_id", fmt.Sprintf("submission-%d", i))
		if status, answer := fill(t, address, shop, v); status != http.StatusOK {
			t.Fatalf("replay %d: %d %s", i, status, answer)
		}
	}
	if n := leads(); n != 1 {
		t.Errorf("%d leads of one challenge", n)
	}
	// Nobody has set a trusted proxy, so that the header gives nobody a new address.
	var taken, held, other atomic.Int64
	posts := pick(2000, 10_000)
	check(t, each(ctx, 16, posts, func(ctx context.Context, i int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(`{"name":"Flood"}`))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", i/250, i%250))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, _ = io.Copy(io.Discard, res.Body)
		switch res.StatusCode {
		case http.StatusOK:
			taken.Add(1)
		case http.StatusTooManyRequests:
			held.Add(1)
		default:
			other.Add(1)
		}
		return nil
	}))
	if taken.Load() > 60 || other.Load() > 0 || held.Load() == 0 {
		t.Errorf("of %d posts %d were taken, %d held back, %d something else", posts, taken.Load(), held.Load(), other.Load())
	}
	var state rig.Channel
	check(t, w.Admin.Get(ctx, "/api/channels/"+ch.ID, &state))
	if state.State != "up" || state.Quarantined != 0 {
		t.Errorf("the channel is %s, %d set aside", state.State, state.Quarantined)
	}
	for method, want := range map[string]int{http.MethodPut: 405, http.MethodDelete: 405} {
		req, err := http.NewRequestWithContext(ctx, method, address, nil)
		check(t, err)
		if status, _ := ask(t, req); status != want {
			t.Errorf("%s: %d", method, status)
		}
	}
	if status, _ := fill(t, w.Hub.URL+"/forms/nosuchkey", "", url.Values{"name": {"x"}}); status != http.StatusNotFound {
		t.Errorf("an unknown form: %d", status)
	}
	if _, err := w.Admin.Do(ctx, http.MethodDelete, "/api/channels/"+ch.ID, nil, http.NoBody); err != nil {
		t.Fatal(err)
	}
	check(t, rig.Until(ctx, "the form to be gone", rig.Patience, func() (bool, error) {
		status, _ := fill(t, address, "", url.Values{"name": {"x"}})
		return status == http.StatusNotFound, nil
	}))
}

// each runs f for 0..n-1 on so many workers and returns the first error.
func each(ctx context.Context, workers, n int, f func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	done := make(chan error, workers)
	for range workers {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					done <- nil
					return
				}
				if err := f(ctx, i); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	var first error
	for range workers {
		if err := <-done; err != nil && first == nil {
			first = err
		}
	}
	return first
}
