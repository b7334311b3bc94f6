package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/staff"
)

// once runs a POST under its Idempotency-Key (doc.go, Idempotency-Key).
func (s *Server) once(rt route, w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx := r.Context()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	caller := staff.AccessFrom(ctx)
	claim, kept, err := idem.Begin(ctx, s.deps.Pool, idem.Request{
		Agent: int64(caller.AgentID), Key: r.Header.Get("Idempotency-Key"), Route: rt.method + " " + rt.path,
		Hash: sum([]byte(r.URL.RequestURI()), []byte(r.Header.Get("Content-Type")), data),
	})
	switch {
	case err != nil:
		s.fail(w, r, err)
		return
	case kept != nil:
		w.Header().Set("Idempotent-Replay", "true")
		if len(kept.Body) > 0 {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(kept.Status)
		_, _ = w.Write(kept.Body) // the client may be gone
		return
	}
	tee := &copier{ResponseWriter: w}
	finished := false
	defer func() {
		// The answer is kept also when the client or its time is gone: that is what the key is for.
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		var err error
		if finished && tee.status >= 200 && tee.status < 300 {
			a := idem.Answer{Status: tee.status, Body: tee.body.Bytes()}
			if rt.secret {
				a.Body = nil
			}
			err = claim.Keep(end, s.deps.Pool, a)
		} else {
			err = claim.Free(end, s.deps.Pool)
		}
		if err != nil {
			s.log.WarnContext(ctx, "idempotency key", "error", err)
		}
	}()
	next.ServeHTTP(tee, r.WithContext(idem.With(ctx, claim)))
	if tee.status == 0 {
		tee.status = http.StatusOK
	}
	finished = true
}

// copier keeps what is answered.
type copier struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copier) WriteHeader(code int) {
	if c.status == 0 && code >= 200 {
		c.status = code
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *copier) Write(b []byte) (int, error) {
	if c.status == 0 {
		c.status = http.StatusOK
	}
	c.body.Write(b)
	return c.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// errReauth asks for the password or a code once more.
func errReauth() error {
	e := errs.New(errs.Forbidden, "Show that it is still you: type your password or a code (POST /api/me/proof), then repeat this.")
	e.Extra = map[string]any{"code": "reauth"}
	return e
}
