package scripted_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
	"github.com/parley-hub/parley/channels/channelstest/scripted"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformance: the scripted channel keeps the contract itself, as far as it has a provider.
func TestConformance(t *testing.T) {
	channelstest.Run(t, func(*testing.T) *channelstest.Peer {
		r := scripted.New()
		n := 0
		return &channelstest.Peer{
			Kind: r.Kind(), Account: channels.Account{ID: 3, Kind: scripted.Kind},
			Write: func(text string) {
				n++
				r.Queue(3, scripted.Text("ada", "Ada", time.Duration(n).String(), text))
			},
			Chat: func() (string, json.RawMessage) { return "ada", nil },
			Received: func() []string {
				var out []string
				for _, s := range r.Received() {
					out = append(out, s.Text)
				}
				return out
			},
			Attempts: func() int { return len(r.Sent()) },
			Limit: func(d time.Duration) {
				r.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Temporary, RetryAfter: d, Reason: "slow down"}})
			},
			Cut: func(applied bool) {
				r.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Uncertain, Reason: "cut"}, Delivered: applied})
			},
			Refuse: func() { r.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Permanent, Reason: "no"}}) },
			Block: func() {
				r.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Unreachable, Reason: "blocked"}})
			},
		}
	})
}

func TestDeduplicates(t *testing.T) {
	t.Parallel()
	r := scripted.New()
	r.Caps.Deduplicates = true
	a := r.Adapter(1)
	m := channels.Outbound{ClientID: "x", Text: "hi"}
	r.Script(scripted.Outcome{Err: &channels.SendError{Kind: channels.Uncertain}, Delivered: true})
	if _, err := a.Send(t.Context(), m); err == nil {
		t.Error("want the scripted error")
	}
	if _, err := a.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	if got := r.Received(); len(got) != 1 || len(r.Sent()) != 2 {
		t.Errorf("received %d of %d sends", len(got), len(r.Sent()))
	}
}

func TestBlockedSendEndsUncertain(t *testing.T) {
	t.Parallel()
	r := scripted.New()
	r.Script(scripted.Outcome{Block: make(chan struct{})})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.Adapter(1).Send(ctx, channels.Outbound{ClientID: "x"})
	var se *channels.SendError
	if !errors.As(err, &se) || se.Kind != channels.Uncertain {
		t.Errorf("got %v", err)
	}
}

func TestMedia(t *testing.T) {
	t.Parallel()
	r := scripted.New()
	ref := r.PutMedia("a.txt", []byte("abc"))
	if i, err := r.Adapter(1).FetchMedia(t.Context(), ref, io.Discard); err != nil || i.Size != 3 {
		t.Errorf("%+v %v", i, err)
	}
	if _, err := r.Adapter(1).FetchMedia(t.Context(), json.RawMessage(`{"key":"b"}`), io.Discard); !errors.Is(err, channels.ErrMediaGone) {
		t.Errorf("got %v", err)
	}
}
