package web

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// csp is the policy of every answer (DESIGN 7).
const csp = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; " +
	"media-src 'self' blob:; connect-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; " +
	"frame-ancestors 'none'; report-uri " + cspReports + "; report-to csp"

// outside is what every request goes through, also one that no route matches: id, headers, recovery, the log line and
// the check against requests forged by other sites.
func (s *Server) outside(next http.Handler) http.Handler {
	forged := http.NewCrossOriginProtection()
	// Behind a proxy that rewrites Host, a browser without Sec-Fetch-Site is known by the configured address.
	_ = forged.AddTrustedOrigin(s.base.Scheme + "://" + s.base.Host) // New checked the form
	// A form stands on other sites. It knows which, uses no cookie, and checks the origin itself.
	forged.AddInsecureBypassPattern("POST /forms/{key}")
	// The browser itself sends reports, with or without the headers of a page; they change nothing.
	forged.AddInsecureBypassPattern(cspReports)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		from := s.client(r)
		id := uuid.NewString()
		ctx := withRequest(r.Context(), request{id: id, client: from})
		r = r.WithContext(ctx)
		s.headers(w.Header(), r, id)
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares it the same way
					panic(v)
				}
				p := s.ours(ctx, "panic", "panic", v, "stack", string(debug.Stack()))
				s.fail(rec, r, p)
			}
			s.finish(ctx, rec, r, from, time.Since(start))
		}()
		if err := forged.Check(r); err != nil {
			s.fail(rec, r, newProblem(http.StatusForbidden, "cross_origin", "This request came from another site."))
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// headers of every answer. A handler may tighten them, for example for downloads.
func (s *Server) headers(h http.Header, r *http.Request, id string) {
	h.Set("Content-Security-Policy", s.csp)
	h.Set("Reporting-Endpoints", `csp="`+cspReports+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), payment=(), usb=(), microphone=(self)")
	h.Set("X-Request-Id", id)
	if s.https() {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		h.Set("Cache-Control", "no-store")
		h.Set("Vary", "Cookie, Authorization")
	}
}

// finish writes the log line: no query, no body, no header, since tokens travel there.
func (s *Server) finish(ctx context.Context, rec *recorder, r *http.Request, from staff.Client, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	s.metrics.seen(rec.route, r.Method, status, took)
	level := slog.LevelInfo
	if status < 400 && (strings.HasPrefix(r.URL.Path, "/assets/") || rec.route == "/healthz" || rec.route == "/readyz" || rec.route == "/metrics") {
		level = slog.LevelDebug // probes and files would drown the rest
	}
	s.log.Log(ctx, level, "request", "method", r.Method, "path", r.URL.Path, "status", status, "bytes", rec.bytes,
		"ms", took.Milliseconds(), "agent_id", int64(rec.agent), "ip", from.IP, "request_id", requestOf(ctx).id)
}

// client is where a request comes from. X-Forwarded-For counts only when the peer is a trusted proxy, and then the last
// address in it that is not one: everything before was written by the client.
func (s *Server) client(r *http.Request) staff.Client {
	c := staff.Client{UserAgent: r.UserAgent()}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return c
	}
	addr := ap.Addr().Unmap().WithZone("")
	if s.trusted(addr) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0; i-- {
			a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			addr = a.Unmap().WithZone("")
			if !s.trusted(addr) {
				break
			}
		}
	}
	c.IP = addr.String()
	return c
}

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// request is what every layer may want to know of the request.
type request struct {
	id     string
	client staff.Client
}

type requestKey struct{}

func withRequest(ctx context.Context, q request) context.Context {
	return context.WithValue(ctx, requestKey{}, q)
}

func requestOf(ctx context.Context) request {
	q, _ := ctx.Value(requestKey{}).(request)
	return q
}

// ClientFrom is where the request comes from.
func ClientFrom(ctx context.Context) staff.Client { return requestOf(ctx).client }

// recorder notes what was answered, and says the charset of JSON.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	route  string
	agent  ids.ID
}

func (rec *recorder) WriteHeader(code int) {
	if rec.status == 0 && code >= 200 {
		rec.status = code
		if h := rec.Header(); h.Get("Content-Type") == "application/json" {
			h.Set("Content-Type", "application/json; charset=utf-8")
		}
	}
	rec.ResponseWriter.WriteHeader(code)
}

func (rec *recorder) Write(b []byte) (int, error) {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	n, err := rec.ResponseWriter.Write(b)
	rec.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// Hijack is for the websocket library, which looks for the method itself.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	rec.status = http.StatusSwitchingProtocols
	return http.NewResponseController(rec.ResponseWriter).Hijack()
}

// Flush is for streams.
func (rec *recorder) Flush() { _ = http.NewResponseController(rec.ResponseWriter).Flush() }
