package web

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/inbox/notify"
	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
	"github.com/parley-hub/parley/web/ui"
)

// Config is what the edge needs to know about its place.
type Config struct {
	Listen         string         // host:port; 127.0.0.1:8080 when empty
	Listener       net.Listener   // already open; nil = one is opened at Listen
	BaseURL        string         // public address; http://<Listen> when empty
	TrustedProxies []netip.Prefix // whose X-Forwarded-For counts
	Version        string
}

// Hooks gives the handler of a channel's webhook; errs.NotFound when there is none.
type Hooks interface {
	Hook(kind string, channelID int64) (http.Handler, error)
}

// Forms gives the handler of a website form by its public key; errs.NotFound when there is none.
type Forms interface {
	Form(key string) (http.Handler, error)
}

// Live takes over an authenticated websocket request; sessionID 0 = an API token. staff.AccessFrom(r.Context()) has
// the rest. It returns when the socket is closed.
type Live interface {
	Serve(w http.ResponseWriter, r *http.Request, agentID, sessionID int64)
}

// Deps are the rooms and the plumbing behind the handlers.
type Deps struct {
	Pool  *pgxpool.Pool
	Staff *staff.Service
	// Desk, Channels and Ingester are the inbox: what agents do, the accounts, and the way in.
	Desk     *inbox.Desk
	Channels *inbox.Channels
	Ingester *inbox.Ingester
	Router   *inbox.Router
	Files    *inbox.Files
	// Finder searches; nil = it is not running.
	Finder *inbox.Finder
	Notify *notify.Service
	// Box seals the addresses of pictures in letters; Egress decides where they may be fetched from.
	Box    *secret.Box
	Egress egress.Guard
	// Sidebar keeps the counts; nil = they are not running.
	Sidebar *inbox.Sidebar
	CRM     *crm.Service
	// Exports and Keeper give one person's data out, and let go of what is old.
	Exports *inbox.Exports
	Keeper  *inbox.Keeper
	Hooks   Hooks
	Forms   Forms
	Live    Live
	Log     *slog.Logger
	// Metrics is what /metrics shows; the edge registers its own there. nil = none.
	Metrics *prometheus.Registry
	// SpineLag is how far the tailer is behind; nil = not known.
	SpineLag func() time.Duration
	// SpineHolder names the transaction that holds the tailer up; nil = not known.
	SpineHolder func(ctx context.Context) (events.Holder, bool, error)
	// Disks tells how full this node's directories are; nil = not known.
	Disks func() []DiskUse
	// SampleData reports whether the installation holds sample data; nil = no.
	SampleData func(ctx context.Context) (bool, error)
	// UI replaces the embedded front end; for tests.
	UI fs.FS
}

// Server is the HTTP edge.
type Server struct {
	cfg     Config
	base    *url.URL
	deps    Deps
	log     *slog.Logger
	mux     *http.ServeMux
	api     huma.API
	gate    *guarded
	routes  []route
	ui      *uiFiles
	csp     string
	metrics *metrics
	pace    *pace
	// fetching bounds the pictures that are fetched from elsewhere at once
	fetching chan struct{}
	handler  http.Handler
	ln       net.Listener
	spec     []byte
}

// New builds the edge; it does not listen yet. The error is a wrong configuration.
func New(cfg Config, deps Deps) (*Server, error) {
	cfg.Listen = cmp.Or(cfg.Listen, "127.0.0.1:8080")
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, "http://"+cfg.Listen), "/")
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") || base.Path != "" {
		return nil, fmt.Errorf("base URL %q: must be http(s)://host without a path", cfg.BaseURL)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.UI == nil {
		if deps.UI, err = fs.Sub(ui.Dist, "dist"); err != nil {
			return nil, fmt.Errorf("front end: %w", err)
		}
	}
	s := &Server{
		cfg: cfg, base: base, deps: deps, log: deps.Log.With("component", "web"), mux: http.NewServeMux(), csp: csp, ln: cfg.Listener,
		pace: newPace(time.Now), fetching: make(chan struct{}, picturesAtOnce),
	}
	if s.ui, err = readUI(deps.UI); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, err
	}
	if err := s.register(); err != nil {
		return nil, err
	}
	s.handler = s.outside(s.mux)
	return s, nil
}

// ServeHTTP answers one request; tests use it without a listener.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// https reports whether people reach the hub over TLS; cookies and HSTS follow it.
func (s *Server) https() bool { return s.base.Scheme == "https" }

// insecure reports plain http on an address that others can reach.
func (s *Server) insecure() bool {
	if s.https() {
		return false
	}
	host := s.base.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err != nil || !a.IsLoopback()
}

// Listen opens the port, so that a taken one is an error before anything else starts. Run does it when it was not done.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	if s.ln != nil {
		return s.ln.Addr(), nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s.ln = ln
	return ln.Addr(), nil
}

// Run serves until ctx ends, then lets running requests finish for up to ten seconds. Sockets of the live feed are not
// requests any more and are closed by their owner.
func (s *Server) Run(ctx context.Context) error {
	if _, err := s.Listen(ctx); err != nil {
		return err
	}
	hs := &http.Server{
		Handler: s,
		// Slow clients are cut off: headers in 10 s, a body in 60 s (an upload extends it), an answer in 2 min.
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(s.ln) }()
	sweep := time.NewTicker(time.Hour)
	defer sweep.Stop()
	for {
		select {
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case <-sweep.C:
			if err := idem.Sweep(ctx, s.deps.Pool); err != nil {
				s.log.WarnContext(ctx, "sweep of idempotency keys", "error", err)
			}
		case <-ctx.Done():
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err := hs.Shutdown(stop)
			if err != nil {
				err = errors.Join(err, hs.Close())
			}
			<-served
			return err
		}
	}
}

// sum is the hash of a request for its idempotency key.
func sum(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		_, _ = h.Write(p)
	}
	return h.Sum(nil)
}
