package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels/email/dovecottest"
	"github.com/parley-hub/parley/channels/email/sink"
	"github.com/parley-hub/parley/e2e/rig"
)

const (
	salesBox    = "sales@example.com"
	customerBox = "ada@example.org"
	mailWord    = "s3cret"
)

// post is the world of mail: Dovecot keeps the mailboxes, and what the hub sends is relayed into them.
type post struct {
	t    *testing.T
	dove *dovecottest.Server
	smtp *sink.Server
	dir  string

	mu      sync.Mutex
	relayed int
}

func newPost(t *testing.T) *post {
	t.Helper()
	check(t, dovecottest.Available())
	p := &post{t: t, dir: t.TempDir()}
	p.dove = must[*dovecottest.Server](t)(dovecottest.Start(map[string]string{salesBox: mailWord, customerBox: mailWord}))
	t.Cleanup(p.dove.Stop)
	p.smtp = must[*sink.Server](t)(sink.Start(salesBox, mailWord))
	t.Cleanup(p.smtp.Close)
	return p
}

// relay delivers what the hub has sent since the last call, as the mail servers in between do.
func (p *post) relay() {
	p.mu.Lock()
	defer p.mu.Unlock()
	mails := p.smtp.Mails()
	for _, m := range mails[p.relayed:] {
		for _, to := range m.To {
			if to == customerBox {
				check(p.t, p.dove.Deliver(to, m.Data()))
			}
		}
	}
	p.relayed = len(mails)
}

func (p *post) channel(w *rig.World, more map[string]any) rig.Channel {
	p.t.Helper()
	set := map[string]any{
		"address": salesBox, "name": "Sales",
		"imap": map[string]any{"host": "127.0.0.1", "port": p.dove.IMAPPort, "tls": "none", "username": salesBox, "password": mailWord},
		"smtp": map[string]any{"host": "127.0.0.1", "port": p.smtp.Port, "tls": "none", "username": salesBox, "password": mailWord},
	}
	for k, v := range more {
		set[k] = v
	}
	var tested struct {
		OK           bool
		Step, Detail string
	}
	ctx := p.t.Context()
	check(p.t, w.Admin.Post(ctx, "/api/channels/test", map[string]any{"kind": "email", "settings": set}, &tested))
	if !tested.OK {
		p.t.Fatalf("the test of the channel fails at %s: %s", tested.Step, tested.Detail)
	}
	var ch rig.Channel
	check(p.t, w.Admin.Post(ctx, "/api/channels", map[string]any{"kind": "email", "name": "Sales", "settings": set}, &ch))
	return must[rig.Channel](p.t)(w.ChannelUp(ctx, ch.ID))
}

// curl is a mail program of somebody else's making.
func (p *post) curl(ctx context.Context, user string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "curl", append([]string{"-sS", "--fail", "--max-time", "20", "-u", user + ":" + mailWord}, args...)...) //nolint:gosec // a test's own words
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("curl: %w: %s", err, errs.String())
	}
	return out.Bytes(), nil
}

func (p *post) url(path string) string {
	return fmt.Sprintf("imap://127.0.0.1:%d/%s", p.dove.IMAPPort, path)
}

// write puts a mail into the hub's mailbox.
func (p *post) write(letter string) {
	p.t.Helper()
	file := filepath.Join(p.dir, uuid.NewString()+".eml")
	check(p.t, os.WriteFile(file, []byte(strings.ReplaceAll(letter, "\n", "\r\n")), 0o600))
	_, err := p.curl(p.t.Context(), salesBox, "-T", file, p.url("INBOX"))
	check(p.t, err)
}

// read waits for the customer's n-th mail.
func (p *post) read(n int) *mail.Message {
	p.t.Helper()
	var m *mail.Message
	check(p.t, rig.Until(p.t.Context(), fmt.Sprintf("mail %d of the customer", n), rig.Patience, func() (bool, error) {
		p.relay()
		raw, err := p.curl(p.t.Context(), customerBox, p.url(fmt.Sprintf("INBOX;MAILINDEX=%d", n)))
		if err != nil || len(raw) == 0 {
			return false, nil //nolint:nilerr // it is not there yet
		}
		m, err = mail.ReadMessage(bytes.NewReader(raw))
		return err == nil, err
	}))
	return m
}

func mailTo(item rig.Item) (out struct {
	Email struct {
		To, Cc  []struct{ Address string }
		Copies  []string
		HasHTML bool `json:"has_html"`
	}
},
) {
	_ = json.Unmarshal(item.Data, &out)
	return out
}

const question = `From: Ada Lovelace <ada@example.org>
To: sales@example.com
Cc: Bob <bob@example.org>
Subject: =?utf-8?q?Preise_f=C3=BCr_drei?=
Message-ID: <q1@example.org>
Date: Fri, 27 Nov 2026 10:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html; charset=utf-8

<p>What do three cost?</p><script>alert(1)</script><img src="https://tracker.example/x.gif">
--b
Content-Type: text/csv; name="list.csv"
Content-Disposition: attachment; filename="list.csv"

a,b,c
--b--
`

// A customer's mail becomes a conversation, our answer reaches him, and his answer to that comes back to the same one,
// though the server broke off after it had taken ours.
func TestMail(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w, p := world(t, config(t)), newPost(t)
	ch := p.channel(w, map[string]any{"plus_addressing": true})
	for _, name := range []string{"imap", "smtp"} {
		if server, _ := ch.Settings[name].(map[string]any); server["password"] != "" {
			t.Errorf("the API shows the password of %s", name)
		}
	}
	p.write(question)
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Ada Lovelace"))
	var first rig.Item
	check(t, rig.Until(ctx, "the attachment is here", rig.Patience, func() (bool, error) {
		items, err := rig.Timeline(ctx, w.Admin, conv.ID)
		for _, i := range items {
			if i.Content == "email" && len(i.Attachments) == 1 && i.Attachments[0].State == "ok" {
				first = i
			}
		}
		return first.ID != "", err
	}))
	if first.Text != "What do three cost?" || first.HTML != "" || !mailTo(first).Email.HasHTML {
		t.Errorf("the mail is shown as %q, %q", first.Text, first.HTML)
	}
	if _, got := fetch(t, w.Admin, first.Attachments[0].URL, ""); string(got) != "a,b,c" {
		t.Errorf("the attachment is %q", got)
	}
	if _, got := fetch(t, w.Admin, "/api/conversations/"+conv.ID+"/messages/"+first.ID+"/raw", ""); !bytes.Contains(got, []byte("Message-ID: <q1@example.org>")) {
		t.Error("the original is not kept")
	}

	p.smtp.Fail(sink.Fault{At: "data", Code: 451, Text: "come later"}, sink.Fault{Cut: true, Kept: true})
	said := must[rig.Item](t)(rig.Say(ctx, w.Admin, conv.ID, "Ten each.", map[string]any{
		"to": []map[string]string{{"name": "Ada", "address": customerBox}}, "cc": []map[string]string{{"address": "bob@example.org"}},
	}))
	check(t, rig.Until(ctx, "the answer is sent", rig.Patience, func() (bool, error) {
		items, err := rig.Timeline(ctx, w.Admin, conv.ID)
		for _, i := range items {
			if i.ID == said.ID && i.Status == "sent" {
				return true, nil
			}
		}
		return false, err
	}))
	answer := p.read(1)
	h := answer.Header
	if h.Get("In-Reply-To") != "<q1@example.org>" || h.Get("Cc") != "<bob@example.org>" || !strings.HasPrefix(h.Get("Reply-To"), `"Sales" <sales+p`+conv.ID+".") {
		t.Errorf("the answer's header is wrong: %v", h)
	}
	if again := p.read(2); again.Header.Get("Message-Id") != h.Get("Message-Id") {
		t.Errorf("the repeated mail has another id: %s, %s", again.Header.Get("Message-Id"), h.Get("Message-Id"))
	}

	p.write("From: ada@example.org\nTo: sales@example.com\nSubject: Re: x\nMessage-ID: <q2@example.org>\nIn-Reply-To: " + h.Get("Message-Id") + "\n\nI take them.\n")
	p.write("From: Eve <eve@evil.example>\nTo: sales@example.com\nSubject: Re: x\nMessage-ID: <e1@evil.example>\nIn-Reply-To: " + h.Get("Message-Id") + "\n\nMe too.\n")
	eve := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Eve"))
	if eve.ID == conv.ID {
		t.Error("a stranger was let into the conversation")
	}
	check(t, w.Admin.Get(ctx, "/api/conversations/"+conv.ID, &conv))
	if conv.InCount != 2 || conv.LastText != "I take them." {
		t.Errorf("the customer's answer is not in the conversation: %+v", conv)
	}

	var known struct {
		Source string
		IMAP   struct{ Host string }
	}
	check(t, w.Admin.Get(ctx, "/api/channels/email/settings?address=shop@gmail.com", &known))
	if known.Source != "known" || known.IMAP.Host != "imap.gmail.com" {
		t.Errorf("settings %+v", known)
	}
	if err := w.Admin.Get(ctx, "/api/channels/email/settings?address=nobody", &known); rig.StatusOf(err) != 422 {
		t.Errorf("settings of no address: %v", err)
	}
	p.firstMail(w, ch)
	p.bounce(w, conv.ID)
}

// firstMail writes to somebody who never wrote, forwarding the customer's mail, twice under one id.
func (p *post) firstMail(w *rig.World, ch rig.Channel) {
	t, ctx := p.t, p.t.Context()
	t.Helper()
	var conv, again rig.Conversation
	in := map[string]any{
		"id": uuid.NewString(), "channel_id": ch.ID, "subject": "An offer", "text": "Dear Grace, look.", "html": "<p>Dear <b>Grace</b><script>x</script>, look.</p>",
		"to": []map[string]string{{"name": "Grace", "address": "Grace@example.net"}},
	}
	check(t, w.Admin.Post(ctx, "/api/conversations", in, &conv))
	check(t, w.Admin.Post(ctx, "/api/conversations", in, &again))
	if conv.ID == "" || conv.ID != again.ID || conv.Contact.Name != "Grace" {
		t.Errorf("the first mail made %+v and %+v", conv, again)
	}
	var contact rig.Contact
	check(t, w.Admin.Get(ctx, "/api/contacts/"+conv.Contact.ID, &contact))
	if len(contact.Leads) != 0 {
		t.Error("writing to somebody made him a lead")
	}
	for _, bad := range []map[string]any{
		{"to": []map[string]string{{"address": "x@y\r\nBcc: z@evil.example"}}}, {"subject": "one\r\nBcc: z@evil.example"}, {"to": []map[string]string{}},
	} {
		wrong := map[string]any{"id": uuid.NewString(), "channel_id": ch.ID, "subject": "s", "text": "t", "to": []map[string]string{{"address": "g@example.net"}}}
		for k, v := range bad {
			wrong[k] = v
		}
		if err := w.Admin.Post(ctx, "/api/conversations", wrong, nil); rig.StatusOf(err) != 422 {
			t.Errorf("%v was answered with %v", bad, err)
		}
	}
	check(t, rig.Until(ctx, "Grace has her mail", rig.Patience, func() (bool, error) {
		for _, m := range p.smtp.Mails() {
			if len(m.To) == 1 && strings.EqualFold(m.To[0], "grace@example.net") {
				if !bytes.Contains(m.Data(), []byte("Subject: An offer")) || bytes.Contains(m.Data(), []byte("script")) {
					t.Errorf("Grace got %s", m.Data())
				}
				return true, nil
			}
		}
		return false, nil
	}))
}

// bounce lets a mail server report that the last answer could not be delivered.
func (p *post) bounce(w *rig.World, conversation string) {
	t, ctx := p.t, p.t.Context()
	t.Helper()
	said := must[rig.Item](t)(rig.Say(ctx, w.Admin, conversation, "One more thing.", nil))
	before := len(p.smtp.Mails())
	check(t, rig.Until(ctx, "it is sent", rig.Patience, func() (bool, error) { return len(p.smtp.Mails()) > before, nil }))
	m := must[*mail.Message](t)(mail.ReadMessage(bytes.NewReader(p.smtp.Mails()[before].Data())))
	p.write("From: MAILER-DAEMON@mx.example.org\nTo: sales@example.com\nSubject: Undelivered\nMessage-ID: <b1@mx.example.org>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n" +
		"Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\nContent-Type: text/plain\n\nSorry.\n--r\nContent-Type: message/delivery-status\n\n" +
		"Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; ada@example.org\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 mailbox full\n\n" +
		"--r\nContent-Type: message/rfc822\n\nMessage-ID: " + m.Header.Get("Message-Id") + "\nSubject: x\n\nx\n--r--\n")
	check(t, rig.Until(ctx, "the message is marked as failed", rig.Patience, func() (bool, error) {
		items, err := rig.Timeline(ctx, w.Admin, conversation)
		for _, i := range items {
			if i.ID == said.ID && i.Status == "failed" {
				if !strings.Contains(i.Error, "552 mailbox full") {
					t.Errorf("the reason is %q", i.Error)
				}
				return true, nil
			}
		}
		return false, err
	}))
}

// However often the hub is killed: every mail is there once, and every answer reaches the customer under one Message-ID.
func TestMailKilled(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w, p := world(t, config(t)), newPost(t)
	p.channel(w, map[string]any{"save_sent": false})
	check(t, p.dove.Deliver(salesBox, simple("first")))
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Ada"))
	sent, said := map[string]bool{"first": true}, map[string]bool{}
	for round := range pick(4, 40) {
		for i := range 15 {
			text := fmt.Sprintf("mail %d of round %d", i, round)
			check(t, p.dove.Deliver(salesBox, simple(text)))
			sent[text] = true
			if i%5 == 0 {
				item, err := rig.Say(ctx, w.Admin, conv.ID, "answer to "+text, nil)
				check(t, err)
				said[item.ID] = true
			}
		}
		if round%2 == 1 {
			check(t, p.dove.Recreate(salesBox)) // and the server numbers its messages anew
		}
		check(t, w.Hub.Restart(ctx))
	}
	check(t, rig.Until(ctx, "every mail is there", 2*rig.Patience, func() (bool, error) {
		got, err := texts(ctx, w)
		if err != nil {
			return false, err
		}
		for text, n := range got {
			if n != 1 || !sent[text] {
				return false, fmt.Errorf("%q is there %d times", text, n)
			}
		}
		return len(got) == len(sent), nil
	}))
	check(t, rig.Until(ctx, "every answer is sent", 2*rig.Patience, func() (bool, error) {
		items, err := rig.Timeline(ctx, w.Admin, conv.ID)
		n := 0
		for _, i := range items {
			if said[i.ID] && i.Status == "sent" {
				n++
			}
		}
		return n == len(said), err
	}))
	byID := map[string]bool{}
	for _, m := range p.smtp.Mails() {
		h := must[*mail.Message](t)(mail.ReadMessage(bytes.NewReader(m.Data())))
		byID[h.Header.Get("Message-Id")] = true
	}
	if len(byID) != len(said) {
		t.Errorf("%d Message-IDs for %d answers", len(byID), len(said))
	}
}

func simple(text string) []byte {
	return []byte("From: Ada <ada@example.org>\r\nTo: sales@example.com\r\nSubject: " + text + "\r\nMessage-ID: <" + uuid.NewString() + "@example.org>\r\n\r\n" + text + "\r\n")
}

// texts counts what came in, over all conversations.
func texts(ctx context.Context, w *rig.World) (map[string]int, error) {
	convs, err := rig.All[rig.Conversation](ctx, w.Admin, "/api/conversations?view=all&limit=100")
	if err != nil {
		return nil, err
	}
	got := map[string]int{}
	for _, c := range convs {
		items, err := rig.Timeline(ctx, w.Admin, c.ID)
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			if i.Kind == "message" && i.Direction == "in" {
				got[i.Text]++
			}
		}
	}
	return got, nil
}
