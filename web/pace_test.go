package web

import (
	"errors"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

func TestPace(t *testing.T) {
	t.Parallel()
	at := time.Unix(600, 0)
	p := newPace(func() time.Time { return at })
	for range 3 {
		if err := p.take(1, "export", 3); err != nil {
			t.Fatal(err)
		}
	}
	at = at.Add(45 * time.Second)
	var e *errs.E
	if err := p.take(1, "export", 3); !errors.As(err, &e) || e.Code != errs.TooMany || e.Extra["retry_after"] != 15 {
		t.Errorf("got %v", err)
	}
	for _, other := range []error{p.take(2, "export", 3), p.take(1, "merge", 3)} {
		if other != nil {
			t.Errorf("one agent's haste is another's: %v", other)
		}
	}
	at = at.Add(15 * time.Second)
	if err := p.take(1, "export", 3); err != nil {
		t.Errorf("in the next minute: %v", err)
	}
}

// Every export and bulk change of the table has a pace.
func TestBulkRoutesArePaced(t *testing.T) {
	t.Parallel()
	s, err := New(Config{}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"GET /api/audit/export": true, "POST /api/contacts/{id}/merge": true}
	for _, r := range s.routes {
		if want[r.method+" "+r.path] != (r.perMinute > 0) {
			t.Errorf("%s %s: %d a minute", r.method, r.path, r.perMinute)
		}
	}
}
