// Package sink is an SMTP server for tests that keeps what it is sent and fails as it is told.
package sink

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is one that was taken.
type Mail struct {
	From string
	To   []string
	path string
}

// Data are the mail's bytes.
func (m Mail) Data() []byte {
	b, err := os.ReadFile(m.path)
	if err != nil {
		return nil
	}
	return b
}

// Fault is what the next delivery runs into.
type Fault struct {
	At   string // "mail", "rcpt" or "data": the command that is answered with Code
	Code int
	Text string
	// Cut breaks the connection after the mail was written; Kept tells whether the mail is taken nevertheless.
	Cut, Kept bool
}

// Server is a running sink.
type Server struct {
	Port int

	srv *smtp.Server
	dir string

	mu       sync.Mutex
	mails    []Mail
	faults   []Fault
	attempts int
	user     string
	pass     string
	changed  chan struct{}
}

// Start listens on the loopback; user and pass are wanted of clients, "" = everybody may send.
func Start(user, pass string) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sink")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, Port: ln.Addr().(*net.TCPAddr).Port, user: user, pass: pass, changed: make(chan struct{}, 1)}
	s.srv = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{s: s, conn: c}, nil }))
	s.srv.Domain, s.srv.AllowInsecureAuth, s.srv.MaxMessageBytes = "sink.test", true, 100<<20
	s.srv.ErrorLog = quiet{}
	go func() { _ = s.srv.Serve(ln) }()
	return s, nil
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// Close ends the sink.
func (s *Server) Close() {
	_ = s.srv.Close()
	_ = os.RemoveAll(s.dir)
}

// Fail queues faults, one for each coming delivery.
func (s *Server) Fail(f ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f...)
}

// SetPassword changes what clients must know.
func (s *Server) SetPassword(pass string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass = pass
}

// Mails are those taken so far.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Attempts counts deliveries begun.
func (s *Server) Attempts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts
}

// Changed gets a value after a mail was taken.
func (s *Server) Changed() <-chan struct{} { return s.changed }

type session struct {
	s     *Server
	conn  *smtp.Conn
	mail  Mail
	fault Fault
	in    bool
}

func (x *session) AuthMechanisms() []string {
	if x.s.user == "" {
		return nil
	}
	return []string{sasl.Plain, sasl.OAuthBearer, "XOAUTH2"}
}

// Auth takes the password, or the access token "token-of-" with the user's address.
func (x *session) Auth(mech string) (sasl.Server, error) {
	switch mech {
	case sasl.OAuthBearer:
		return sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
			if x.login(o.Username, o.Token, "token-of-"+o.Username) != nil {
				return &sasl.OAuthBearerError{Status: "invalid_token", Schemes: "bearer"}
			}
			return nil
		}), nil
	case "XOAUTH2":
		return xoauth2{x}, nil
	}
	return sasl.NewPlainServer(func(_, user, pass string) error {
		x.s.mu.Lock()
		want := x.s.pass
		x.s.mu.Unlock()
		return x.login(user, pass, want)
	}), nil
}

func (x *session) login(user, secret, want string) error {
	if user != x.s.user || secret != want {
		return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "bad credentials"}
	}
	x.in = true
	return nil
}

type xoauth2 struct{ x *session }

func (o xoauth2) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return nil, false, nil
	}
	user, token, _ := strings.Cut(strings.TrimPrefix(string(response), "user="), "\x01auth=Bearer ")
	return nil, true, o.x.login(user, strings.TrimSuffix(token, "\x01\x01"), "token-of-"+user)
}

func (x *session) fail(at string) error {
	if x.fault.At != at {
		return nil
	}
	return &smtp.SMTPError{Code: x.fault.Code, EnhancedCode: smtp.EnhancedCode{x.fault.Code / 100, 0, 0}, Message: x.fault.Text}
}

func (x *session) Mail(from string, _ *smtp.MailOptions) error {
	if x.s.user != "" && !x.in {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in first"}
	}
	x.s.mu.Lock()
	x.s.attempts++
	x.fault = Fault{}
	if len(x.s.faults) > 0 {
		x.fault, x.s.faults = x.s.faults[0], x.s.faults[1:]
	}
	x.s.mu.Unlock()
	x.mail = Mail{From: from}
	return x.fail("mail")
}

func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	x.mail.To = append(x.mail.To, to)
	return x.fail("rcpt")
}

func (x *session) Data(r io.Reader) error {
	f, err := os.CreateTemp(x.s.dir, "mail")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := x.fail("data"); err != nil {
		return err
	}
	x.mail.path = f.Name()
	if x.fault.Cut {
		if x.fault.Kept {
			x.keep()
		}
		_ = x.conn.Close()
		return errors.New("cut")
	}
	x.keep()
	return nil
}

func (x *session) keep() {
	x.s.mu.Lock()
	x.s.mails = append(x.s.mails, x.mail)
	x.s.mu.Unlock()
	select {
	case x.s.changed <- struct{}{}:
	default:
	}
}

func (x *session) Reset()        { x.mail = Mail{} }
func (x *session) Logout() error { return nil }
