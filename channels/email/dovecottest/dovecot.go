// Package dovecottest runs a Dovecot of one's own for tests: an IMAP server with throw-away mailboxes on high ports of
// the loopback, into which LMTP delivers. It needs Debian's dovecot-imapd and dovecot-lmtpd and no rights.
package dovecottest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Server is a running Dovecot.
type Server struct {
	renumbered atomic.Int64 // mailboxes that were given a new UIDVALIDITY

	IMAPPort, LMTPPort int

	dir  string
	cmd  *exec.Cmd
	done chan struct{}
	ask  *http.Server // whom Dovecot asks about tokens

	mu    sync.Mutex
	users map[string]string
}

// Available tells whether Dovecot is installed; else where it comes from.
func Available() error {
	if _, err := find(); err != nil {
		return errors.New("dovecot is missing: sudo apt-get install -y dovecot-imapd dovecot-lmtpd, or make test")
	}
	return nil
}

func find() (string, error) {
	if p, err := exec.LookPath("dovecot"); err == nil {
		return p, nil
	}
	return exec.LookPath("/usr/sbin/dovecot")
}

// Start runs a server whose files lie in a directory of its own, which Stop removes. users maps addresses to passwords.
func Start(users map[string]string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, Available()
	}
	// a Unix socket's name must be short, so the directory is not below that of the tests
	dir, err := os.MkdirTemp("", "dove")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, done: make(chan struct{}), users: map[string]string{}}
	for u, p := range users {
		s.users[u] = p
	}
	if err := s.start(bin); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) start(bin string) error {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // Dovecot touches no mail as root
		uid, gid = 65534, 65534
	}
	if err := errors.Join(os.Chmod(s.dir, 0o755), os.MkdirAll(filepath.Join(s.dir, "mail"), 0o700)); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(s.dir, "mail"), uid, gid); err != nil {
			return err
		}
	}
	var err error
	if s.IMAPPort, err = freePort(); err != nil {
		return err
	}
	if s.LMTPPort, err = freePort(); err != nil {
		return err
	}
	me := "root"
	if os.Getuid() != 0 {
		me = strconv.Itoa(uid)
		if out, err := exec.Command("id", "-un").Output(); err == nil {
			me = strings.TrimSpace(string(out))
		}
	}
	internal, login := "dovecot", "dovenull"
	chroot := ""
	if me != "root" {
		internal, login = me, me
		chroot = "chroot =\n"
	}
	conf := fmt.Sprintf(`
protocols = imap lmtp
listen = 127.0.0.1
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
info_log_path = %[1]s/log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login oauthbearer xoauth2
default_internal_user = %[5]s
default_login_user = %[6]s
first_valid_uid = 1
mail_location = maildir:%[1]s/mail/%%u
mail_max_userip_connections = 100
auth_verbose = yes
auth_cache_size = 0
auth_failure_delay = 0
protocol lmtp {
  mail_plugins =
  postmaster_address = postmaster@example.com
}
passdb {
  driver = passwd-file
  mechanisms = plain login
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = %[1]s/oauth2
}
userdb {
  driver = static
  args = uid=%[3]d gid=%[4]d home=%[1]s/mail/%%u allow_all_users=yes
}
namespace inbox {
  inbox = yes
  mailbox Sent {
    special_use = \Sent
    auto = create
  }
}
service imap-login {
  %[8]s
  inet_listener imap {
    port = %[2]d
  }
  inet_listener imaps {
    port = 0
  }
  process_min_avail = 1
  service_count = 0
}
service imap {
  process_limit = 200
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = %[7]d
  }
}
service anvil {
  %[8]s
}
service stats {
  %[8]s
}
`, s.dir, s.IMAPPort, uid, gid, internal, login, s.LMTPPort, chroot)
	if err := s.serveTokens(); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(s.dir, "conf"), []byte(conf), 0o644), s.writeUsers()); err != nil { //nolint:gosec // Dovecot's own users read it
		return err
	}
	s.cmd = exec.Command(bin, "-F", "-c", filepath.Join(s.dir, "conf")) //nolint:gosec // found by name
	var out bytes.Buffer
	s.cmd.Stdout, s.cmd.Stderr = &out, &out
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait()
	}()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", s.addr(s.LMTPPort))
		if err == nil {
			line, rerr := bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
			if rerr == nil && strings.HasPrefix(line, "220") {
				return nil
			}
		}
		select {
		case <-s.done:
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("dovecot ended: %s %s", out.Bytes(), log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Stop()
			return errors.New("dovecot does not answer")
		}
	}
}

// serveTokens answers Dovecot's questions: the access token of a user is "token-of-" with his address.
func (s *Server) serveTokens() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.ask = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := strings.CutPrefix(r.URL.Query().Get("token"), "token-of-")
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"active":%t,"username":%q}`, ok, user)
	})}
	go func() { _ = s.ask.Serve(ln) }()
	conf := fmt.Sprintf("introspection_mode = get\nintrospection_url = http://%s/?token=\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n", ln.Addr())
	return os.WriteFile(filepath.Join(s.dir, "oauth2"), []byte(conf), 0o644) //nolint:gosec // Dovecot's own users read it
}

func (s *Server) addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (s *Server) writeUsers() error {
	var b strings.Builder
	for u, p := range s.users {
		fmt.Fprintf(&b, "%s:%s\n", u, p)
	}
	tmp := filepath.Join(s.dir, "users.new")
	if err := os.WriteFile(tmp, []byte(b.String()), 0o644); err != nil { //nolint:gosec // throw-away passwords, read by Dovecot's own user
		return err
	}
	return os.Rename(tmp, filepath.Join(s.dir, "users"))
}

// SetPassword changes a user's password and ends his connections.
func (s *Server) SetPassword(user, password string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user] = password
	if err := s.writeUsers(); err != nil {
		return err
	}
	return s.kick(user)
}

// Kick ends the connections of a user.
func (s *Server) Kick(user string) error { return s.kick(user) }

func (s *Server) kick(user string) error {
	out, err := s.doveadm("kick", user)
	if err != nil && !strings.Contains(out, "no users") {
		return fmt.Errorf("kick: %w: %s", err, out)
	}
	return nil
}

func (s *Server) doveadm(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "doveadm", append([]string{"-c", filepath.Join(s.dir, "conf")}, args...)...).CombinedOutput() //nolint:gosec // a test's own words
	return string(out), err
}

// Recreate gives a user's INBOX a new UIDVALIDITY, as one that was made anew has: no number of before means anything.
func (s *Server) Recreate(user string) error {
	// Later than any validity that Dovecot makes by itself, which is the time. Index files taken away under a session
	// would not do: it writes them anew, and then the server has two opinions about the mailbox.
	validity := fmt.Sprint(time.Now().Add(time.Hour).Unix() + s.renumbered.Add(1))
	out, err := s.doveadm("mailbox", "update", "-u", user, "--uid-validity", validity, "INBOX")
	if err != nil {
		return fmt.Errorf("update the mailbox: %w: %s", err, out)
	}
	return s.kick(user)
}

// Empty deletes all messages of a mailbox.
func (s *Server) Empty(user string) error {
	out, err := s.doveadm("expunge", "-u", user, "mailbox", "*", "all")
	if err != nil {
		return fmt.Errorf("expunge: %w: %s", err, out)
	}
	return nil
}

// Deliver hands mails to a user through LMTP, as a mail server in front would, in order and over one connection.
func (s *Server) Deliver(to string, mails ...[]byte) error {
	c, err := textproto.Dial("tcp", s.addr(s.LMTPPort))
	if err != nil {
		return err
	}
	defer c.Close()
	ask := func(code int, format string, args ...any) error {
		if format != "" {
			if err := c.PrintfLine(format, args...); err != nil {
				return err
			}
		}
		_, _, err := c.ReadResponse(code)
		return err
	}
	if err := errors.Join(ask(220, ""), ask(250, "LHLO test.example")); err != nil {
		return err
	}
	for _, m := range mails {
		if err := errors.Join(ask(250, "MAIL FROM:<sender@example.org>"), ask(250, "RCPT TO:<%s>", to), ask(354, "DATA")); err != nil {
			return err
		}
		w := c.DotWriter()
		if _, err := w.Write(m); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if err := ask(250, ""); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the server and removes everything.
func (s *Server) Stop() {
	_ = s.ask.Close()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	_ = os.RemoveAll(s.dir)
}
