package email_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/email"
	"github.com/parley-hub/parley/channels/email/sink"
)

// run works a mailbox into a hub in memory until the test's end, or until stop is called.
func (b *box) run(t *testing.T, hub *channelstest.Sink, largest int64) (stop func()) {
	t.Helper()
	acc := b.account(t)
	acc.Cursors = hub.Cursors()
	a, err := email.Tuned(acc, 2*time.Second, largest)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.Run(ctx, hub)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	hub.UntilState(t, channels.Up)
	return stop
}

func mailData(t *testing.T, e channels.Inbound) channels.MailData {
	t.Helper()
	var d struct{ Email channels.MailData }
	if err := json.Unmarshal(e.Data, &d); err != nil {
		t.Fatal(err)
	}
	return d.Email
}

func TestOnlyMailFromNowOn(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.deliver(t, letter(1, "old one"))
	hub := channelstest.NewSink()
	b.run(t, hub, 0)
	b.deliver(t, letter(2, "new one"))
	got := hub.UntilMessages(t, 1)
	if got[0].Text != "new one" || got[0].History {
		t.Errorf("got %+v", got)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.set["import_days"] = 3
	b.deliver(t, letter(1, "old one"), letter(2, "old two"))
	hub := channelstest.NewSink()
	b.run(t, hub, 0)
	b.deliver(t, letter(3, "new one"))
	got := hub.UntilMessages(t, 3)
	for i, want := range []string{"old one", "old two", "new one"} {
		// delivered within the second of the first look, the old ones may count as new
		if got[i].Text != want || got[i].History && i == 2 {
			t.Errorf("message %d is %q, history %v", i, got[i].Text, got[i].History)
		}
	}
}

// TestNumberedAnew: after the server has given its messages new numbers, all are looked at again; their content tells
// the hub that it has them.
func TestNumberedAnew(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	hub := channelstest.NewSink()
	b.run(t, hub, 0)
	b.deliver(t, letter(1, "one"), letter(2, "two"))
	hub.UntilMessages(t, 2)
	if err := dove.Recreate(b.user); err != nil {
		t.Fatal(err)
	}
	b.deliver(t, letter(3, "three"))
	hub.Until(t, "the third", func() bool { return slices.Contains(hub.Texts(), "three") })
	prints := map[string]bool{}
	for _, m := range hub.Messages() {
		prints[m.Fingerprint] = true
	}
	if len(prints) != 3 {
		t.Errorf("%d contents of three mails", len(prints))
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	hub := channelstest.NewSink()
	b.run(t, hub, 1<<20)
	b.deliver(t, letter(1, "small"), letter(2, "the beginning "+strings.Repeat("long line of a large mail\r\n", 80_000)), letter(3, "behind it"))
	got := hub.UntilMessages(t, 3)
	if !strings.HasPrefix(got[1].Text, "the beginning") || len(got[1].Raw) > 300<<10 || len(mailData(t, got[1]).Warnings) != 1 {
		t.Errorf("the large one: %d bytes kept, %v", len(got[1].Raw), mailData(t, got[1]).Warnings)
	}
	if got[2].Text != "behind it" {
		t.Errorf("behind it came %q", got[2].Text[:min(50, len(got[2].Text))])
	}
}

func TestFoldersAndOurOwnMail(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.set["save_sent"] = true
	b.set["imap"].(map[string]any)["folders"] = []string{"INBOX", "Sent"}
	hub := channelstest.NewSink()
	b.run(t, hub, 0)
	a, err := email.Kind(nil).New(b.account(t))
	if err != nil {
		t.Fatal(err)
	}
	res, err := a.Send(t.Context(), channels.Outbound{ClientID: "0190c0de-0000-7000-8000-000000000001", Op: channels.OpSend, Chat: "ada@example.org", Text: "ours", Subject: "s"})
	if err != nil || res.Note != "" {
		t.Fatalf("%+v, %v", res, err)
	}
	b.deliver(t, letter(1, "theirs"))
	if got := hub.UntilMessages(t, 1); got[0].Text != "theirs" { // our copy in Sent is no news
		t.Errorf("got %q", hub.Texts())
	}
	if want := a.(channels.Identifier).ProviderID("0190c0de-0000-7000-8000-000000000001"); res.ProviderIDs[0] != want {
		t.Errorf("sent under %v, said to be %s beforehand", res.ProviderIDs, want)
	}
}

func TestDeadConnectionIsNoticed(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	p := newProxy(t, dove.IMAPPort)
	b.set["imap"].(map[string]any)["port"] = p.port
	hub := channelstest.NewSink()
	b.run(t, hub, 0)
	p.away(true)
	hub.UntilState(t, channels.Failed)
	b.deliver(t, letter(1, "meanwhile"))
	p.away(false)
	hub.UntilMessages(t, 1)
	p.gate.Lock() // the line is dead, and the connection does not know
	hub.UntilState(t, channels.Failed)
	p.gate.Unlock()
	hub.UntilState(t, channels.Up)
	if err := dove.Kick(b.user); err != nil {
		t.Fatal(err)
	}
	b.deliver(t, letter(2, "after a kick"))
	hub.UntilMessages(t, 2)
}

func TestSendOutcomes(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	a, err := email.Kind(nil).New(b.account(t))
	if err != nil {
		t.Fatal(err)
	}
	to := func(list ...string) (out []channels.Recipient) {
		for _, s := range list {
			out = append(out, channels.Recipient{Role: "to", Address: s})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		fault *sink.Fault
		m     channels.Outbound
		want  channels.SendErrorKind
		words string
	}{
		{name: "451 at data", fault: &sink.Fault{At: "data", Code: 451, Text: "come later"}, want: channels.Temporary, words: "come later"},
		{name: "421 at mail", fault: &sink.Fault{At: "mail", Code: 421, Text: "busy"}, want: channels.Temporary, words: "busy"},
		{name: "550 at rcpt", fault: &sink.Fault{At: "rcpt", Code: 550, Text: "no such user"}, want: channels.Permanent, words: "ada@example.org: 550"},
		{name: "554 at data", fault: &sink.Fault{At: "data", Code: 554, Text: "spam"}, want: channels.Permanent, words: "spam"},
		{name: "cut", fault: &sink.Fault{Cut: true}, want: channels.Temporary, words: "broke"},
		{name: "line in the subject", m: channels.Outbound{Subject: "a\r\nBcc: eve@evil.example"}, want: channels.Permanent, words: "more than one line"},
		{name: "line in an address", m: channels.Outbound{Recipients: to("a@b.example\r\nRCPT TO:<eve@evil.example>")}, want: channels.Permanent, words: "no e-mail address"},
		{name: "line in a name", m: channels.Outbound{Recipients: []channels.Recipient{{Role: "to", Name: "a\nBcc: x@y", Address: "a@b.example"}}}, want: channels.Permanent, words: "no e-mail address"},
		{name: "line in a file's name", m: channels.Outbound{Files: []channels.File{{Name: "a\r\nX: y"}}}, want: channels.Permanent, words: "attachment"},
		{name: "nobody", m: channels.Outbound{Recipients: []channels.Recipient{{Role: "reply_to", Address: "a@b.example"}}}, want: channels.Permanent, words: "Nobody"},
	} {
		if c.fault != nil {
			b.smtp.Fail(*c.fault)
		}
		c.m.ClientID, c.m.Op, c.m.Chat, c.m.Text = "0190c0de-0000-7000-8000-000000000001", channels.OpSend, "ada@example.org", "hi"
		_, err := a.Send(t.Context(), c.m)
		var se *channels.SendError
		if !errors.As(err, &se) || se.Kind != c.want || !strings.Contains(se.Reason, c.words) {
			t.Errorf("%s: got %v, want %s with %q", c.name, err, c.want, c.words)
		}
	}
	if n := len(b.smtp.Mails()); n != 0 {
		t.Errorf("%d mails were taken", n)
	}
	// what a hostile sender put into his Message-ID does not become a header
	_, err = a.Send(t.Context(), channels.Outbound{ClientID: "0190c0de-0000-7000-8000-000000000002", Op: channels.OpSend, Text: "hi", References: []string{"ok@x", "bad\r\nX-Evil: 1"}, Automatic: true, Recipients: []channels.Recipient{
		{Role: "to", Name: "Jörg", Address: "joerg@münchen.example"}, {Role: "bcc", Address: "boss@example.net"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.smtp.Mails()[0].To; !slices.Equal(got, []string{"joerg@xn--mnchen-3ya.example", "boss@example.net"}) {
		t.Errorf("went to %q", got)
	}
	if data := string(b.smtp.Mails()[0].Data()); strings.Contains(data, "boss@") || !strings.Contains(data, "Auto-Submitted: auto-replied") || strings.Contains(data, "X-Evil") || !strings.Contains(data, "In-Reply-To: <ok@x>") || strings.Contains(data, "User-Agent") {
		t.Errorf("sent %s", data)
	}
}

func TestProbeNamesTheStep(t *testing.T) {
	t.Parallel()
	for step, spoil := range map[string]func(b *box){
		"imap_connect": func(b *box) { b.set["imap"].(map[string]any)["port"] = 1 },
		"imap_tls":     func(b *box) { b.set["imap"].(map[string]any)["tls"] = "tls" },
		"imap_login":   func(b *box) { b.set["imap"].(map[string]any)["password"] = "wrong" },
		"imap_folder":  func(b *box) { b.set["imap"].(map[string]any)["folders"] = []string{"Nowhere"} },
		"smtp_connect": func(b *box) { b.set["smtp"].(map[string]any)["port"] = 1 },
		"smtp_tls":     func(b *box) { b.set["smtp"].(map[string]any)["tls"] = "starttls" },
		"smtp_login":   func(b *box) { b.set["smtp"].(map[string]any)["password"] = "wrong" },
		"":             func(*box) {},
	} {
		b := newBox(t)
		spoil(b)
		err := email.Kind(nil).Probe(t.Context(), b.account(t))
		var pe *channels.ProbeError
		if step == "" && err != nil || step != "" && (!errors.As(err, &pe) || pe.Step != step || pe.Msg == "") {
			t.Errorf("%s: got %#v", step, err)
		}
	}
}

// TestTokens: an access token is got with the refresh token, once for several logins, and both servers take it.
func TestTokens(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		user, ok := strings.CutPrefix(r.FormValue("refresh_token"), "refresh-of-")
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"token-of-%s","expires_in":3600}`, user)
	}))
	defer provider.Close()
	for _, auth := range []string{"xoauth2", "oauthbearer"} {
		b := newBox(t)
		b.set["auth"] = auth
		b.set["oauth"] = map[string]any{"client_id": "c", "token_url": provider.URL, "refresh_token": "refresh-of-" + b.user}
		asked.Store(0)
		if err := email.Kind(nil).Probe(t.Context(), b.account(t)); err != nil || asked.Load() != 1 {
			t.Errorf("%s: %v, asked %d times", auth, err, asked.Load())
		}
		a, err := email.Kind(nil).New(b.account(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Send(t.Context(), channels.Outbound{ClientID: "c", Op: channels.OpSend, Chat: "ada@example.org", Text: "hi"}); err != nil {
			t.Errorf("%s: %v", auth, err)
		}
		for token, words := range map[string]string{"refresh-of-somebody": "does not accept", "revoked": "sign in again"} {
			b.set["oauth"].(map[string]any)["refresh_token"] = token
			var pe *channels.ProbeError
			if err := email.Kind(nil).Probe(t.Context(), b.account(t)); !errors.As(err, &pe) || pe.Step != "imap_login" || !strings.Contains(pe.Msg, words) {
				t.Errorf("%s with %s: %v", auth, token, err)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := `{"address":"a@b.example","imap":{"host":"imap.b.example","password":"x"},"smtp":{"host":"smtp.b.example"}`
	for raw, field := range map[string]string{
		good + `}`: "", `{}`: "address", good + `,"address":"a@b\r\nc"}`: "address", good + `,"imap":{"host":"h","tls":"none","password":"x"}}`: "imap.tls",
		good + `,"allow_plain":true,"imap":{"host":"h","tls":"none","password":"x"}}`: "", good + `,"smtp":{"host":"h","port":70000}}`: "smtp.port",
		good + `,"imap":{"host":"h"}}`: "", good + `,"imap":{"host":"h","password":""}}`: "imap.password", good + `,"auth":"xoauth2"}`: "oauth.token_url",
		good + `,"import_days":-1}`: "import_days", good + `,"imap":{"folders":["A","A"]}}`: "imap.folders", good + `,"name":7}`: "name", good + `,"auth":"magic"}`: "auth",
		good + `,"imap":{"password":"a\r\nLOGOUT"}}`: "imap.password",
	} {
		err := email.Kind(nil).Check(json.RawMessage(raw))
		var fe *channels.FieldError
		if field == "" && err != nil || field != "" && (!errors.As(err, &fe) || fe.Field != field) {
			t.Errorf("%s: got %v, want %q", raw, err, field)
		}
	}
}
