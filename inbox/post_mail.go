package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/mail"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/microcosm-cc/bluemonday"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/htmlmail"
	"github.com/parley-hub/parley/staff"
)

// maxRecipients bounds to whom one message goes.
const maxRecipients = 50

// composer is what an agent's formatting may consist of: b i u s code pre a blockquote ul ol li p br.
var composer = sync.OnceValue(func() *bluemonday.Policy { //nolint:gochecknoglobals // made once
	p := bluemonday.NewPolicy()
	p.AllowElements("b", "i", "u", "s", "strong", "em", "code", "pre", "blockquote", "ul", "ol", "li", "p", "br")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto", "tel")
	p.RequireParseableURLs(true)
	p.RequireNoReferrerOnLinks(true)
	return p
})

// addressed reports whether the draft has what only a mail can carry.
func (d *Draft) addressed() bool {
	return d.Subject != "" || len(d.To)+len(d.Cc)+len(d.Bcc) > 0 || d.ForwardOf != nil
}

// checkMail judges subject and recipients.
func (d *Draft) checkMail() error {
	if len([]rune(d.Subject)) > 500 || strings.IndexFunc(d.Subject, unicode.IsControl) >= 0 || storable(d.Subject, 2000) != d.Subject {
		return errs.Field("subject", "is one line of at most 500 characters")
	}
	if len(d.To)+len(d.Cc)+len(d.Bcc) > maxRecipients {
		return errs.Field("to", "names more than %d people", maxRecipients)
	}
	for _, l := range []struct {
		field string
		list  []channels.Mailbox
	}{{"to", d.To}, {"cc", d.Cc}, {"bcc", d.Bcc}} {
		for i := range l.list {
			b := &l.list[i]
			b.Name, b.Address = strings.TrimSpace(b.Name), strings.TrimSpace(b.Address)
			a, err := mail.ParseAddress(b.Address)
			if err != nil || a.Address != b.Address || len(b.Address) > 320 || strings.IndexFunc(b.Address, unicode.IsControl) >= 0 {
				return errs.Field(l.field, "%q is no e-mail address", clipRunes(b.Address, 100))
			}
			if len([]rune(b.Name)) > 200 || strings.IndexFunc(b.Name, unicode.IsControl) >= 0 || storable(b.Name, 800) != b.Name {
				return errs.Field(l.field, "the name of %s is one line of at most 200 characters", b.Address)
			}
		}
	}
	return nil
}

// claimRecipients makes the people known to whom a message goes, in the order to, cc, bcc. It comes before anything else
// is locked.
func (d *Desk) claimRecipients(ctx context.Context, tx pgx.Tx, m Draft, source string) ([]crm.Claimed, error) {
	var claims []crm.Claim
	for _, l := range [][]channels.Mailbox{m.To, m.Cc, m.Bcc} {
		for _, b := range l {
			a, ok := crm.Normalise(crm.KindEmail, b.Address, "", "", "")
			if !ok {
				return nil, errs.Field("to", "%q is no e-mail address", clipRunes(b.Address, 100))
			}
			claims = append(claims, crm.Claim{Addresses: []crm.Address{a}, Name: b.Name, Source: source})
		}
	}
	return d.people.Claim(ctx, tx, claims)
}

const (
	mailTalkSQL = `
SELECT c.chat, coalesce(c.chat_data->>'name', ''), c.subject, coalesce(h.settings->>'address', ''), coalesce(h.settings->>'name', '')
FROM conversation c JOIN channel h ON h.id = c.channel_id WHERE c.id = $1`
)

// asMail makes a mail of the draft: subject, recipients and what is forwarded.
func asMail(ctx context.Context, tx pgx.Tx, a staff.Access, t talk, m *Draft) error {
	var chat, name, subject, own, ownName string
	if err := tx.QueryRow(ctx, mailTalkSQL, t.id).Scan(&chat, &name, &subject, &own, &ownName); err != nil {
		return err
	}
	if m.Subject == "" {
		m.Subject = answerSubject(subject)
	}
	if len(m.To)+len(m.Cc)+len(m.Bcc) == 0 {
		if chat == "" || !strings.Contains(chat, "@") {
			return errs.Field("to", "name somebody: this mail came without a usable sender")
		}
		m.To = []channels.Mailbox{{Name: name, Address: chat}}
	}
	m.HTML = composer().Sanitize(m.HTML)
	if m.ForwardOf != nil {
		if err := forward(ctx, tx, a, m); err != nil {
			return err
		}
	}
	d := channels.MailData{
		From: channels.Mailbox{Name: ownName, Address: own}, To: orEmpty(m.To), Cc: orEmpty(m.Cc), Bcc: orEmpty(m.Bcc), ReplyTo: []channels.Mailbox{},
		HasHTML: m.HTML != "", Simple: m.HTML != "" && htmlmail.Simple(m.HTML), QuoteAt: -1, SignatureAt: -1, Copies: []string{}, Warnings: []string{},
	}
	if m.quoteAt > 0 {
		d.QuoteAt = m.quoteAt
	}
	data, err := json.Marshal(map[string]channels.MailData{"email": d})
	if err != nil {
		return err
	}
	m.content, m.data = contentEmail, data
	return nil
}

// answerSubject is that of an answer to a mail, or of a mail without one.
func answerSubject(subject string) string {
	if subject = bareSubject(subject); subject != "" {
		return "Re: " + subject
	}
	return noSubject
}

// bareSubject takes the prefixes off that answers pile up.
func bareSubject(s string) string {
	for {
		head, rest, ok := strings.Cut(s, ":")
		switch strings.ToLower(strings.TrimSpace(head)) {
		case "re", "aw", "fw", "fwd", "wg", "sv", "vs", "tr", "rv":
			if ok {
				s = strings.TrimSpace(rest)
				continue
			}
		}
		return s
	}
}

const forwardedSQL = `SELECT m.at FROM message m JOIN conversation c ON c.id = m.conversation_id WHERE m.id = $4 AND m.kind = 'message' AND m.deleted_at IS NULL AND ` + visibleSQL

// forward quotes another message under the draft; its files are copied when the new message has its row.
func forward(ctx context.Context, tx pgx.Tx, a staff.Access, m *Draft) error {
	key := MessageKey{ID: *m.ForwardOf}
	err := tx.QueryRow(ctx, forwardedSQL, who(a, key.ID)...).Scan(&key.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return errs.Field("forward_of", "is no message that you can see")
	}
	if err != nil {
		return err
	}
	items, err := loadItems(ctx, tx, []MessageKey{key})
	if err != nil || len(items) == 0 {
		return err
	}
	it := items[0]
	for _, f := range it.Attachments {
		if f.State == "pending" {
			return &errs.E{Code: errs.Conflict, Msg: "A file of that message is still being fetched: try again in a moment.", Extra: map[string]any{"reason": "file_pending"}}
		}
	}
	head := forwardHead(it)
	text := strings.TrimRight(m.Text, "\n") + "\n\n"
	m.quoteAt = len([]rune(text))
	if it.HTML != "" || m.HTML != "" {
		own, old := m.HTML, it.HTML
		if own == "" {
			own = paragraphs(m.Text)
		}
		if old == "" {
			old = paragraphs(it.Text)
		}
		m.HTML = own + "<br>" + paragraphs(strings.Join(head, "\n")) + "<blockquote>" + old + "</blockquote>"
	}
	m.Text = storable(text+strings.Join(head, "\n")+"\n\n"+it.Text, 4*maxSendText)
	m.forwarded = &key
	return nil
}

func forwardHead(it Item) []string {
	from := it.Author.Name
	var to []string
	if d, ok, err := mailOf(it.Data); err == nil && ok {
		from = written(d.From)
		for _, b := range d.To {
			to = append(to, written(b))
		}
	}
	head := []string{"---------- Forwarded message ----------", "From: " + from, "Date: " + it.At.UTC().Format(time.RFC1123Z)}
	if it.Subject != "" {
		head = append(head, "Subject: "+it.Subject)
	}
	if len(to) > 0 {
		head = append(head, "To: "+strings.Join(to[:min(len(to), 20)], ", "))
	}
	return head
}

func written(b channels.Mailbox) string {
	if b.Name == "" {
		return b.Address
	}
	return b.Name + " <" + b.Address + ">"
}

func paragraphs(text string) string {
	return "<p>" + strings.ReplaceAll(html.EscapeString(strings.TrimSpace(text)), "\n", "<br>") + "</p>"
}

// copyFiles lets the new message carry the forwarded one's files: the same bytes, named again.
func copyFiles(ctx context.Context, tx pgx.Tx, t talk, from, to MessageKey, after int) error {
	_, err := tx.Exec(ctx, `
INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, position, kind, name, type, size, width, height, duration_ms, state, blob, preview, content_id)
SELECT gen_random_uuid(), $5, $6, $3, $4, $7 + position, kind, name, type, size, width, height, duration_ms, state, blob, preview, content_id
FROM attachment WHERE message_at = $1 AND message_id = $2 AND state = 'ok'`, from.At, from.ID, to.At, to.ID, t.channel, t.id, after)
	if err != nil {
		return fmt.Errorf("copy the forwarded files: %w", err)
	}
	return nil
}

// joined makes those to whom the message goes participants, so that they may answer into the conversation.
func joined(ctx context.Context, tx pgx.Tx, conversation int64, people []crm.Claimed) error {
	if len(people) == 0 {
		return nil
	}
	var conv, member []int64
	for _, p := range people {
		conv, member = append(conv, conversation), append(member, p.IdentityID)
	}
	_, err := tx.Exec(ctx, insertMembersSQL, conv, member)
	return err
}
