package web

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/internal/errs"
)

// problem is an RFC 9457 document. It is the only form in which an error leaves.
type problem struct {
	Type    string          `json:"type"`
	Title   string          `json:"title"`
	Status  int             `json:"status"`
	Detail  string          `json:"detail"`
	Code    string          `json:"code"`
	Errors  []problemDetail `json:"errors,omitempty"`
	extra   map[string]any
	headers http.Header
}

type problemDetail struct {
	Location string `json:"location"`
	Message  string `json:"message"`
	Value    any    `json:"value,omitempty"`
}

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.headers }
func (p *problem) ContentType(string) string { return "application/problem+json" }

// MarshalJSON puts the extra members beside the standard ones, which they never replace.
func (p *problem) MarshalJSON() ([]byte, error) {
	m := maps.Clone(p.extra)
	if m == nil {
		m = make(map[string]any, 6)
	}
	m["type"], m["title"], m["status"], m["detail"], m["code"] = p.Type, p.Title, p.Status, p.Detail, p.Code
	if len(p.Errors) > 0 {
		m["errors"] = p.Errors
	}
	return json.Marshal(m)
}

// statusOf is the one map from the house's codes to HTTP.
func statusOf(c errs.Code) int {
	switch c {
	case errs.Invalid:
		return http.StatusUnprocessableEntity
	case errs.Unauthenticated:
		return http.StatusUnauthorized
	case errs.Forbidden:
		return http.StatusForbidden
	case errs.NotFound:
		return http.StatusNotFound
	case errs.Conflict:
		return http.StatusConflict
	case errs.TooMany:
		return http.StatusTooManyRequests
	case errs.Unavailable:
		return http.StatusServiceUnavailable
	case errs.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// codeOf names the statuses that come from the machinery and not from a room.
func codeOf(status int) string {
	switch status {
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		return string(errs.Invalid)
	case http.StatusUnauthorized:
		return string(errs.Unauthenticated)
	case http.StatusForbidden:
		return string(errs.Forbidden)
	case http.StatusNotFound:
		return string(errs.NotFound)
	case http.StatusConflict:
		return string(errs.Conflict)
	case http.StatusTooManyRequests:
		return string(errs.TooMany)
	case http.StatusServiceUnavailable:
		return string(errs.Unavailable)
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusUnsupportedMediaType:
		return "unsupported_media_type"
	}
	if status >= 500 {
		return string(errs.Internal)
	}
	return string(errs.Invalid)
}

func newProblem(status int, code, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// problem turns any error into what is answered; what is ours is logged under an id that the answer carries.
func (s *Server) problem(ctx context.Context, err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return newProblem(http.StatusRequestEntityTooLarge, "too_large", "The request is larger than "+size(tooLarge.Limit)+".")
	}
	var e *errs.E
	switch {
	case errors.As(err, &e) && e.Code != errs.Internal:
		p = newProblem(statusOf(e.Code), string(e.Code), e.Msg)
		p.extra = e.Extra
		if code, ok := e.Extra["code"].(string); ok { // a room may say it more exactly: "unseen"
			p.Code = code
		}
		if e.Field != "" {
			p.Errors = []problemDetail{{Location: location(e.Field), Message: e.Msg}}
			p.Detail = e.Field + " " + e.Msg
			if e.Code != errs.Invalid {
				p.Detail = e.Msg
			}
		}
		if wait, ok := e.Extra["retry_after"].(int); ok {
			p.headers = http.Header{"Retry-After": {strconv.Itoa(wait)}}
		}
		if e.Err != nil {
			s.log.DebugContext(ctx, "refused", "code", e.Code, "error", e.Err)
		}
		return p
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		s.log.WarnContext(ctx, "operation took too long", "error", err)
		return newProblem(http.StatusServiceUnavailable, string(errs.Unavailable), "This took too long. Try again.")
	case errors.Is(err, context.Canceled):
		return newProblem(http.StatusServiceUnavailable, string(errs.Unavailable), "The request was given up.")
	case errs.IsTemporary(err) || sqlState(err, "57014", "57P01", "57P02", "57P03", "53300") || lostDatabase(err):
		s.log.WarnContext(ctx, "temporary failure", "error", err)
		p = newProblem(http.StatusServiceUnavailable, string(errs.Unavailable), "This did not work just now. Try again in a moment.")
		p.headers = http.Header{"Retry-After": {"2"}}
		return p
	case sqlState(err, "22021", "22P05"):
		return newProblem(http.StatusUnprocessableEntity, string(errs.Invalid), "The text holds a character that cannot be stored (a null).")
	}
	return s.ours(ctx, "request failed", "error", err)
}

// ours is a failure that the caller cannot do anything about: logged with an id, answered with the id and no detail.
func (s *Server) ours(ctx context.Context, msg string, attrs ...any) *problem {
	id := uuid.NewString()
	s.log.ErrorContext(ctx, msg, append([]any{"error_id", id}, attrs...)...)
	p := newProblem(http.StatusInternalServerError, string(errs.Internal), "Something went wrong on our side. The log has it under "+id+".")
	p.extra = map[string]any{"error_id": id}
	return p
}

// fail answers an error outside huma.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), err)
	if rec, ok := w.(*recorder); ok && rec.status != 0 {
		return // the answer has begun; the connection's end tells the client
	}
	h := w.Header()
	maps.Copy(h, p.headers)
	h.Del("Content-Length")
	h.Del("Content-Encoding")
	h.Del("Content-Disposition")
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}

// transform rewrites the errors that huma makes itself (validation, decoding) into our form. A value is echoed only if
// it is short and plain and no secret by its name: a password must not come back.
func transform(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(m.Status, codeOf(m.Status), sentence(m.Detail))
	for _, d := range m.Errors {
		p.Errors = append(p.Errors, problemDetail{Location: d.Location, Message: d.Message, Value: echo(d.Location, d.Value)})
	}
	if len(p.Errors) > 0 && p.Errors[0].Location != "body" {
		p.Detail = strings.TrimPrefix(p.Errors[0].Location, "body.") + ": " + p.Errors[0].Message
	}
	if m.Status == http.StatusInternalServerError {
		p.Errors, p.Detail = nil, "The request could not be read."
	}
	return p, nil
}

func echo(location string, v any) any {
	low := strings.ToLower(location)
	for _, secret := range []string{"password", "current", "token", "secret", "settings", "key", "totp"} {
		if strings.Contains(low, secret) {
			return nil
		}
	}
	switch v := v.(type) {
	case string:
		if len(v) > 100 || location == "body" {
			return nil
		}
		return v
	case float64, bool, int64:
		return v
	}
	return nil
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// location puts a room's field name where the contract wants it: body.name, unless it says otherwise.
func location(field string) string {
	for _, p := range []string{"body.", "query.", "path.", "header."} {
		if strings.HasPrefix(field, p) {
			return field
		}
	}
	return "body." + field
}

// lostDatabase reports a database that is not there or went away in the middle: whatever was asked may be asked again.
func lostDatabase(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

func sqlState(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, c := range codes {
		if pg.Code == c {
			return true
		}
	}
	return false
}

func size(n int64) string {
	if n >= 1<<20 {
		return strconv.FormatInt(n>>20, 10) + " MB"
	}
	return strconv.FormatInt(n>>10, 10) + " kB"
}
