package channels_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/channelstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a hub with channels whose adapters do as the test says. It runs inside a synctest bubble: time is not real.
type world struct {
	mu       sync.Mutex
	accounts map[int64]channels.Account
	changed  chan struct{}
	sinks    map[int64]*channelstest.Sink
	runs     []run
	running  map[int64]int
	run      func(ctx context.Context, a channels.Account, sink channels.Sink) error
	up       func(ctx context.Context, id, epoch int64, a channels.Adapter)
	newErr   error
	lease    map[string]context.CancelFunc
	epoch    int64
	held     chan struct{} // when set, leases are given only after it is closed
}

type run struct {
	id    int64
	token string
	at    time.Time
}

func newWorld(ids ...int64) *world {
	w := &world{
		accounts: map[int64]channels.Account{}, changed: make(chan struct{}, 1), sinks: map[int64]*channelstest.Sink{}, running: map[int64]int{},
		lease: map[string]context.CancelFunc{},
		run: func(ctx context.Context, _ channels.Account, _ channels.Sink) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}
	for _, id := range ids {
		w.accounts[id] = channels.Account{ID: id, Kind: "test", Settings: json.RawMessage(`{"token": "a"}`)}
		w.sinks[id] = channelstest.NewSink()
	}
	return w
}

func (w *world) Accounts(context.Context) ([]channels.Account, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []channels.Account
	for _, a := range w.accounts {
		out = append(out, a)
	}
	return out, nil
}

func (w *world) Account(_ context.Context, id int64) (channels.Account, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a, ok := w.accounts[id]
	if !ok {
		return a, channels.ErrNoChannel
	}
	return a, nil
}

func (w *world) Changed() <-chan struct{} { return w.changed }

func (w *world) set(id int64, settings string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if settings == "" {
		delete(w.accounts, id)
	} else {
		a := w.accounts[id]
		a.ID, a.Kind, a.Settings = id, "test", json.RawMessage(settings)
		w.accounts[id] = a
	}
	if w.sinks[id] == nil {
		w.sinks[id] = channelstest.NewSink()
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *world) hold(ctx context.Context, name string, f func(context.Context, int64) error) error {
	for ctx.Err() == nil {
		w.mu.Lock()
		held := w.held
		w.epoch++
		epoch := w.epoch
		lctx, cancel := context.WithCancel(ctx)
		w.lease[name] = cancel
		w.mu.Unlock()
		if held != nil {
			select {
			case <-held:
			case <-ctx.Done():
				cancel()
				return ctx.Err()
			}
		}
		_ = f(lctx, epoch)
		cancel()
	}
	return ctx.Err()
}

func (w *world) history(id int64) []run {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.runs), func(r run) bool { return r.id != id })
}

type adapter struct {
	w *world
	a channels.Account
}

func (a *adapter) Capabilities() channels.Capabilities { return channels.Capabilities{MaxText: 42} }

func (a *adapter) Run(ctx context.Context, sink channels.Sink) error {
	var s struct{ Token string }
	_ = json.Unmarshal(a.a.Settings, &s)
	a.w.mu.Lock()
	a.w.runs = append(a.w.runs, run{a.a.ID, s.Token, time.Now()})
	a.w.running[a.a.ID]++
	if a.w.running[a.a.ID] > 1 {
		panic("two adapters of one channel at once")
	}
	f := a.w.run
	a.w.mu.Unlock()
	defer func() {
		a.w.mu.Lock()
		defer a.w.mu.Unlock()
		a.w.running[a.a.ID]--
	}()
	return f(ctx, a.a, sink)
}

func (a *adapter) Send(context.Context, channels.Outbound) (channels.SendResult, error) {
	return channels.SendResult{ProviderIDs: []string{string(a.a.Settings)}}, nil
}

func (a *adapter) FetchMedia(context.Context, json.RawMessage, io.Writer) (channels.MediaInfo, error) {
	return channels.MediaInfo{}, channels.ErrMediaGone
}

func (a *adapter) Webhook(sink channels.Sink) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sink.Ingest(r.Context(), channels.Batch{Events: []channels.Inbound{{Kind: channels.Message, EventKey: r.URL.Path}}}) != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

func (w *world) supervisor(t *testing.T) *channels.Supervisor {
	t.Helper()
	s, err := channels.NewSupervisor(channels.Config{
		Source: w, Hold: w.hold, OnUp: w.up, Log: slog.New(slog.DiscardHandler),
		Kinds: map[string]channels.Kind{"test": {Name: "test", New: func(a channels.Account) (channels.Adapter, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.newErr != nil {
				return nil, w.newErr
			}
			return &adapter{w, a}, nil
		}}},
		Sinks: func(id, _ int64) channels.Sink {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.sinks[id]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start runs a supervisor until the test's end and checks that it stops within a second.
func (w *world) start(t *testing.T) *channels.Supervisor {
	t.Helper()
	s := w.supervisor(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	t.Cleanup(func() {
		began := time.Now()
		cancel()
		<-done
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
	synctest.Wait()
	return s
}

func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestRunsAndGivesTheAdapter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, 2)
		s := w.start(t)
		for _, id := range []int64{1, 2} {
			if a, epoch, ok := s.Adapter(id); !ok || a == nil || epoch == 0 {
				t.Errorf("channel %d: %v %d %v", id, a, epoch, ok)
			}
			if c, ok := s.Capabilities(id); !ok || c.MaxText != 42 {
				t.Errorf("capabilities %+v %v", c, ok)
			}
		}
		if _, _, ok := s.Adapter(3); ok {
			t.Error("there is no channel 3")
		}
		if st := w.sinks[1].LastState(); st.Kind != channels.Connecting {
			t.Errorf("state %+v", st)
		}
	})
}

func TestChangedSettingsRestartThatChannelAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, 2)
		s := w.start(t)
		_, before, _ := s.Adapter(1)
		w.set(1, `{"token":"b"}`)
		synctest.Wait()
		if got := w.history(1); len(got) != 2 || got[1].token != "b" {
			t.Errorf("runs %+v", got)
		}
		if got := w.history(2); len(got) != 1 {
			t.Errorf("the other channel: %+v", got)
		}
		if _, after, _ := s.Adapter(1); after != before {
			t.Errorf("the lease was given up: epoch %d, then %d", before, after)
		}
		w.set(1, `{ "token" : "b" }`) // the same
		synctest.Wait()
		if got := w.history(1); len(got) != 2 {
			t.Errorf("restarted for nothing: %+v", got)
		}
		w.set(2, "")
		synctest.Wait()
		if _, _, ok := s.Adapter(2); ok {
			t.Error("a removed channel still runs")
		}
		w.set(3, `{"token":"c"}`)
		synctest.Wait()
		if _, _, ok := s.Adapter(3); !ok {
			t.Error("a new channel does not run")
		}
	})
}

func TestChangeIsSeenWithoutAHint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.start(t)
		w.mu.Lock()
		w.accounts[1] = channels.Account{ID: 1, Kind: "test", Settings: json.RawMessage(`{"token":"z"}`)}
		w.mu.Unlock()
		wait(16 * time.Second)
		if got := w.history(1); len(got) != 2 || got[1].token != "z" {
			t.Errorf("runs %+v", got)
		}
	})
}

func TestFailureAndPanicBackOff(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("the line is dead") },
		"panic": func() error { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(1, 2)
				w.run = func(ctx context.Context, a channels.Account, _ channels.Sink) error {
					if a.ID == 1 {
						return fail()
					}
					<-ctx.Done()
					return nil
				}
				w.start(t)
				if st := w.sinks[1].LastState(); st.Kind != channels.Failed || st.Reason == "" || len(st.Reason) > 200 {
					t.Errorf("state %+v", st)
				}
				wait(time.Hour)
				runs := w.history(1)
				if len(runs) < 12 || len(runs) > 40 {
					t.Errorf("%d runs in an hour", len(runs))
				}
				if first := runs[1].at.Sub(runs[0].at); first < 500*time.Millisecond || first > time.Second {
					t.Errorf("first pause %s", first)
				}
				if last := runs[len(runs)-1].at.Sub(runs[len(runs)-2].at); last < 150*time.Second || last > 300*time.Second {
					t.Errorf("last pause %s", last)
				}
				if len(w.history(2)) != 1 {
					t.Error("the other channel was touched")
				}
				// New settings are tried at once.
				w.set(1, `{"token":"new"}`)
				synctest.Wait()
				if got := w.history(1); got[len(got)-1].token != "new" {
					t.Errorf("last run %+v", got[len(got)-1])
				}
			})
		})
	}
}

func TestASteadyRunForgetsEarlierFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		n := 0
		w.run = func(ctx context.Context, _ channels.Account, _ channels.Sink) error {
			if n++; n == 6 {
				select {
				case <-ctx.Done():
				case <-time.After(2 * time.Minute):
				}
			}
			return errors.New("again")
		}
		w.start(t)
		wait(4 * time.Minute)
		runs := w.history(1)
		if len(runs) < 7 {
			t.Fatalf("%d runs", len(runs))
		}
		if pause := runs[6].at.Sub(runs[5].at) - 2*time.Minute; pause > time.Second {
			t.Errorf("pause after a steady run %s", pause)
		}
	})
}

func TestGaveUpForGoodWaitsForSettings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.run = func(ctx context.Context, _ channels.Account, sink channels.Sink) error {
			return sink.State(ctx, channels.State{Kind: channels.NeedsLogin, Reason: "logged out"})
		}
		s := w.start(t)
		wait(time.Hour)
		if got := w.history(1); len(got) != 1 {
			t.Errorf("%d runs", len(got))
		}
		if st := w.sinks[1].LastState(); st.Kind != channels.NeedsLogin {
			t.Errorf("state %+v", st)
		}
		if _, _, ok := s.Adapter(1); ok {
			t.Error("it does not run")
		}
		w.set(1, `{"token":"new"}`)
		synctest.Wait()
		if got := w.history(1); len(got) != 2 {
			t.Errorf("%d runs", len(got))
		}
	})
}

func TestBadSettingsAreReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.newErr = &channels.FieldError{Field: "token", Msg: "is needed"}
		s := w.start(t)
		if st := w.sinks[1].LastState(); st.Kind != channels.Failed || st.Reason != "token: is needed" {
			t.Errorf("state %+v", st)
		}
		var fe *channels.FieldError
		if _, err := s.Hook("test", 1); !errors.As(err, &fe) {
			t.Errorf("hook: %v", err)
		}
	})
}

func TestOnUpLivesAsLongAsTheAdapter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		var mu sync.Mutex
		live, total := 0, 0
		w.up = func(ctx context.Context, id, epoch int64, a channels.Adapter) {
			mu.Lock()
			live, total = live+1, total+1
			mu.Unlock()
			if id != 1 || epoch == 0 || a == nil {
				t.Errorf("got %d %d %v", id, epoch, a)
			}
			<-ctx.Done()
			mu.Lock()
			live--
			mu.Unlock()
		}
		w.start(t)
		check := func(wantTotal int) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if live != 1 || total != wantTotal {
				t.Errorf("%d live, %d in all; want 1 and %d", live, total, wantTotal)
			}
		}
		check(1)
		w.set(1, `{"token":"b"}`)
		check(2)
		w.mu.Lock()
		w.lease["channel:1"]() // the lease is lost and taken again
		w.mu.Unlock()
		check(3)
	})
}

func TestPanicInOnUpRestartsTheChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		n := 0
		w.up = func(ctx context.Context, _, _ int64, _ channels.Adapter) {
			if n++; n == 1 {
				panic("the outbox broke down")
			}
			<-ctx.Done()
		}
		w.start(t)
		if st := w.sinks[1].LastState(); st.Kind != channels.Failed {
			t.Errorf("state %+v", st)
		}
		wait(2 * time.Second)
		if got := w.history(1); len(got) != 2 {
			t.Errorf("%d runs", len(got))
		}
	})
}

func TestWithoutTheLeaseOnlyTheWebhookWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		w.held = make(chan struct{})
		s := w.start(t)
		if _, _, ok := s.Adapter(1); ok {
			t.Error("it runs without the lease")
		}
		h, err := s.Hook("test", 1)
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/test/1", nil))
		if rec.Code != http.StatusOK || len(w.sinks[1].Events()) != 1 {
			t.Errorf("%d, %d events", rec.Code, len(w.sinks[1].Events()))
		}
		for _, c := range []struct {
			kind string
			id   int64
		}{{"test", 2}, {"other", 1}} {
			if _, err := s.Hook(c.kind, c.id); !errors.Is(err, channels.ErrNoChannel) {
				t.Errorf("%v: %v", c, err)
			}
		}
		close(w.held)
		synctest.Wait()
		if _, _, ok := s.Adapter(1); !ok {
			t.Error("it does not run with the lease")
		}
	})
}

func TestHookBeforeRunAndOfANewChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1)
		s := w.supervisor(t)
		if _, err := s.Hook("test", 1); err != nil {
			t.Fatal(err)
		}
		w.set(2, `{}`)
		if _, err := s.Hook("test", 2); !errors.Is(err, channels.ErrNoChannel) {
			t.Errorf("an unknown channel is looked for once a second only, got %v", err)
		}
		wait(1100 * time.Millisecond)
		if _, err := s.Hook("test", 2); err != nil {
			t.Error(err)
		}
	})
}

// TestStuckAdapterIsLeftBehind: the others and the process's end do not wait for it.
func TestStuckAdapterIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(1, 2)
		release := make(chan struct{})
		w.run = func(ctx context.Context, a channels.Account, _ channels.Sink) error {
			if a.ID == 1 {
				<-release
			} else {
				<-ctx.Done()
			}
			return nil
		}
		s := w.supervisor(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = s.Run(ctx)
		}()
		synctest.Wait()
		began := time.Now()
		cancel()
		<-done
		if took := time.Since(began); took > time.Second {
			t.Errorf("stopping took %s", took)
		}
		close(release)
		synctest.Wait()
	})
}
