// Package channelstest is what every channel must pass: a hub in memory that fails on command (Sink) and the
// conformance suite (Run), which drives an adapter against the protocol-faithful fake of its provider under the real
// supervisor.
package channelstest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-hub/parley/channels"
)

// Peer is the other side of one channel: a provider and one customer. A nil function means that the channel has no such
// thing, and the checks about it are left out.
type Peer struct {
	Kind    channels.Kind
	Account channels.Account // without cursors
	// Hooked, when set, is told where the provider's webhooks are served.
	Hooked func(h http.Handler)

	// Write lets the customer write a text.
	Write func(text string)
	// Shown is how a text of the customer stands in the message; nil = as he wrote it.
	Shown func(text string) string
	// Chat is where Send reaches the customer; the customer has written before it is asked.
	Chat func() (chat string, data json.RawMessage)
	// Received are the texts that reached the customer; Attempts how often the provider was asked to deliver one.
	Received func() []string
	Attempts func() int

	// Again makes the provider deliver the last n acknowledged messages once more.
	Again func(n int)
	// Reverse makes the provider deliver what waits in the opposite order.
	Reverse func()
	// Outage takes the provider away: calls fail surely without effect.
	Outage func(on bool)
	// Limit makes the next send run into a limit.
	Limit func(retryAfter time.Duration)
	// Cut breaks the connection of the next send after the request was written; applied tells whether the customer
	// gets it nevertheless.
	Cut func(applied bool)
	// Refuse makes the provider refuse the next send for good; Block is the customer who blocks us.
	Refuse func()
	Block  func()
	// WriteFile lets the customer send a file of size bytes and returns what to expect of it.
	WriteFile func(size int64) (content func() io.Reader)
	// ForgetFiles makes the provider lose all files; ReceivedSize is the size of the last file that reached the customer.
	ForgetFiles  func()
	ReceivedSize func() int64
	// LogOut takes the account's right away; LogIn gives it back without new settings.
	LogOut func()
	LogIn  func()
}

// Factory makes a peer with an empty provider; it registers the clean-up with t.
type Factory func(t *testing.T) *Peer

// stopLimit is within which an adapter must have stopped.
const stopLimit = time.Second

// Run checks an adapter. It must not run beside other tests of the process: memory and goroutines are counted.
func Run(t *testing.T, factory Factory) {
	t.Helper()
	for _, c := range []struct {
		name string
		f    func(t *testing.T, p *Peer)
	}{
		{"delivers in order", deliversInOrder},
		{"delivered twice is stored once", deliveredTwice},
		{"failed commit is redelivered", failedCommit},
		{"unknown commit is stored once", unknownCommit},
		{"panic in the hub loses nothing", panicInHub},
		{"killed and restarted", killedAndRestarted},
		{"other order loses nothing", otherOrder},
		{"outage passes by itself", outage},
		{"sends", sends},
		{"limit is told", limitIsTold},
		{"cut after it took effect", func(t *testing.T, p *Peer) { cut(t, p, true) }},
		{"cut before it took effect", func(t *testing.T, p *Peer) { cut(t, p, false) }},
		{"refused", refused},
		{"blocked", blocked},
		{"20 MB in", largeIn},
		{"20 MB out", largeOut},
		{"file gone", fileGone},
		{"logged out", loggedOut},
		{"stops while idle", stopsIdle},
		{"stops while the hub is stuck", stopsStuck},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() {
				if !t.Failed() && !t.Skipped() {
					goleak.VerifyNone(t, before)
				}
			})
			c.f(t, factory(t))
		})
	}
}

// hub is a node: a supervisor with one channel.
type hub struct {
	super *channels.Supervisor
	id    int64
	stop  func()
}

type source struct {
	account channels.Account
	sink    *Sink
	changed chan struct{}
}

func (s *source) Accounts(context.Context) ([]channels.Account, error) {
	return []channels.Account{s.account}, nil
}

func (s *source) Account(context.Context, int64) (channels.Account, error) {
	a := s.account
	a.Cursors = s.sink.Cursors()
	return a, nil
}

func (s *source) Changed() <-chan struct{} { return s.changed }

// start runs a node over the sink, with the cursors that the sink has committed. Its end is part of the test: stop is
// called by the cleanup at the latest, and must take less than a second.
func start(t *testing.T, p *Peer, sink *Sink) *hub {
	t.Helper()
	super, err := channels.NewSupervisor(channels.Config{
		Source: &source{account: p.Account, sink: sink}, Kinds: map[string]channels.Kind{p.Kind.Name: p.Kind},
		Sinks: func(int64, int64) channels.Sink { return sink },
		Hold: func(ctx context.Context, _ string, run func(context.Context, int64) error) error {
			return run(ctx, 1)
		},
		Log: slog.New(slog.DiscardHandler), BackoffMin: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.Hooked != nil {
		p.Hooked(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hook, err := super.Hook(p.Kind.Name, p.Account.ID)
			if err != nil {
				http.NotFound(w, r)
				return
			}
			hook.ServeHTTP(w, r)
		}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- super.Run(ctx) }()
	stopped := false
	h := &hub{super: super, id: p.Account.ID}
	h.stop = func() {
		if stopped {
			return
		}
		stopped = true
		began := time.Now()
		cancel()
		<-done
		if took := time.Since(began); took > stopLimit {
			t.Errorf("stopping took %s", took)
		}
	}
	t.Cleanup(h.stop)
	return h
}

// Start runs the peer's channel over sink under a supervisor, with the cursors that sink has committed. The returned
// function stops it and fails the test when that takes more than a second; the test's end calls it too.
func Start(t *testing.T, p *Peer, sink *Sink) (stop func()) {
	t.Helper()
	return start(t, p, sink).stop
}

// adapter waits until the channel runs.
func (h *hub) adapter(t *testing.T, sink *Sink) channels.Adapter {
	t.Helper()
	var a channels.Adapter
	sink.Until(t, "a running adapter", func() bool {
		var ok bool
		a, _, ok = h.super.Adapter(h.id)
		return ok
	})
	return a
}

// up starts a node whose channel is connected.
func up(t *testing.T, p *Peer) (*hub, *Sink) {
	t.Helper()
	sink := NewSink()
	h := start(t, p, sink)
	sink.UntilState(t, channels.Up)
	return h, sink
}

// met is up after the customer has written, so that he can be answered.
func met(t *testing.T, p *Peer) (*hub, *Sink, channels.Outbound) {
	t.Helper()
	h, sink := up(t, p)
	p.Write("hello")
	sink.UntilMessages(t, 1)
	chat, data := p.Chat()
	return h, sink, channels.Outbound{ClientID: "0190c0de-0000-7000-8000-000000000001", Op: channels.OpSend, Attempt: 1, Chat: chat, ChatData: data, Text: "the answer"}
}

func numbered(from, to int) []string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, "message "+strconv.Itoa(i))
	}
	return out
}

func write(p *Peer, texts []string) {
	for _, s := range texts {
		p.Write(s)
	}
}

func wantTexts(t *testing.T, sink *Sink, want []string) {
	t.Helper()
	sink.UntilMessages(t, len(want))
	if got := sink.Texts(); !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// shown is what the customer's texts become.
func (p *Peer) shown(texts []string) []string {
	if p.Shown == nil {
		return texts
	}
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = p.Shown(s)
	}
	return out
}

func deliversInOrder(t *testing.T, p *Peer) {
	_, sink := up(t, p)
	want := numbered(1, 250)
	write(p, want)
	wantTexts(t, sink, p.shown(want))
	for _, e := range sink.Events() {
		if e.EventKey == "" || e.Chat == "" || len(e.Sender.Identities) == 0 || e.At.IsZero() || e.Direction == "" || e.Content == "" || len(e.Raw) == 0 {
			t.Fatalf("incomplete event %+v", e)
		}
	}
}

func deliveredTwice(t *testing.T, p *Peer) {
	if p.Again == nil {
		t.Skip("the provider never delivers again")
	}
	_, sink := up(t, p)
	write(p, numbered(1, 3))
	sink.UntilMessages(t, 3)
	p.Write("message 4") // with it the earlier ones are acknowledged
	sink.UntilMessages(t, 4)
	seen := sink.Deliveries()
	p.Again(3)
	p.Write("message 5")
	wantTexts(t, sink, p.shown(numbered(1, 5)))
	if sink.Deliveries() < seen+2 {
		t.Logf("the adapter kept the repeated ones back itself (%d deliveries)", sink.Deliveries())
	}
}

func failedCommit(t *testing.T, p *Peer) {
	_, sink := up(t, p)
	sink.FailBefore(2)
	write(p, numbered(1, 3))
	wantTexts(t, sink, p.shown(numbered(1, 3)))
	sink.UntilState(t, channels.Up)
}

func unknownCommit(t *testing.T, p *Peer) {
	_, sink := up(t, p)
	sink.FailAfter(1)
	p.Write("message 1")
	sink.Until(t, "the repeated delivery", func() bool { return sink.Deliveries() >= 2 })
	p.Write("message 2")
	wantTexts(t, sink, p.shown(numbered(1, 2)))
}

func panicInHub(t *testing.T, p *Peer) {
	_, sink := up(t, p)
	sink.Panic(1)
	write(p, numbered(1, 3))
	wantTexts(t, sink, p.shown(numbered(1, 3)))
	sink.UntilState(t, channels.Up)
}

func killedAndRestarted(t *testing.T, p *Peer) {
	h, sink := up(t, p)
	write(p, numbered(1, 2))
	sink.UntilMessages(t, 2)
	for round := range 3 {
		release := sink.Block()
		write(p, numbered(3+2*round, 4+2*round))
		sink.Until(t, "a batch on its way", func() bool { return sink.Blocked() > round })
		h.stop()
		release()
		h = start(t, p, sink)
		sink.UntilMessages(t, 4+2*round)
	}
	h.stop()
	p.Write("message 9") // while nobody is there
	start(t, p, sink)
	wantTexts(t, sink, p.shown(numbered(1, 9)))
}

func otherOrder(t *testing.T, p *Peer) {
	if p.Reverse == nil {
		t.Skip("the provider keeps the order")
	}
	sink := NewSink()
	write(p, numbered(1, 5))
	p.Reverse()
	start(t, p, sink)
	sink.UntilMessages(t, 5)
	p.Write("message 6")
	sink.UntilMessages(t, 6)
	texts := sink.Texts()
	slices.Sort(texts)
	if want := p.shown(numbered(1, 6)); !slices.Equal(texts, want) {
		t.Errorf("stored %q, want %q", texts, want)
	}
}

func outage(t *testing.T, p *Peer) {
	if p.Outage == nil {
		t.Skip("the provider cannot be away")
	}
	h, sink, m := met(t, p)
	p.Outage(true)
	before := len(p.Received())
	_, err := h.adapter(t, sink).Send(t.Context(), m)
	wantKind(t, err, channels.Temporary)
	p.Write("message while away")
	sink.UntilState(t, channels.Failed)
	p.Outage(false)
	sink.UntilMessages(t, 2)
	sink.UntilState(t, channels.Up)
	if got := p.Received(); len(got) != before {
		t.Errorf("the customer got %q", got)
	}
	if _, err := h.adapter(t, sink).Send(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func loggedOut(t *testing.T, p *Peer) {
	if p.LogOut == nil {
		t.Skip("there is no login")
	}
	h, sink, m := met(t, p)
	p.LogOut()
	sink.UntilState(t, channels.NeedsLogin)
	if sink.LastState().Reason == "" {
		t.Error("no words for the admin")
	}
	if a, _, ok := h.super.Adapter(h.id); ok {
		_, err := a.Send(t.Context(), m)
		wantKind(t, err, channels.AccountDown)
	}
}

func stopsIdle(t *testing.T, p *Peer) {
	h, _ := up(t, p)
	h.stop() // measures
}

func stopsStuck(t *testing.T, p *Peer) {
	h, sink := up(t, p)
	release := sink.Block()
	defer release()
	p.Write("hello")
	sink.Until(t, "a batch on its way", func() bool { return sink.Blocked() > 0 })
	h.stop()
}
