package live

import (
	"cmp"
	"context"
	"encoding/json"
	"hash/maphash"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
	"github.com/parley-hub/parley/internal/events"
)

// Config tunes the hub. Zero values are the promises of DESIGN 7.
type Config struct {
	BaseURL      string        // browsers come from there, or from the host that they ask
	Silence      time.Duration // after which a socket is dropped: 25 s
	WriteTimeout time.Duration // for one write: 10 s
	QueueFrames  int           // bound of a socket's queue: 256
	QueueBytes   int           // and in bytes: 64 KiB
	MaxReplay    int           // events that a resume may bring; more is a snapshot: 5000
	MaxPerAgent  int           // sockets of one agent: 64
	// AgentTypes is called when an agent types in a conversation that he may see, so that the customer can be told. It
	// must not block.
	AgentTypes func(conversationID int64)
	Now        clock.Now
}

func (c Config) withDefaults() Config {
	c.Silence = cmp.Or(c.Silence, 25*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.QueueFrames = cmp.Or(c.QueueFrames, 256)
	c.QueueBytes = cmp.Or(c.QueueBytes, 64<<10)
	c.MaxReplay = cmp.Or(c.MaxReplay, 5000)
	c.MaxPerAgent = cmp.Or(c.MaxPerAgent, 64)
	if c.Now == nil {
		c.Now = clock.System
	}
	return c
}

// readLimit bounds a message from a client.
const readLimit = 64 << 10

// Spine is what the hub needs of the event stream; *events.Tailer is it.
type Spine interface {
	Subscribe(fn func([]events.Event))
	Started() <-chan struct{}
	Head() events.Cursor
	Recent(ctx context.Context, c events.Cursor, limit int) ([]events.Event, error)
}

// Handler answers a client's frame. It is called by the socket's reader: one frame at a time. msg may be kept.
type Handler func(ctx context.Context, v Viewer, msg json.RawMessage) error

// Metrics counts what the hub does.
type Metrics struct {
	Sockets       atomic.Int64 // open now
	FramesSent    atomic.Int64
	FramesDropped atomic.Int64 // with the queues of slow sockets
	SlowCloses    atomic.Int64
	SilentCloses  atomic.Int64
	Resumes       atomic.Int64
	Snapshots     atomic.Int64
}

// Hub shows the spine to the sockets of this node.
type Hub struct {
	Metrics Metrics

	cfg      Config
	spine    Spine
	bus      bus.Bus
	dir      Directory
	counter  Counter
	log      *slog.Logger
	upgrader websocket.Upgrader
	handlers []route
	node     string
	seed     maphash.Seed

	in       chan []events.Event
	ready    chan struct{} // closed when Run knows where the spine is
	ctx      context.Context
	cancel   context.CancelFunc
	readers  sync.WaitGroup
	work     sync.WaitGroup // what Run and the staff events start
	slices   slicePool
	messages bufferPool
	pace     pace
	recount  chan struct{}

	mu       sync.Mutex
	stopped  bool
	conns    []*conn
	byAgent  map[int64][]*conn
	shown    events.Cursor // the last event that was handed to the sockets
	begun    events.Cursor // the first value of shown
	wheel    wheel
	people   people
	sessions sessions
	places   places
	typing   typing
	viewers  viewers
	replays  replays
}

type route struct {
	prefix string
	fn     Handler
}

// New makes a hub. It subscribes to spine, so it must be called before the tailer runs; Run starts it.
func New(cfg Config, spine Spine, b bus.Bus, dir Directory, counter Counter, log *slog.Logger) *Hub {
	ctx, cancel := context.WithCancel(context.Background())
	h := &Hub{
		cfg: cfg.withDefaults(), spine: spine, bus: b, dir: dir, counter: counter, log: log.With("component", "live"),
		node: newNode(), seed: maphash.MakeSeed(),
		in: make(chan []events.Event, 64), ready: make(chan struct{}), ctx: ctx, cancel: cancel,
		pace: pace{idle: make(chan struct{}, 1)}, recount: make(chan struct{}, 1),
		byAgent: map[int64][]*conn{}, people: newPeople(), sessions: newSessions(), places: newPlaces(),
		typing: newTyping(), viewers: newViewers(),
	}
	h.upgrader = websocket.Upgrader{
		ReadBufferSize: readBuffer,
		// The library writes hardly anything; without a pool it would keep a buffer per socket.
		WriteBufferSize: 256, WriteBufferPool: &sync.Pool{},
		CheckOrigin: originCheck(cfg.BaseURL),
	}
	spine.Subscribe(func(evs []events.Event) {
		select {
		case h.in <- evs:
		case <-h.ctx.Done():
		}
	})
	return h
}

// Handle has fn called for frames of a type: exactly prefix, or everything under it when it ends with a dot. It must be
// called before Serve.
func (h *Hub) Handle(prefix string, fn func(ctx context.Context, v Viewer, msg json.RawMessage) error) {
	h.handlers = append(h.handlers, route{prefix, fn})
}

func (h *Hub) handler(kind string) Handler {
	for _, r := range h.handlers {
		if r.prefix == kind || strings.HasSuffix(r.prefix, ".") && strings.HasPrefix(kind, r.prefix) {
			return r.fn
		}
	}
	return nil
}

const (
	tick = 250 * time.Millisecond // hints go out at most so often
	// closeTime is what sockets are given to say goodbye when the program ends.
	closeTime   = 2 * time.Second
	loadRetry   = 200 * time.Millisecond
	loadRetries = 5 * time.Second
)

// Run shows events until ctx ends, then closes every socket and returns nil.
func (h *Hub) Run(ctx context.Context) error {
	defer h.stop()
	typing, err := h.bus.Subscribe(typingSubject, h.typingHint)
	if err == nil {
		defer typing()
		var seen func()
		if seen, err = h.bus.Subscribe(viewersSubject, h.viewersHint); err == nil {
			defer seen()
		}
	}
	if err != nil {
		h.log.WarnContext(ctx, "typing and viewers are not shown", "error", err)
	}
	select {
	case <-h.spine.Started():
	case <-ctx.Done():
		return nil
	}
	h.mu.Lock()
	h.shown = h.spine.Head()
	h.begun = h.shown
	h.mu.Unlock()
	close(h.ready)

	h.work.Go(func() { h.loadStatuses(h.ctx) })
	h.work.Go(func() { h.pushCounts(h.ctx) })
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case evs := <-h.in:
			h.show(ctx, evs)
		case <-ticker.C:
			h.onTick(h.cfg.Now())
		case <-ctx.Done():
			return nil
		}
	}
}

// onTick does what time brings: silent sockets, hints that were held back, hints that expire.
func (h *Hub) onTick(now time.Time) {
	h.sweep(now)
	h.flushTyping(now)
	h.flushViewers(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flushPresence(now)
	h.sessions.forget(now)
	h.replays.forget(now)
}

// stop closes every socket and waits for all goroutines.
func (h *Hub) stop() {
	h.mu.Lock()
	h.stopped = true
	conns := append([]*conn(nil), h.conns...)
	h.mu.Unlock()
	h.cancel()
	for _, c := range conns {
		c.shutdown(closeGoingAway, "the server restarts")
	}
	done := make(chan struct{})
	go func() {
		h.readers.Wait()
		close(done)
	}()
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		for _, c := range conns {
			_ = c.nc.Close()
		}
		<-done
	}
	h.work.Wait()
}

// Connected lists the agents who have a socket on this node, for their heartbeat.
func (h *Hub) Connected() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]int64, 0, len(h.byAgent))
	for agent := range h.byAgent {
		out = append(out, agent)
	}
	return out
}

// originCheck lets in pages of the base URL's host and of the host that was asked. A client without an Origin is no
// browser, so nobody's cookie can be misused by a foreign page.
func originCheck(base string) func(r *http.Request) bool {
	var own string
	if u, err := url.Parse(base); err == nil {
		own = u.Host
	}
	return func(r *http.Request) bool {
		origin := r.Header.Get("Origin")
		if origin == "" {
			return true
		}
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return false
		}
		return strings.EqualFold(u.Host, r.Host) || own != "" && strings.EqualFold(u.Host, own)
	}
}
