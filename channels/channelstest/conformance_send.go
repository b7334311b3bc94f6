package channelstest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels"
)

func sends(t *testing.T, p *Peer) {
	if p.Received == nil {
		t.Skip("nothing goes out")
	}
	h, sink, m := met(t, p)
	a := h.adapter(t, sink)
	for i := range 3 {
		m.ClientID, m.Text = fmt.Sprintf("0190c0de-0000-7000-8000-00000000000%d", i), "answer "+strconv.Itoa(i)
		r, err := a.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.ProviderIDs) == 0 || r.ProviderIDs[0] == "" {
			t.Fatalf("no provider id: %+v", r)
		}
	}
	if got, want := p.Received(), []string{"answer 0", "answer 1", "answer 2"}; !slices.Equal(got, want) {
		t.Errorf("the customer got %q, want %q", got, want)
	}
}

func wantKind(t *testing.T, err error, want channels.SendErrorKind) *channels.SendError {
	t.Helper()
	var se *channels.SendError
	if !errors.As(err, &se) {
		t.Fatalf("got %v, want a SendError", err)
	}
	if se.Kind != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	if se.Reason == "" {
		t.Errorf("%v has no words for the agent", err)
	}
	return se
}

func limitIsTold(t *testing.T, p *Peer) {
	if p.Limit == nil {
		t.Skip("the provider has no limits")
	}
	h, sink, m := met(t, p)
	p.Limit(7 * time.Second)
	_, err := h.adapter(t, sink).Send(t.Context(), m)
	if se := wantKind(t, err, channels.Temporary); se.RetryAfter != 7*time.Second {
		t.Errorf("RetryAfter %s, want 7s", se.RetryAfter)
	}
	if got := p.Received(); len(got) != 0 {
		t.Errorf("the customer got %q", got)
	}
	if _, err := h.adapter(t, sink).Send(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func cut(t *testing.T, p *Peer, applied bool) {
	if p.Cut == nil {
		t.Skip("a send cannot be cut")
	}
	h, sink, m := met(t, p)
	before := p.Attempts()
	p.Cut(applied)
	a := h.adapter(t, sink)
	_, err := a.Send(t.Context(), m)
	if a.Capabilities().Deduplicates { // the outbox may repeat it: the customer sees it once
		wantKind(t, err, channels.Temporary)
	} else {
		wantKind(t, err, channels.Uncertain)
	}
	if got := p.Attempts() - before; got != 1 {
		t.Errorf("tried %d times; only the outbox or the agent may repeat it", got)
	}
	want := 0
	if applied {
		want = 1
	}
	if got := p.Received(); len(got) != want {
		t.Errorf("the customer got %q", got)
	}
}

func refused(t *testing.T, p *Peer) {
	if p.Refuse == nil {
		t.Skip("the provider refuses nothing")
	}
	h, sink, m := met(t, p)
	p.Refuse()
	_, err := h.adapter(t, sink).Send(t.Context(), m)
	wantKind(t, err, channels.Permanent)
}

func blocked(t *testing.T, p *Peer) {
	if p.Block == nil {
		t.Skip("nobody can block")
	}
	h, sink, m := met(t, p)
	p.Block()
	_, err := h.adapter(t, sink).Send(t.Context(), m)
	wantKind(t, err, channels.Unreachable)
}
