package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"github.com/parley-hub/parley/channels"
)

const (
	dialTimeout = 15 * time.Second
	// answerTimeout is how long a server may keep silent after a command; a connection that died silently is noticed by it.
	answerTimeout = 20 * time.Second
)

// session is one IMAP connection. Whatever waits on it returns when its ctx ends.
type session struct {
	*imapclient.Client
	conn net.Conn
	// news gets a value when the server says that the folder has changed; the handler must not send commands itself.
	news chan struct{}
	stop func() bool
}

func (s *session) close() {
	s.stop()
	_ = s.conn.Close()
	_ = s.Client.Close()
}

// within closes the connection when fn takes longer than d: every command waiting on it fails then.
func (s *session) within(d time.Duration, fn func() error) error {
	late := false
	done := make(chan struct{})
	t := time.AfterFunc(d, func() {
		late = true
		_ = s.conn.Close()
		close(done)
	})
	err := fn()
	if !t.Stop() {
		<-done
	}
	if err != nil && late {
		return fmt.Errorf("the server did not answer within %s", d)
	}
	return err
}

// stepError says at which step of connecting it failed.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// dialServer opens a connection; with direct TLS it is encrypted when it comes back.
func dialServer(ctx context.Context, v Server, step string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := net.Dialer{KeepAlive: 30 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", v.addr())
	if err != nil {
		return nil, &stepError{step + "_connect", err}
	}
	if v.TLS != tlsDirect {
		return conn, nil
	}
	t := tls.Client(conn, tlsConfig(v))
	if err := t.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &stepError{step + "_tls", err}
	}
	return t, nil
}

func tlsConfig(v Server) *tls.Config {
	return &tls.Config{ServerName: v.Host, MinVersion: tls.VersionTLS12}
}

// login connects and logs in. A refused login is errLogin.
func (a *Adapter) login(ctx context.Context) (*session, error) {
	v := a.set.IMAP.Server
	conn, err := dialServer(ctx, v, "imap")
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, news: make(chan struct{}, 1)}
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	opts := &imapclient.Options{TLSConfig: tlsConfig(v), UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(*imapclient.UnilateralDataMailbox) {
			select {
			case s.news <- struct{}{}:
			default:
			}
		},
	}}
	if v.TLS == tlsStart {
		late := time.AfterFunc(dialTimeout, func() { _ = conn.Close() })
		s.Client, err = imapclient.NewStartTLS(conn, opts)
		late.Stop()
		if err != nil {
			s.stop()
			_ = conn.Close()
			return nil, &stepError{"imap_tls", err}
		}
	} else {
		s.Client = imapclient.New(conn, opts)
		if err := s.within(dialTimeout, s.WaitGreeting); err != nil {
			s.close()
			return nil, &stepError{"imap_connect", err}
		}
	}
	if err := s.within(answerTimeout, func() error { return a.authenticate(ctx, s, v) }); err != nil {
		s.close()
		return nil, &stepError{"imap_login", err}
	}
	return s, nil
}

func (a *Adapter) authenticate(ctx context.Context, s *session, v Server) error {
	var err error
	if a.set.Auth == authPasswd {
		err = s.Login(v.Username, v.Password).Wait()
	} else {
		client, terr := a.saslFor(ctx, v)
		if terr != nil {
			return terr
		}
		err = s.Authenticate(client)
	}
	var ie *imap.Error
	if errors.As(err, &ie) && ie.Type == imap.StatusResponseTypeNo && ie.Code != imap.ResponseCodeUnavailable {
		a.tokens.forget()
		return fmt.Errorf("%w: %s", errLogin, ie.Text)
	}
	var refused *sasl.OAuthBearerError
	if errors.As(err, &refused) {
		err = fmt.Errorf("%w: %s", errLogin, refused.Status)
	}
	if errors.Is(err, errLogin) {
		a.tokens.forget()
	}
	return err
}

// probe connects to both servers and says which step failed.
func probe(ctx context.Context, acc channels.Account) error {
	a, err := newAdapter(acc)
	if err != nil {
		return err
	}
	defer a.tokens.close()
	s, err := a.login(ctx)
	if err != nil {
		return a.probeError(err)
	}
	defer s.close()
	for _, f := range a.set.IMAP.Folders {
		err := s.within(answerTimeout, func() error {
			_, err := s.Select(f, &imap.SelectOptions{ReadOnly: true}).Wait()
			return err
		})
		if err != nil {
			return &channels.ProbeError{Step: "imap_folder", Msg: fmt.Sprintf("The folder %q cannot be opened: %v", f, err)}
		}
	}
	if err := a.probeSMTP(ctx); err != nil {
		return a.probeError(err)
	}
	return nil
}

func (a *Adapter) probeError(err error) error {
	step := "imap_connect"
	var se *stepError
	if errors.As(err, &se) {
		step = se.step
	}
	return &channels.ProbeError{Step: step, Msg: a.inWords(err)}
}

// inWords says to an admin what went wrong.
func (a *Adapter) inWords(err error) string {
	var se *stepError
	if !errors.As(err, &se) {
		return fmt.Sprintf("The mail server says: %v", err)
	}
	host, what := a.set.IMAP.addr(), "The IMAP server"
	if se.step[:4] == "smtp" {
		host, what = a.set.SMTP.addr(), "The SMTP server"
	}
	switch {
	case errors.Is(err, errLogin):
		return fmt.Sprintf("%s does not accept the login: %v", what, errors.Unwrap(err))
	case se.step == "imap_tls" || se.step == "smtp_tls":
		return fmt.Sprintf("%s %s cannot be reached safely: %v", what, host, se.err)
	case se.step == "imap_login" || se.step == "smtp_login":
		return fmt.Sprintf("Logging in at %s failed: %v", host, se.err)
	}
	return fmt.Sprintf("%s %s cannot be reached: %v", what, host, se.err)
}
