// Package errs is the one error vocabulary of the house: a code that the edge maps to an HTTP status, a sentence that
// may be shown to the person who can act, and the cause, which goes to the log only.
package errs

import (
	"errors"
	"fmt"
)

// Code says what kind of failure it is; web maps it to an HTTP status and nothing else does.
type Code string

// The codes, from the caller's fault to ours.
const (
	Invalid         Code = "invalid"         // 422: a field is wrong; Field names it
	Unauthenticated Code = "unauthenticated" // 401
	Forbidden       Code = "forbidden"       // 403
	NotFound        Code = "not_found"       // 404
	Conflict        Code = "conflict"        // 409
	TooMany         Code = "too_many"        // 429
	Unavailable     Code = "unavailable"     // 503: come again
	Internal        Code = "internal"        // 500
)

// E is an error with a code. Msg is shown to people; Err is not.
type E struct {
	Code  Code
	Msg   string
	Field string         // the offending field of the request, "" when none
	Extra map[string]any // further members of the problem document, for example the id of the existing contact
	Err   error
}

func (e *E) Error() string {
	s := e.Msg
	if s == "" {
		s = string(e.Code)
	}
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *E) Unwrap() error { return e.Err }

// New makes an error that carries code and a sentence for people.
func New(code Code, format string, args ...any) *E {
	return &E{Code: code, Msg: fmt.Sprintf(format, args...)}
}

// Field refuses one field of the input and says what would be right.
func Field(field, format string, args ...any) *E {
	return &E{Code: Invalid, Field: field, Msg: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first E in err's chain, Internal when there is none, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *E
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Is reports whether err carries code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }

type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

// Temporary marks err as one that may pass by itself: the work is kept and tried again.
func Temporary(err error) error {
	if err == nil {
		return nil
	}
	return temporary{err}
}

// IsTemporary reports whether err was marked by Temporary.
func IsTemporary(err error) bool {
	var t temporary
	return errors.As(err, &t)
}
