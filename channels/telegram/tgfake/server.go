package tgfake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Token is the token of the bot that every server has.
const Token = "7000000001:AAFakeTokenOfTheFirstBot0123456789ab"

// object is a JSON object as it goes over the wire.
type object = map[string]any

// Server is a Bot API server. It is safe for concurrent use.
type Server struct {
	// WebhookRetry is the first pause after a webhook that did not answer 2xx; it doubles up to 16 times of it.
	WebhookRetry time.Duration
	// Now tells the time that messages carry.
	Now func() time.Time

	log    *slog.Logger
	ctx    context.Context //nolint:containedctx // the server's own life, ended by Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	http   *http.Server
	url    string

	mu        sync.Mutex
	bots      map[string]*Bot
	first     *Bot
	users     map[int64]*User
	groups    map[int64]*Group
	files     map[string]*file
	faults    []*Fault
	calls     map[string]int
	lastID    int64 // of users, groups, files
	onMessage []func(u *User, m Message)
}

// New makes a server with one bot, whose token is Token. Serve it with an http.Server of your own, or use Listen.
func New(log *slog.Logger) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		WebhookRetry: 250 * time.Millisecond, Now: time.Now, log: log, ctx: ctx, cancel: cancel,
		bots: map[string]*Bot{}, users: map[int64]*User{}, groups: map[int64]*Group{}, files: map[string]*file{}, calls: map[string]int{},
		lastID: 5_000_000_000,
	}
	s.first = s.NewBot(Token, "parley_test_bot")
	return s
}

// Listen makes a server and serves it on addr, for example "127.0.0.1:0".
func Listen(addr string, log *slog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", addr) //nolint:noctx // binding a port does not wait
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	s := New(log)
	s.url = "http://" + l.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	s.wg.Go(func() { _ = s.http.Serve(l) }) // always returns ErrServerClosed
	return s, nil
}

// URL is the address for a channel's setting api_url, when the server was made by Listen.
func (s *Server) URL() string { return s.url }

// Close ends long polls, webhooks and the listener.
func (s *Server) Close() {
	s.cancel()
	if s.http != nil {
		_ = s.http.Close()
	}
	s.wg.Wait()
}

// ServeHTTP serves /bot<token>/<method>, /file/bot<token>/<path> and /control/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/bot"):
		token, method, _ := strings.Cut(strings.TrimPrefix(path, "/bot"), "/")
		s.serveMethod(w, r, token, strings.ToLower(method))
	case strings.HasPrefix(path, "/file/bot"):
		token, file, _ := strings.Cut(strings.TrimPrefix(path, "/file/bot"), "/")
		s.serveFile(w, r, token, file)
	case strings.HasPrefix(path, "/control/"):
		s.serveControl(w, r)
	default:
		writeError(w, &apiError{code: 404, description: "Not Found"})
	}
}

// Calls tells how often a method was called, faults included.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[strings.ToLower(method)]
}

// Revoke makes the token unknown (401); Restore makes it known again.
func (s *Server) Revoke(token string) { s.setRevoked(token, true) }

// Restore undoes Revoke.
func (s *Server) Restore(token string) { s.setRevoked(token, false) }

func (s *Server) setRevoked(token string, revoked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.bots[token]; b != nil {
		b.revoked = revoked
		b.wake()
	}
}

// OnMessage is called, in a goroutine of its own, for each message that a bot sends or edits.
func (s *Server) OnMessage(f func(u *User, m Message)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onMessage = append(s.onMessage, f)
}

// newID needs s.mu.
func (s *Server) newID() int64 {
	s.lastID++
	return s.lastID
}

// opaque makes an id that looks like Telegram's and says nothing. It needs s.mu.
func (s *Server) opaque(prefix string) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s%d", prefix, s.newID()))
	return prefix + hex.EncodeToString(h[:12])
}
