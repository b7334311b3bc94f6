package channels

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// ErrNoChannel means that there is no enabled channel with this id and kind, or that it takes no webhooks.
var ErrNoChannel = errors.New("no such channel")

// Source tells the supervisor which channels there are. It must be safe for concurrent use.
type Source interface {
	// Accounts lists the channels that should run: enabled, not deleted.
	Accounts(ctx context.Context) ([]Account, error)
	// Account reads one channel anew, with the cursors as committed by now: another node may have owned it a moment
	// ago. It returns an error that Is ErrNoChannel when the channel is gone or disabled.
	Account(ctx context.Context, id int64) (Account, error)
	// Changed gets a value after a channel was added, changed or removed. It is a hint: the supervisor also looks by
	// itself every Config.Refresh.
	Changed() <-chan struct{}
}

// Config is what a Supervisor needs. Source, Kinds, Sinks and Hold are required.
type Config struct {
	Source Source
	Kinds  map[string]Kind
	// Sinks gives the hub's side of a channel. epoch is the fencing number of the lease; 0 for a webhook, which is
	// served on any node without one.
	Sinks func(accountID, epoch int64) Sink
	// Hold runs run while this node holds the lease of that name: it waits for the lease, ends run's ctx when the lease
	// is lost, takes it again, and returns when ctx ends.
	Hold func(ctx context.Context, name string, run func(ctx context.Context, epoch int64) error) error
	// OnUp, when set, is run beside each adapter, in the channel's own context: it ends with the adapter, with the lease
	// and with the supervisor. The outbox of the channel drains there. A panic in it restarts the channel.
	OnUp func(ctx context.Context, id, epoch int64, a Adapter)
	Log  *slog.Logger

	BackoffMin time.Duration // first pause after a failed run; default 1 s
	BackoffMax time.Duration // longest pause; default 5 min
	Steady     time.Duration // a run that lasted this long forgets earlier failures; default 1 min
	Refresh    time.Duration // how often Source is asked without a hint; default 15 s
	Grace      time.Duration // how long an adapter may take to stop before it is left behind; default 900 ms
}

// Supervisor keeps one adapter per channel running on the node that holds the channel's lease.
//
// Each channel has a goroutine of its own, so that none delays another. A changed setting restarts that channel alone,
// under the lease it already has. A Run that returns an error or panics is reported as failed and started again after a
// growing pause; a Run that returns nil has given up for good (the adapter has said why) and waits for new settings.
type Supervisor struct {
	cfg Config

	mu       sync.Mutex
	accounts map[int64]*listed
	running  map[int64]running
	loadedAt time.Time
	loading  sync.Mutex // one look-up for an unknown webhook at a time
}

type listed struct {
	account Account
	key     string // the setting key of what is reached by it, "" = none
	print   [sha256.Size]byte

	once    sync.Once
	adapter Adapter // made from settings only; never run
	hook    http.Handler
	err     error
}

type running struct {
	adapter Adapter
	epoch   int64
}

// NewSupervisor makes a supervisor; it does nothing until Run, except that Hook and Capabilities already work.
func NewSupervisor(cfg Config) (*Supervisor, error) {
	if cfg.Source == nil || cfg.Kinds == nil || cfg.Sinks == nil || cfg.Hold == nil || cfg.Log == nil {
		return nil, errors.New("channels: Source, Kinds, Sinks, Hold and Log are required")
	}
	cfg.BackoffMin = cmp.Or(cfg.BackoffMin, time.Second)
	cfg.BackoffMax = cmp.Or(cfg.BackoffMax, 5*time.Minute)
	cfg.Steady = cmp.Or(cfg.Steady, time.Minute)
	cfg.Refresh = cmp.Or(cfg.Refresh, 15*time.Second)
	cfg.Grace = cmp.Or(cfg.Grace, 900*time.Millisecond)
	return &Supervisor{cfg: cfg, accounts: map[int64]*listed{}, running: map[int64]running{}}, nil
}

// Run keeps the channels going until ctx ends; it returns within a second of that.
func (s *Supervisor) Run(ctx context.Context) error {
	units := map[int64]*unit{}
	var wg sync.WaitGroup
	defer wg.Wait()

	tick := time.NewTicker(s.cfg.Refresh)
	defer tick.Stop()
	for {
		if accounts, err := s.load(ctx); err == nil {
			s.reconcile(ctx, units, accounts, &wg)
		} else if ctx.Err() == nil {
			s.cfg.Log.ErrorContext(ctx, "list channels", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.cfg.Source.Changed():
		case <-tick.C:
		}
	}
}

func (s *Supervisor) reconcile(ctx context.Context, units map[int64]*unit, accounts map[int64]*listed, wg *sync.WaitGroup) {
	for id, u := range units {
		if accounts[id] == nil {
			u.cancel()
			delete(units, id)
		}
	}
	for id, l := range accounts {
		if u := units[id]; u != nil {
			u.settings(l.print)
			continue
		}
		if _, known := s.cfg.Kinds[l.account.Kind]; !known {
			continue // a newer node's kind: it runs there
		}
		uctx, cancel := context.WithCancel(ctx)
		u := &unit{s: s, id: id, cancel: cancel, want: l.print, changed: make(chan struct{}, 1)}
		units[id] = u
		wg.Go(func() {
			defer cancel()
			u.run(uctx)
		})
	}
}

// load reads the list of channels and keeps it for webhooks. Entries whose settings did not change are kept as they are.
func (s *Supervisor) load(ctx context.Context) (map[int64]*listed, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := s.cfg.Source.Accounts(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loadedAt = time.Now() // also after a failure: knocking does not make the hub ask more often
	if err != nil {
		return nil, err
	}
	next := make(map[int64]*listed, len(list))
	for _, a := range list {
		l := &listed{account: a, print: fingerprint(a), key: publicKey(a)}
		if old := s.accounts[a.ID]; old != nil && old.print == l.print {
			l = old
		}
		next[a.ID] = l
	}
	s.accounts = next
	return next, nil
}

// fingerprint changes with everything that makes an adapter behave differently, and with nothing else.
func fingerprint(a Account) [sha256.Size]byte {
	settings := []byte(a.Settings)
	var v any
	if json.Unmarshal(settings, &v) == nil { // key order and spacing are not a change
		settings, _ = json.Marshal(v)
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(a.Kind), settings, []byte(a.BaseURL), []byte(a.Region)} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":"))
		h.Write(part)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Adapter returns the adapter of a channel that runs on this node, with the lease's epoch.
func (s *Supervisor) Adapter(id int64) (Adapter, int64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.running[id]
	return r.adapter, r.epoch, ok
}

// Hook returns the webhook of a channel, made from its settings: it works on every node. ErrNoChannel when there is no
// such channel, or it is of another kind, or it is not pushed to.
func (s *Supervisor) Hook(kind string, id int64) (http.Handler, error) {
	l := s.listed(id)
	if l == nil || l.account.Kind != kind {
		return nil, ErrNoChannel
	}
	return s.hook(l)
}

// Keyed returns the webhook of the channel of that kind whose setting "key" is key: what strangers are given does not
// name the channel. ErrNoChannel when there is none.
func (s *Supervisor) Keyed(kind, key string) (http.Handler, error) {
	find := func(l *listed) bool { return key != "" && l.account.Kind == kind && l.key == key }
	if l := s.find(find); l != nil {
		return s.hook(l)
	}
	return nil, ErrNoChannel
}

func (s *Supervisor) hook(l *listed) (http.Handler, error) {
	s.prepare(l)
	if l.err != nil {
		return nil, l.err
	}
	if l.hook == nil {
		return nil, ErrNoChannel
	}
	return l.hook, nil
}

func publicKey(a Account) string {
	var s struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(a.Settings, &s) != nil {
		return "" // of another type: it is no key
	}
	return s.Key
}

// Capabilities tells what a channel can do, on every node; false when there is no such enabled channel.
func (s *Supervisor) Capabilities(id int64) (Capabilities, bool) {
	l := s.listed(id)
	if l == nil {
		return Capabilities{}, false
	}
	s.prepare(l)
	if l.err != nil {
		return Capabilities{}, false
	}
	return l.adapter.Capabilities(), true
}

func (s *Supervisor) prepare(l *listed) {
	l.once.Do(func() {
		kind, ok := s.cfg.Kinds[l.account.Kind]
		if !ok {
			l.err = ErrNoChannel
			return
		}
		if l.adapter, l.err = kind.New(l.account); l.err != nil {
			return
		}
		if w, ok := l.adapter.(Webhooker); ok {
			l.hook = w.Webhook(s.cfg.Sinks(l.account.ID, 0))
		}
	})
}

func (s *Supervisor) get(want func(*listed) bool) (*listed, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.accounts {
		if want(l) {
			return l, s.loadedAt
		}
	}
	return nil, s.loadedAt
}

func (s *Supervisor) listed(id int64) *listed {
	return s.find(func(l *listed) bool { return l.account.ID == id })
}

// find finds a channel, looking again for an unknown one at most once a second: strangers may knock with any number.
func (s *Supervisor) find(want func(*listed) bool) *listed {
	l, loadedAt := s.get(want)
	if l != nil || time.Since(loadedAt) < time.Second {
		return l
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if l, loadedAt = s.get(want); l != nil || time.Since(loadedAt) < time.Second {
		return l
	}
	if _, err := s.load(context.Background()); err != nil { //nolint:forbidigo // bounded by load's own timeout; the list is shared, no one request's to cancel
		s.cfg.Log.Error("list channels", "error", err)
	}
	l, _ = s.get(want)
	return l
}

func (s *Supervisor) setRunning(id int64, r *running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r == nil {
		delete(s.running, id)
	} else {
		s.running[id] = *r
	}
}
