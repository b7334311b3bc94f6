package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// healthz says that the process lives; it asks nobody else, so that a slow database does not get it killed.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write([]byte("ok\n"))
	return err
}

// ready is what /readyz tells a load balancer and the operator.
type ready struct {
	Ready         bool     `json:"ready"`
	Database      bool     `json:"database"`
	SchemaVersion int64    `json:"schema_version"`
	SpineLagS     *float64 `json:"spine_lag_s"`
	Warnings      []string `json:"warnings"`
}

// A lag of the spine does not take a node out: all nodes would be late at once.
const sqlSchema = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// lagWarning is when a late spine is told (DESIGN 3).
const lagWarning = 2 * time.Second

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	out := ready{Warnings: []string{}}
	if err := s.deps.Pool.QueryRow(ctx, sqlSchema).Scan(&out.SchemaVersion); err != nil {
		s.log.WarnContext(ctx, "not ready", "error", err)
		out.Warnings = append(out.Warnings, "the database does not answer")
	} else {
		out.Database = true
	}
	out.Ready = out.Database && out.SchemaVersion > 0
	if s.deps.SpineLag != nil {
		lag := s.deps.SpineLag()
		out.SpineLagS = ptr(lag.Seconds())
		if lag > lagWarning {
			out.Warnings = append(out.Warnings, fmt.Sprintf("the spine is %.0f s late; parley doctor names what holds it", lag.Seconds()))
		}
	}
	if s.insecure() {
		out.Warnings = append(out.Warnings, "plain http on an address that others can reach: set PARLEY_BASE_URL to an https address")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return json.NewEncoder(w).Encode(out)
}

// serveMetrics is for the same machine, or for a token (or session) of somebody who manages the settings.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	if s.deps.Metrics == nil {
		return errs.New(errs.NotFound, "There are no metrics.")
	}
	if !s.local(r) {
		a, err := s.authenticate(r)
		if err != nil {
			return err
		}
		if !a.Can(staff.ManageSettings) {
			return errs.New(errs.Forbidden, "You may not do this.")
		}
	}
	promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

// local reports a request that comes from this machine itself. One that was forwarded by anybody is not, since behind a
// local proxy everybody has a loopback peer.
func (s *Server) local(r *http.Request) bool {
	for _, h := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(s.spec)
	return err
}

// live hands an authenticated websocket to the live feed.
func (s *Server) live(w http.ResponseWriter, r *http.Request) error {
	if !s.sameOrigin(r) {
		return newProblem(http.StatusForbidden, "cross_origin", "This request came from another site.")
	}
	if s.deps.Live == nil {
		return errs.New(errs.Unavailable, "The live feed is not running.")
	}
	a := CallerFrom(r.Context())
	s.deps.Live.Serve(w, r, int64(a.AgentID), int64(a.SessionID))
	return nil
}

// hook hands a webhook to the adapter of its channel, which checks the secret.
func (s *Server) hook(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("channel"), 10, 64)
	if err != nil || id <= 0 || s.deps.Hooks == nil {
		return errs.New(errs.NotFound, "There is no such channel.")
	}
	h, err := s.deps.Hooks.Hook(r.PathValue("kind"), id)
	if err != nil {
		return err
	}
	h.ServeHTTP(w, r)
	return nil
}

// form hands a visitor's request to the form of that key. It is the only part that pages of other sites may call, so the
// form decides which; it is told the visitor's address as the edge knows it.
func (s *Server) form(w http.ResponseWriter, r *http.Request) error {
	if s.deps.Forms == nil {
		return errs.New(errs.NotFound, "There is no such form.")
	}
	h, err := s.deps.Forms.Form(r.PathValue("key"))
	if err != nil {
		return err
	}
	r = r.WithContext(r.Context()) // a copy: the log keeps the peer
	r.RemoteAddr = net.JoinHostPort(ClientFrom(r.Context()).IP, "0")
	h.ServeHTTP(w, r)
	return nil
}

// metrics are the edge's own.
type metrics struct {
	took    *prometheus.HistogramVec // nil = nobody looks
	reports *prometheus.CounterVec
}

func newMetrics(reg *prometheus.Registry) (*metrics, error) {
	if reg == nil {
		return &metrics{}, nil
	}
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "parley_http_request_seconds", Help: "Time of HTTP requests by route.",
		Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"route", "method", "status"})
	reports := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_csp_reports_total", Help: "What browsers say the content security policy stopped.",
	}, []string{"directive"})
	for _, c := range []prometheus.Collector{took, reports} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return &metrics{took: took, reports: reports}, nil
}

// reported counts a violation of the content security policy.
func (m *metrics) reported(directive string) {
	if m.reports != nil {
		m.reports.WithLabelValues(directive).Inc()
	}
}

// seen counts a request. The route is the table's pattern, "" for everything else, so that strangers cannot make series.
func (m *metrics) seen(route, method string, status int, took time.Duration) {
	if m.took == nil || status == http.StatusSwitchingProtocols {
		return
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		method = "other"
	}
	m.took.WithLabelValues(route, method, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}
