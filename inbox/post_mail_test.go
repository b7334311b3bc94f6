package inbox

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
)

// postbox is a channel that can do what mail can.
type postbox struct{}

func (postbox) Capabilities() channels.Capabilities {
	return channels.Capabilities{Recipients: true, Subject: true, FirstContact: true, Deduplicates: true}
}
func (postbox) Run(ctx context.Context, _ channels.Sink) error { <-ctx.Done(); return nil }
func (postbox) Send(context.Context, channels.Outbound) (channels.SendResult, error) {
	return channels.SendResult{}, nil
}

func (postbox) FetchMedia(context.Context, json.RawMessage, io.Writer) (channels.MediaInfo, error) {
	return channels.MediaInfo{}, channels.ErrMediaGone
}
func (postbox) ProviderID(client string) string { return client + "@hub.example" }

// newPostOffice is an office whose desk writes mail.
func newPostOffice(t *testing.T) (o *office, mail int64) {
	t.Helper()
	o = newOffice(t)
	box, _, err := secret.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	kinds := map[string]channels.Kind{"email": {Name: "email", Check: func(json.RawMessage) error { return nil }, New: func(channels.Account) (channels.Adapter, error) { return postbox{}, nil }}}
	o.Meet(crm.New(o.pool, o.bus, log, MergeFollower{}), NewChannels(o.pool, o.bus, box, kinds, "http://hub.test", log))
	mail = o.id(`INSERT INTO channel (kind, name, settings) VALUES ('email', 'Sales', '{"address": "sales@hub.example", "name": "Sales"}') RETURNING id`)
	return o, mail
}

func (o *office) mailTalk(mail int64, address string) ids.ID {
	o.t.Helper()
	p := o.person("Ada", "email", address)
	return ids.ID(o.id(`INSERT INTO conversation (channel_id, contact_id, identity_id, chat, chat_data, thread_key, subject) VALUES ($1, $2, $3, $4, '{"name": "Ada"}', $4, 'Re: AW: Prices') RETURNING id`,
		mail, p.contact, p.identity, address))
}

func sentMail(t *testing.T, it Item) channels.MailData {
	t.Helper()
	d, ok, err := mailOf(it.Data)
	if err != nil || !ok {
		t.Fatalf("no mail: %s, %v", it.Data, err)
	}
	return d
}

func TestAnswerIsAMail(t *testing.T) {
	t.Parallel()
	o, mail := newPostOffice(t)
	a := o.agent(staff.Admin, staff.ScopeAll)
	conv := o.mailTalk(mail, "ada@x.example")
	it, err := o.Post(t.Context(), a, conv, Draft{ID: uuid.New(), Text: "Ten.", HTML: `<p onclick="x">Ten<script>x</script> <a href="javascript:x">a</a><img src="https://t.example"></p>`})
	if err != nil {
		t.Fatal(err)
	}
	d := sentMail(t, it)
	if it.Content != "email" || it.Subject != "Re: Prices" || len(d.To) != 1 || d.To[0] != (channels.Mailbox{Name: "Ada", Address: "ada@x.example"}) || d.From.Address != "sales@hub.example" {
		t.Errorf("got %q, %+v", it.Subject, d)
	}
	if it.HTML != "<p>Ten a</p>" {
		t.Errorf("formatted as %q", it.HTML)
	}
	it, err = o.Post(t.Context(), a, conv, Draft{
		ID: uuid.New(), Text: "All.", Subject: "For all", To: []channels.Mailbox{{Address: "ada@x.example"}},
		Cc: []channels.Mailbox{{Name: "Bob", Address: "bob@x.example"}}, Bcc: []channels.Mailbox{{Address: "boss@hub2.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := sentMail(t, it); len(d.Cc) != 1 || len(d.Bcc) != 1 || it.Subject != "For all" {
		t.Errorf("got %+v", d)
	}
	if n := o.id(`SELECT count(*) FROM participant WHERE conversation_id = $1`, int64(conv)); n != 3 {
		t.Errorf("%d take part, want 3", n)
	}
	if n := o.id(`SELECT count(*) FROM lead`); n != 0 {
		t.Errorf("%d leads", n)
	}
}

func TestMailFieldsAreJudged(t *testing.T) {
	t.Parallel()
	o, mail := newPostOffice(t)
	a := o.agent(staff.Admin, staff.ScopeAll)
	conv, other := o.mailTalk(mail, "ada@x.example"), o.open(Open, 0, 0)
	many := make([]channels.Mailbox, maxRecipients+1)
	for i := range many {
		many[i].Address = "a@b.example"
	}
	for name, c := range map[string]struct {
		conv  ids.ID
		d     Draft
		field string
	}{
		"no address":           {conv, Draft{To: []channels.Mailbox{{Address: "nobody"}}}, "to"},
		"a line in an address": {conv, Draft{Cc: []channels.Mailbox{{Address: "a@b.example\r\nBcc: c@d.example"}}}, "cc"},
		"a line in a name":     {conv, Draft{Bcc: []channels.Mailbox{{Name: "a\r\nb", Address: "a@b.example"}}}, "bcc"},
		"a line in a subject":  {conv, Draft{Subject: "a\nb"}, "subject"},
		"too many":             {conv, Draft{To: many}, "to"},
		"no mail":              {other, Draft{Subject: "x"}, "to"},
		"a note":               {conv, Draft{Note: true, Subject: "x"}, "to"},
		"forward of nothing":   {conv, Draft{ForwardOf: ptr(uuid.New())}, "forward_of"},
	} {
		c.d.ID, c.d.Text = uuid.New(), "text"
		_, err := o.Post(t.Context(), a, c.conv, c.d)
		var e *errs.E
		if !errs.Is(err, errs.Invalid) || !asE(err, &e) || e.Field != c.field {
			t.Errorf("%s: got %v, want field %s", name, err, c.field)
		}
	}
	if n := o.id(`SELECT count(*) FROM outbox`); n != 0 {
		t.Errorf("%d are on their way", n)
	}
}

func TestForwardTakesTextAndFilesAlong(t *testing.T) {
	t.Parallel()
	o, mail := newPostOffice(t)
	a := o.agent(staff.Member, staff.ScopeOwn)
	conv := o.mailTalk(mail, "ada@x.example")
	original := uuid.New()
	o.exec(`WITH m AS (INSERT INTO message (at, id, conversation_id, kind, content, direction, author_kind, text, html, subject, data, status)
VALUES (now(), $1, $2, 'message', 'email', 'in', 'contact', 'old text', '<p>old <b>text</b></p>', 'Old', '{"email": {"from": {"name": "Ada", "address": "ada@x.example"}}}', 'received') RETURNING at, id)
INSERT INTO attachment (id, message_at, message_id, conversation_id, name, state, blob, content_id) SELECT gen_random_uuid(), at, id, $2, 'a.pdf', 'ok', 'hash', 'c1' FROM m`, original, int64(conv))
	it, err := o.Post(t.Context(), a, conv, Draft{ID: uuid.New(), Text: "See below.", ForwardOf: &original, To: []channels.Mailbox{{Address: "bob@x.example"}}, Subject: "Fwd: Old"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(it.Text, "From: Ada <ada@x.example>") || !strings.HasSuffix(it.Text, "old text") || !strings.Contains(it.HTML, "<blockquote><p>old <b>text</b></p></blockquote>") {
		t.Errorf("forwarded as %q, %q", it.Text, it.HTML)
	}
	if d := sentMail(t, it); string([]rune(it.Text)[d.QuoteAt:][:5]) != "-----" {
		t.Errorf("the quote is said to begin at %d", d.QuoteAt)
	}
	if len(it.Attachments) != 1 || it.Attachments[0].Name != "a.pdf" || it.Attachments[0].ContentID != "c1" {
		t.Errorf("files %+v", it.Attachments)
	}
	// what somebody may not see he cannot forward to himself
	stranger := o.agent(staff.Member, staff.ScopeOwn)
	o.exec(`UPDATE conversation SET assignee_id = $2 WHERE id = $1`, int64(conv), int64(a.AgentID))
	own := o.mailTalk(mail, "eve@x.example")
	if _, err := o.Post(t.Context(), stranger, own, Draft{ID: uuid.New(), Text: "x", ForwardOf: &original}); !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestAnswerByMailInstead(t *testing.T) {
	t.Parallel()
	o, mail := newPostOffice(t)
	a := o.agent(staff.Admin, staff.ScopeAll)
	p := o.person("Ada", "telegram", "77")
	chat := o.openWith(p, Open, 0, 0)
	d := Draft{ID: uuid.New(), Text: "By mail.", ChannelID: ptr(ids.ID(mail))}
	if _, err := o.Post(t.Context(), a, chat, d); !errs.Is(err, errs.Invalid) {
		t.Errorf("without an address: %v", err)
	}
	o.exec(`INSERT INTO identity (kind, value, contact_id) VALUES ('email', 'ada@x.example', $1)`, p.contact)
	it, err := o.Post(t.Context(), a, chat, d)
	if err != nil {
		t.Fatal(err)
	}
	if d := sentMail(t, it); it.Subject != noSubject || d.To[0].Address != "ada@x.example" || it.ConversationID == chat {
		t.Errorf("got %q, %+v", it.Subject, d)
	}
	o.exec(`UPDATE conversation SET status = 'closed', closed_at = now() WHERE id = $1`, int64(it.ConversationID))
	again, err := o.Post(t.Context(), a, chat, Draft{ID: uuid.New(), Text: "Again.", ChannelID: ptr(ids.ID(mail))})
	if err != nil {
		t.Fatal(err)
	}
	if n := o.id(`SELECT count(*) FROM conversation WHERE id = $1 AND previous_id = $2 AND thread_key IS NOT NULL`, int64(again.ConversationID), int64(it.ConversationID)); n != 1 {
		t.Error("the closed conversation has no successor")
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	o, mail := newPostOffice(t)
	a := o.agent(staff.Member, staff.ScopeOwn)
	known := o.person("Known", "email", "known@x.example")
	n := NewTalk{Draft: Draft{ID: uuid.New(), Text: "Hello.", Subject: "Offer", ChannelID: ptr(ids.ID(mail))}, ContactID: ptr(ids.ID(known.contact))}
	c, err := o.Start(t.Context(), a, n)
	if err != nil {
		t.Fatal(err)
	}
	again, err := o.Start(t.Context(), a, n)
	if err != nil || again.ID != c.ID || c.Contact.Name != "Known" || c.Subject != "Offer" || int64(*c.AssigneeID) != int64(a.AgentID) {
		t.Errorf("got %+v and %+v, %v", c, again, err)
	}
	for _, kind := range []string{EventConversationCreated, EventMessageCreated} {
		if k := o.id(`SELECT count(*) FROM event WHERE kind = $1`, kind); k != 1 {
			t.Errorf("%d of %s", k, kind)
		}
	}
	n.ID, n.ChannelID = uuid.New(), ptr(ids.ID(o.channel))
	if _, err := o.Start(t.Context(), a, n); !errs.Is(err, errs.Conflict) {
		t.Errorf("a channel that cannot begin: %v", err)
	}
	n.ID, n.ChannelID, n.ContactID = uuid.New(), ptr(ids.ID(mail)), ptr(ids.ID(o.stranger().contact))
	if _, err := o.Start(t.Context(), a, n); !errs.Is(err, errs.Invalid) {
		t.Errorf("a contact without an address: %v", err)
	}
}

// TestNameIsStoredBeforeTheSend: an answer to what was sent finds its message although nothing was recorded after it.
func TestNameIsStoredBeforeTheSend(t *testing.T) {
	t.Parallel()
	o, mail := newPostOffice(t)
	a := o.agent(staff.Admin, staff.ScopeAll)
	it, err := o.Post(t.Context(), a, o.mailTalk(mail, "ada@x.example"), Draft{ID: uuid.New(), Text: "Ten."})
	if err != nil {
		t.Fatal(err)
	}
	o.exec(`UPDATE outbox SET not_before = now()`)
	o.exec(`INSERT INTO lease (name, node, epoch, expires_at) VALUES ('channel:' || $1::bigint, 'n', 1, now() + interval '1 minute')`, mail)
	d := NewDeliverer(o.pool, o.bus, nil, slog.New(slog.DiscardHandler))
	rows, _, err := d.claim(t.Context(), mail, 1, postbox{}, []int64{}, 5)
	if err != nil || len(rows) != 1 {
		t.Fatalf("claimed %d, %v", len(rows), err)
	}
	if n := o.id(`SELECT count(*) FROM external_ref r JOIN message m ON m.id = r.message_id WHERE r.channel_id = $1 AND r.key = $2 AND m.provider_id = r.key AND m.status = 'queued'`, mail, it.ID.String()+"@hub.example"); n != 1 {
		t.Error("the id is not known before the send")
	}
	m, err := d.read(t.Context(), rows[0], postbox{}.Capabilities())
	if err != nil || len(m.Recipients) != 1 || m.Subject != "Re: Prices" || m.Conversation == "" {
		t.Errorf("got %+v, %v", m, err)
	}
}
