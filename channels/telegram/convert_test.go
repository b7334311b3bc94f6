package telegram

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/channels"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

const testBot = 7000000001

func testNow() time.Time { return time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC) }

// golden is an event without Raw, which is the input.
func golden(t *testing.T, c converted) []byte {
	t.Helper()
	for i := range c.events {
		c.events[i].Raw = nil
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(map[string]any{"update_id": c.updateID, "callback": c.callback, "events": slim(t, c.events)}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// slim leaves out what is empty, so that a golden file shows what there is.
func slim(t *testing.T, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := json.Unmarshal(raw, &x); err != nil {
		t.Fatal(err)
	}
	var drop func(any) any
	drop = func(v any) any {
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = drop(v[i])
			}
		case map[string]any:
			for k, x := range v {
				switch x {
				case nil, "", false, 0.0:
					if k != "Unreachable" || x == nil {
						delete(v, k)
					}
				default:
					v[k] = drop(x)
				}
			}
		}
		return v
	}
	return drop(x)
}

func TestConvertGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/updates/*.json")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d updates, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".json"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			c := convert(raw, testBot, testNow())
			checkEvents(t, c)
			got := golden(t, c)
			name := strings.TrimSuffix(f, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(name, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestOwnPhoneOnly: a phone is the sender's own only when Telegram says so about the card that he himself made.
func TestOwnPhoneOnly(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"contact_own": 2, "contact_other": 1, "contact_own_forwarded": 1, "business_contact_of_owner": 1} {
		raw, err := os.ReadFile("testdata/updates/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		e := convert(raw, testBot, testNow()).events[0]
		if len(e.Sender.Identities) != want {
			t.Errorf("%s: identities %+v", name, e.Sender.Identities)
		}
	}
}

func TestDataIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Ж", 3000)
	options := make([]any, 0, 40)
	for range 40 {
		options = append(options, map[string]any{"text": long})
	}
	raw, err := json.Marshal(map[string]any{"update_id": 1, "message": map[string]any{
		"message_id": 1, "date": 1790000000, "chat": map[string]any{"id": 5, "type": "private"}, "from": map[string]any{"id": 5, "first_name": long},
		"quote": map[string]any{"text": long}, "poll": map[string]any{"id": "1", "question": long, "options": options, "type": "regular"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := convert(raw, testBot, testNow())
	checkEvents(t, c)
	if c.events[0].Content != "poll" || len(c.events[0].Data) < 100 {
		t.Errorf("got %+v", c.events[0])
	}
}

// checkEvents is what every event must be, whatever came.
func checkEvents(t testing.TB, c converted) {
	t.Helper()
	keys := map[string]bool{}
	for _, e := range c.events {
		if e.EventKey == "" || len(e.EventKey) > 128 || keys[e.EventKey] {
			t.Fatalf("event key %q", e.EventKey)
		}
		keys[e.EventKey] = true
		if e.Kind == "" || e.At.IsZero() || e.Direction == "" {
			t.Fatalf("incomplete %+v", e)
		}
		if (e.Kind == channels.Message || e.Kind == channels.Edit) && e.Content == "" {
			t.Fatalf("no content: %+v", e)
		}
		if (e.Kind == channels.Message || e.Kind == channels.Membership) && strings.TrimSpace(e.Text) == "" && len(e.Media) == 0 {
			t.Fatalf("nothing to read: %+v", e)
		}
		if len(e.Data) > 2000 || len(e.Text) > maxText || len(e.HTML) > 4*maxText || len(e.Sender.Name) > maxName {
			t.Fatalf("not bounded: data %d text %d html %d name %d", len(e.Data), len(e.Text), len(e.HTML), len(e.Sender.Name))
		}
		if len(e.Data) > 0 && !json.Valid(e.Data) {
			t.Fatalf("data %q", e.Data)
		}
		for _, s := range []string{
			e.EventKey, e.ProviderID, e.TargetID, e.Chat, e.Text, e.HTML, e.Album, e.ReplyTo, e.Content, e.Sender.Name, e.Sender.Username,
			e.Sender.Language, strings.Join(e.Emojis, ""), string(e.ChatData),
		} {
			if clean(s, len(s)) != s {
				t.Fatalf("not storable: %q", s)
			}
		}
		wellFormed(t, e.HTML)
		for _, m := range e.Media {
			if m.Kind == "" || !json.Valid(m.Ref) || m.Size < 0 || m.Duration < 0 {
				t.Fatalf("media %+v", m)
			}
		}
	}
}
