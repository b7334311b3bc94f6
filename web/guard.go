package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// guard stands before every route: limit of the body, who calls, what he may, the time it may take.
func (s *Server) guard(rt route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec, ok := w.(*recorder); ok {
			rec.route = rt.path
		}
		// One byte more than the limit of the decoder, so that the decoder's own answer (413) comes first.
		r.Body = http.MaxBytesReader(w, r.Body, rt.limit+1)
		if rt.uploads() || rt.time > defaultTime { // more than the server's own deadlines allow
			deadline := time.Now().Add(rt.time)
			_ = http.NewResponseController(w).SetReadDeadline(deadline) // not supported by test recorders
			_ = http.NewResponseController(w).SetWriteDeadline(deadline.Add(time.Minute))
		}
		if rt.need != public {
			access, err := s.authenticate(r)
			if err == nil {
				err = allow(rt, access)
			}
			if err == nil && rt.perMinute > 0 {
				err = s.pace.take(access.AgentID, rt.id(), rt.perMinute)
			}
			if err != nil {
				if errs.Is(err, errs.Unauthenticated) {
					w.Header().Set("WWW-Authenticate", `Bearer realm="parley"`)
				}
				s.fail(w, r, err)
				return
			}
			if rec, ok := w.(*recorder); ok {
				rec.agent = access.AgentID
			}
			r = r.WithContext(staff.WithAccess(r.Context(), access))
		}
		if rt.time > 0 {
			ctx, cancel := context.WithTimeout(r.Context(), rt.time)
			defer cancel()
			r = r.WithContext(ctx)
		}
		if rt.idempotent() && r.Header.Get("Idempotency-Key") != "" {
			s.once(rt, w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate is the one gate for cookies and tokens, of requests and of sockets. A token that is sent decides, even
// when a cookie is there too.
func (s *Server) authenticate(r *http.Request) (staff.Access, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, token, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return staff.Access{}, errs.New(errs.Unauthenticated, "Use a Bearer token or sign in.")
		}
		return s.deps.Staff.AuthenticateToken(r.Context(), strings.TrimSpace(token))
	}
	return s.deps.Staff.Authenticate(r.Context(), s.cookie(r))
}

// allow decides by the table alone; handlers and rooms decide about the single thing.
func allow(rt route, a staff.Access) error {
	forbidden := errs.New(errs.Forbidden, "You may not do this.")
	if (a.MustPassword || a.MustTOTP) && !rt.early {
		return errFirst(a)
	}
	if a.TokenID != 0 {
		if rt.need == sessionOnly {
			return errs.New(errs.Forbidden, "This cannot be done with an API token.")
		}
		if !rt.unsafe() && !a.HasTokenScope(staff.TokenRead) {
			return errs.New(errs.Forbidden, "The token lacks the scope read.")
		}
	}
	if p := rt.need.permission(); p != "" {
		if !a.Can(p) {
			return forbidden
		}
		return nil
	}
	if rt.unsafe() && !a.HasTokenScope(staff.TokenWrite) {
		return errs.New(errs.Forbidden, "The token lacks the scope write.")
	}
	return nil
}

// cookieName is __Host- bound where the browser demands TLS for it.
func (s *Server) cookieName() string {
	if s.https() {
		return "__Host-parley"
	}
	return "parley"
}

func (s *Server) cookie(r *http.Request) string {
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

// sessionCookie is the cookie of a new session; the server, not the browser, knows when it ends. token "" removes it.
func (s *Server) sessionCookie(token string) *http.Cookie {
	c := &http.Cookie{
		Name: s.cookieName(), Value: token, Path: "/", HttpOnly: true, Secure: s.https(), SameSite: http.SameSiteLaxMode,
		MaxAge: int((90 * 24 * time.Hour).Seconds()), // the longest session_max_days
	}
	if token == "" {
		c.MaxAge = -1
	}
	return c
}

// sameOrigin checks the Origin of a websocket request: none (a program), ours, or the host that was asked.
func (s *Server) sameOrigin(r *http.Request) bool {
	o := r.Header.Get("Origin")
	if o == "" {
		return true
	}
	u, err := url.Parse(o)
	if err != nil || u.Host == "" {
		return false
	}
	return u.Host == r.Host || (u.Host == s.base.Host && u.Scheme == s.base.Scheme)
}

// errFirst says what has to be done before anything else.
func errFirst(a staff.Access) error {
	e := errs.New(errs.Forbidden, "Set up a second factor first: your role needs one.")
	code := "must_set_up_totp"
	if a.MustPassword {
		e.Msg, code = "Choose a new password first.", "must_change_password"
	}
	e.Extra = map[string]any{"code": code}
	return e
}
