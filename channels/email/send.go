package email

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	netmail "net/mail"
	"strings"

	"github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/htmlmail"
)

// Send delivers one mail. Its Message-ID is known beforehand and the same at every try, so that a mail whose fate is not
// known may be sent again: mailboxes show it once.
func (a *Adapter) Send(ctx context.Context, m channels.Outbound) (channels.SendResult, error) {
	if m.Op != channels.OpSend {
		return channels.SendResult{}, &channels.SendError{Kind: channels.Permanent, Reason: "A mail that was sent cannot be changed."}
	}
	msg, err := a.compose(ctx, m)
	if err != nil {
		return channels.SendResult{}, err
	}
	answer, err := a.deliver(ctx, msg)
	if err != nil {
		return channels.SendResult{}, a.outcome(msg, err)
	}
	res := channels.SendResult{ProviderIDs: append([]string{a.ProviderID(m.ClientID)}, a.renamed(answer)...)}
	if a.set.savesSent() {
		if err := a.saveSent(ctx, msg, a.ProviderID(m.ClientID)); err != nil {
			res.Note = "Sent. It could not be put into the mailbox's folder of sent mail: " + oneLine(err.Error())
		}
	}
	return res, nil
}

// composed is a mail ready to leave.
type composed struct {
	*mail.Msg           // header, text and HTML
	files     []outFile // written behind it, one after the other
	boundary  string    // of what holds them together
	broken    error     // why one of the files could not be read
}

func permanent(format string, args ...any) error {
	return &channels.SendError{Kind: channels.Permanent, Reason: fmt.Sprintf(format, args...)}
}

func (a *Adapter) compose(ctx context.Context, m channels.Outbound) (*composed, error) {
	// our own headers are one line each: what an agent or a customer wrote must not become another
	if !plain(m.Subject) {
		return nil, permanent("The subject has more than one line.")
	}
	out := &composed{Msg: mail.NewMsg(mail.WithNoDefaultUserAgent()), boundary: "parley-" + a.mac("boundary", m.ClientID, 32)}
	out.FromMailAddress(&netmail.Address{Name: a.set.Name, Address: a.set.Address})
	if err := a.address(out, m); err != nil {
		return nil, err
	}
	if a.set.PlusAddressing && m.Conversation != "" {
		out.ReplyToMailAddress(&netmail.Address{Name: a.set.Name, Address: a.replyAddress(m.Conversation)})
	}
	out.Subject(m.Subject)
	out.SetMessageIDWithValue(a.ProviderID(m.ClientID))
	out.SetDateWithValue(a.now())
	if m.Automatic {
		out.SetGenHeader("Auto-Submitted", "auto-replied")
	}
	a.thread(out, m)
	text, rich := a.signed(m.Text, m.HTML)
	out.SetBodyString(mail.TypeTextPlain, text)
	if rich != "" {
		out.AddAlternativeString(mail.TypeTextHTML, rich)
	}
	for _, f := range m.Files {
		if !plain(f.Name) || !plain(f.Type) || !plain(f.ContentID) || strings.ContainsAny(f.ContentID, "<> ") {
			return nil, permanent("The attachment %q has a name that cannot be sent.", oneLine(f.Name))
		}
		out.files = append(out.files, outFile{File: f, inline: f.ContentID != "" && rich != ""})
	}
	return out, nil
}

// address sets the recipients: those given, else whoever is answered.
func (a *Adapter) address(out *composed, m channels.Outbound) error {
	list := m.Recipients
	if len(list) == 0 {
		list = []channels.Recipient{{Role: "to", Address: m.Chat}}
	}
	n := 0
	for _, r := range list {
		parsed, err := netmail.ParseAddress(r.Address)
		if err != nil || parsed.Address != r.Address || !plain(r.Address) || !plain(r.Name) {
			return permanent("%q is no e-mail address.", cut(oneLine(r.Address), 100))
		}
		to := &netmail.Address{Name: r.Name, Address: asciiDomain(r.Address)}
		switch r.Role {
		case "to":
			out.AddToMailAddress(to)
		case "cc":
			out.AddCcMailAddress(to)
		case "bcc":
			out.AddBccMailAddress(to)
		default:
			continue
		}
		n++
	}
	if n == 0 {
		return permanent("Nobody is named to whom this mail could go.")
	}
	return nil
}

// asciiDomain writes an international domain in the form that every server takes.
func asciiDomain(address string) string {
	at := strings.LastIndexByte(address, '@')
	if d, err := idna.Lookup.ToASCII(address[at+1:]); err == nil {
		return address[:at+1] + d
	}
	return address
}

// maxRefChain bounds the References that we write.
const maxRefChain = 30

func (a *Adapter) thread(out *composed, m channels.Outbound) {
	var refs []string
	for _, id := range append(m.References, m.ReplyTo) {
		if id == "" || !plain(id) || strings.ContainsAny(id, " <>") || len(id) > 900 {
			continue
		}
		if len(refs) == 0 || refs[len(refs)-1] != id {
			refs = append(refs, id)
		}
	}
	if len(refs) == 0 {
		return
	}
	if len(refs) > maxRefChain { // the first stands for the whole, the last are the nearest
		refs = append(refs[:1:1], refs[len(refs)-maxRefChain+1:]...)
	}
	last := refs[len(refs)-1]
	out.SetGenHeaderPreformatted(mail.HeaderInReplyTo, "<"+last+">")
	out.SetGenHeaderPreformatted(mail.HeaderReferences, "<"+strings.Join(refs, ">\r\n <")+">")
}

// signed puts the channel's signature under the text.
func (a *Adapter) signed(text, rich string) (string, string) {
	sig := strings.TrimSpace(a.set.Signature)
	if rich != "" {
		rich = htmlmail.Sanitise(rich)
	}
	if sig == "" {
		return text, rich
	}
	if rich != "" {
		rich += "<br><p>-- <br>" + strings.ReplaceAll(html.EscapeString(sig), "\n", "<br>") + "</p>"
	}
	return text + "\n\n-- \n" + sig, rich
}

// failing remembers the reader's own error, apart from one of the writer.
type failing struct {
	io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
