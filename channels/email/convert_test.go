package email

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/htmlmail"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

// testAdapter is the mailbox sales@example.com.
func testAdapter(t testing.TB, more string) *Adapter {
	t.Helper()
	a, err := newAdapter(channels.Account{ID: 7, Kind: Name, Key: []byte("key"), Settings: jsonRaw(`{"address":"sales@example.com","authserv_id":"mx.example.com","plus_addressing":true,
		"imap":{"host":"127.0.0.1","tls":"none","password":"x"},"smtp":{"host":"127.0.0.1","tls":"none"}` + more + `}`)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func testMeta() meta {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	return meta{Key: "INBOX/1/5", Folder: "INBOX", Validity: 1, UID: 5, At: now.Add(-time.Minute), Now: now}
}

// prepare puts what only this mailbox can have made into a mail of the corpus.
func prepare(a *Adapter, raw []byte) []byte {
	const id = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
	raw = bytes.ReplaceAll(raw, []byte(id+".OURMACOURMACOURM@example.com"), []byte(a.ProviderID(id)))
	return bytes.ReplaceAll(raw, []byte("<TOKEN>"), []byte(a.replyAddress("42")))
}

func TestConvertGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/mails/*.eml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d mails, %v", len(files), err)
	}
	a := testAdapter(t, "")
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".eml"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			evs := a.Convert(prepare(a, raw), testMeta())
			checkEvents(t, evs)
			got := golden(t, evs)
			name := strings.TrimSuffix(f, ".eml") + ".golden"
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

// golden is the events without their bytes and without what is empty.
func golden(t *testing.T, evs []channels.Inbound) []byte {
	t.Helper()
	for i := range evs {
		evs[i].Raw = nil
	}
	raw, err := json.Marshal(evs)
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := json.Unmarshal(raw, &x); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(slim(x)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func slim(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = slim(v[i])
		}
	case map[string]any:
		for k, x := range v {
			switch x := slim(x).(type) {
			case nil:
				delete(v, k)
			case string:
				if x == "" {
					delete(v, k)
				}
			case bool:
				if !x {
					delete(v, k)
				}
			case []any:
				if len(x) == 0 {
					delete(v, k)
				}
			}
		}
	}
	return v
}

// checkEvents is what holds for every mail whatever it is.
func checkEvents(t *testing.T, evs []channels.Inbound) {
	t.Helper()
	for _, e := range evs {
		if e.EventKey == "" || e.At.IsZero() || e.Direction == "" {
			t.Fatalf("incomplete: %+v", e)
		}
		if e.Kind == channels.Message && (e.Chat == "" || e.Content != Name || len(e.Fingerprint) != 64 || e.Thread == "") {
			t.Fatalf("incomplete message: %+v", e)
		}
		for _, s := range []string{e.Text, e.HTML, e.Subject, e.Sender.Name, e.Chat, e.ProviderID} {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				t.Fatalf("cannot be stored: %q", s)
			}
		}
		if len(e.Text) > maxShownText || len(e.HTML) > htmlmail.MaxHTML || len(e.Data) > maxDataBytes || len(e.Media) > maxFiles {
			t.Fatalf("too large: text %d, html %d, data %d, files %d", len(e.Text), len(e.HTML), len(e.Data), len(e.Media))
		}
		low := strings.ToLower(e.HTML)
		for _, bad := range []string{"<script", "javascript:", "<iframe", "<form", "<style", "<svg", "onerror=", "onclick=", "src=\"data:", "<meta", "<base"} {
			if strings.Contains(low, bad) {
				t.Fatalf("%s in %s", bad, e.HTML)
			}
		}
		var d struct{ Email channels.MailData }
		if e.Kind == channels.Message {
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Fatal(err)
			}
			if n := runes(e.Text); d.Email.QuoteAt > n || d.Email.SignatureAt > n {
				t.Fatalf("quote at %d, signature at %d of %d", d.Email.QuoteAt, d.Email.SignatureAt, n)
			}
		}
	}
}

// FuzzConvert: no mail panics, and what comes out is complete, bounded, storable and harmless.
func FuzzConvert(f *testing.F) {
	files, err := filepath.Glob("testdata/mails/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	a := testAdapter(f, "")
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(prepare(a, raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		evs := a.Convert(raw, testMeta())
		checkEvents(t, evs)
		for _, e := range evs {
			for _, m := range e.Media {
				if _, err := a.MediaFromRaw(raw, m.Ref, &bytes.Buffer{}); err != nil {
					t.Fatalf("%s cannot be read again: %v", m.Ref, err)
				}
			}
		}
	})
}

// TestMediaFromRaw: every file of a mail is read again out of its bytes.
func TestMediaFromRaw(t *testing.T) {
	t.Parallel()
	a := testAdapter(t, "")
	for name, want := range map[string][]string{"attachment_names": {"%PDF", "text", "x"}, "winmail": {"the plan"}, "inline_cid": {"\x89PNG\r\n\x1a\n"}, "only_attachment": {"%PDF"}} {
		raw, err := os.ReadFile("testdata/mails/" + name + ".eml")
		if err != nil {
			t.Fatal(err)
		}
		e := a.Convert(raw, testMeta())[0]
		if len(e.Media) != len(want) {
			t.Fatalf("%s: %+v", name, e.Media)
		}
		for i, m := range e.Media {
			var b bytes.Buffer
			if _, err := a.MediaFromRaw(raw, m.Ref, &b); err != nil || strings.TrimSpace(b.String()) != strings.TrimSpace(want[i]) {
				t.Errorf("%s: got %q, %v, want %q", name, b.String(), err, want[i])
			}
		}
	}
}

// TestBounded: a mail made to be slow or large is taken within a moment.
func TestBounded(t *testing.T) {
	t.Parallel()
	a := testAdapter(t, "")
	head := "From: ada@example.org\nMIME-Version: 1.0\n"
	var deep, wide strings.Builder
	deep.WriteString(head)
	wide.WriteString(head + "Content-Type: multipart/mixed; boundary=b\n\n")
	for i := range 10_000 {
		b := itoa(i)
		deep.WriteString("Content-Type: multipart/mixed; boundary=b" + b + "\n\n--b" + b + "\n")
		wide.WriteString("--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename=f\n\nx\n")
	}
	for name, raw := range map[string]string{
		"deep": deep.String(), "wide": wide.String(), "html": head + "Content-Type: text/html\n\n" + strings.Repeat("<div><blockquote>", 100_000),
		"long": head + "\n" + strings.Repeat("long text ", 300_000), "header": head + "X: " + strings.Repeat("a", 1<<20) + "\n\nx",
	} {
		began := time.Now()
		evs := a.Convert([]byte(raw), testMeta())
		checkEvents(t, evs)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}
