package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-sasl"
	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/parley-hub/parley/channels"
)

// sendTimeout bounds one delivery; the outbox waits a little longer.
const sendTimeout = 60 * time.Second

// smtpClient prepares a connection to the SMTP server.
func (a *Adapter) smtpClient(ctx context.Context, dialled func(net.Conn)) (*mail.Client, error) {
	v := a.set.SMTP
	opts := []mail.Option{
		mail.WithPort(v.Port), mail.WithTimeout(sendTimeout), mail.WithTLSConfig(tlsConfig(v)), mail.WithHELO(a.set.domain()), mail.WithoutNoop(), mail.WithoutRset(),
		mail.WithTLSPolicy(mail.NoTLS),
		mail.WithDialContextFunc(func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialServer(ctx, v, "smtp")
			if err == nil {
				dialled(conn)
			}
			return conn, err
		}),
	}
	if v.TLS == tlsStart {
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	switch {
	case a.set.Auth != authPasswd:
		if v.Username == "" {
			v.Username = a.set.Address
		}
		client, err := a.saslFor(ctx, v)
		if err != nil {
			return nil, &stepError{"smtp_login", err}
		}
		opts = append(opts, mail.WithSMTPAuthCustom(smtpSASL{client}))
	case v.Username != "" || v.Password != "":
		opts = append(opts, mail.WithSMTPAuthCustom(&passwordAuth{user: v.Username, pass: v.Password, plainOK: v.TLS == tlsNone}))
	}
	return mail.NewClient(v.Host, opts...)
}

// smtpConn is a connection that is logged in.
type smtpConn struct {
	client *mail.Client
	smtp   *smtp.Client
	raw    net.Conn
}

// quit ends the connection in good order; close just cuts it, so that a mail half written is not taken for a whole one.
func (c *smtpConn) quit()  { _ = c.client.CloseWithSMTPClient(c.smtp) }
func (c *smtpConn) close() { _ = c.raw.Close() }

// dialSMTP connects and logs in, and says which of both failed.
func (a *Adapter) dialSMTP(ctx context.Context) (*smtpConn, error) {
	out := &smtpConn{}
	var err error
	if out.client, err = a.smtpClient(ctx, func(c net.Conn) { out.raw = c }); err != nil {
		return nil, err
	}
	out.smtp, err = out.client.DialToSMTPClientWithContext(ctx)
	if err == nil {
		return out, nil
	}
	if out.raw != nil {
		out.close()
	}
	var se *stepError
	if errors.As(err, &se) {
		return nil, err
	}
	var te *textproto.Error
	var refused *sasl.OAuthBearerError
	text := err.Error()
	switch {
	case errors.As(err, &refused), errors.As(err, &te) && (te.Code == 530 || te.Code == 534 || te.Code == 535), errors.Is(err, errLogin):
		a.tokens.forget()
		return nil, &stepError{"smtp_login", fmt.Errorf("%w: %s", errLogin, oneLine(text))}
	case strings.Contains(text, "AUTH"):
		return nil, &stepError{"smtp_login", err}
	case strings.Contains(text, "STARTTLS"), strings.Contains(text, "tls:"), strings.Contains(text, "x509:"):
		return nil, &stepError{"smtp_tls", err}
	}
	return nil, &stepError{"smtp_connect", err}
}

// passwordAuth logs in with whatever form of name and password the server offers.
type passwordAuth struct {
	user, pass string
	plainOK    bool // also without encryption: the settings allow it
	smtp.Auth
}

func (p *passwordAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS && !p.plainOK {
		return "", nil, errors.New("the connection is not encrypted")
	}
	p.Auth = smtp.PlainAuth("", p.user, p.pass, server.Name, true)
	if !slices.Contains(server.Auth, "PLAIN") && slices.Contains(server.Auth, "LOGIN") {
		p.Auth = smtp.LoginAuth(p.user, p.pass, server.Name, true)
	}
	return p.Auth.Start(server)
}

func (a *Adapter) probeSMTP(ctx context.Context) error {
	c, err := a.dialSMTP(ctx)
	if err == nil {
		c.quit()
	}
	return err
}

// refusal is the server's answer to a command, or what broke at it.
type refusal struct {
	at  string // mail, rcpt, data, body
	to  string // rcpt: whom
	err error
}

func (r *refusal) Error() string { return r.at + ": " + r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// deliver hands the mail to the server and returns its last words. Of several recipients either all are taken or the
// mail goes to nobody.
func (a *Adapter) deliver(ctx context.Context, msg *composed) (answer string, err error) {
	from, err := msg.GetSender(false)
	if err != nil {
		return "", permanent("The mail cannot be addressed: %v", err)
	}
	to, err := msg.GetRecipients()
	if err != nil {
		return "", permanent("The mail cannot be addressed: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	c, err := a.dialSMTP(ctx)
	if err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, c.close)()
	defer func() {
		if err != nil { // cut: a mail half written must not be taken for a whole one
			c.close()
		}
	}()
	if err := c.smtp.Mail(from); err != nil {
		return "", &refusal{at: "mail", err: err}
	}
	for _, r := range to {
		if err := c.smtp.Rcpt(r); err != nil {
			return "", &refusal{at: "rcpt", to: strings.Trim(r, "<>"), err: err}
		}
	}
	w, err := c.smtp.Data()
	if err != nil {
		return "", &refusal{at: "data", err: err}
	}
	if err := msg.write(ctx, w); err != nil {
		return "", &refusal{at: "body", err: err}
	}
	if err := w.Close(); err != nil {
		return "", &refusal{at: "body", err: err}
	}
	if d, ok := w.(*smtp.DataCloser); ok {
		answer = d.ServerResponse()
	}
	c.quit()
	return answer, nil
}

// outcome tells the outbox what a failed delivery means. A mail may be sent again whenever its fate is not known, for its
// Message-ID stays.
func (a *Adapter) outcome(msg *composed, err error) error {
	fail := func(kind channels.SendErrorKind, format string, args ...any) error {
		return &channels.SendError{Kind: kind, Reason: fmt.Sprintf(format, args...), Err: err}
	}
	if msg.broken != nil {
		return fail(channels.Temporary, "An attachment could not be read. Nothing was sent.")
	}
	var done *channels.SendError
	if errors.As(err, &done) {
		return done
	}
	var step *stepError
	if errors.As(err, &step) {
		if errors.Is(err, errLogin) {
			return fail(channels.AccountDown, "%s", a.inWords(err))
		}
		return fail(channels.Temporary, "%s", a.inWords(err))
	}
	var at *refusal
	var te *textproto.Error
	if !errors.As(err, &at) || !errors.As(err, &te) {
		return fail(channels.Temporary, "The connection to the mail server broke: %s", oneLine(err.Error()))
	}
	words := cut(oneLine(fmt.Sprintf("%d %s", te.Code, te.Msg)), 500)
	switch {
	case te.Code == 530 || te.Code == 535:
		return fail(channels.AccountDown, "The mail server wants us to log in: %s", words)
	case te.Code >= 500 && at.to != "":
		return fail(channels.Permanent, "The mail server does not take mail for %s: %s", at.to, words)
	case te.Code >= 500:
		return fail(channels.Permanent, "The mail server refuses it: %s", words)
	}
	return fail(channels.Temporary, "The mail server does not take it now: %s", words)
}

// renamed is the Message-ID that the server gave the mail in place of ours, where it is known to do so.
func (a *Adapter) renamed(response string) []string {
	if !strings.HasSuffix(a.set.SMTP.Host, ".amazonaws.com") {
		return nil
	}
	words := strings.Fields(response)
	if len(words) == 0 {
		return nil
	}
	region := "email"
	if parts := strings.Split(a.set.SMTP.Host, "."); len(parts) > 2 && parts[1] != "us-east-1" {
		region = parts[1]
	}
	return []string{words[len(words)-1] + "@" + region + ".amazonses.com"}
}

// saveSent puts a copy into the mailbox's folder of sent mail, once.
func (a *Adapter) saveSent(ctx context.Context, msg *composed, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	var b bytes.Buffer
	if err := msg.write(ctx, &b); err != nil {
		return err
	}
	s, err := a.login(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	name, err := sentName(s)
	if err != nil {
		return err
	}
	if _, err := s.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		return err
	}
	there, err := s.UIDSearch(&imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Message-Id", Value: id}}}, nil).Wait()
	if err != nil || len(there.AllUIDs()) > 0 {
		return err
	}
	cmd := s.Append(name, int64(b.Len()), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen}, Time: a.now()})
	if _, err := cmd.Write(b.Bytes()); err != nil {
		return err
	}
	if err := cmd.Close(); err != nil {
		return err
	}
	_, err = cmd.Wait()
	return err
}

// sentName finds the folder of sent mail; it is made when there is none.
func sentName(s *session) (string, error) {
	list, err := s.List("", "*", nil).Collect()
	if err != nil {
		return "", err
	}
	byName := ""
	for _, l := range list {
		for _, attr := range l.Attrs {
			if attr == imap.MailboxAttrSent {
				return l.Mailbox, nil
			}
		}
		if byName == "" && sentFolder(l.Mailbox) {
			byName = l.Mailbox
		}
	}
	if byName != "" {
		return byName, nil
	}
	return "Sent", s.Create("Sent", nil).Wait()
}
