package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(crowdEnv); addr != "" {
		crowd(addr)
		return
	}
	dbtest.Main(m)
}

// office is the staff and the counters of a test.
type office struct {
	mu       sync.Mutex
	access   map[int64]Access
	statuses map[int64]string
	where    map[int64]place
	counts   map[string]int
	changed  chan struct{}
	down     bool
}

func newOffice() *office {
	return &office{
		access: map[int64]Access{}, statuses: map[int64]string{}, where: map[int64]place{},
		counts: map[string]int{"mine": 0}, changed: make(chan struct{}, 1),
	}
}

func (o *office) hire(agent int64, scope string, teams ...int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := Access{AgentID: agent, Scope: scope, Role: "agent", Name: fmt.Sprintf("Agent %d", agent), Teams: map[int64]bool{}}
	for _, t := range teams {
		a.Teams[t] = true
	}
	o.access[agent], o.statuses[agent] = a, "online"
}

func (o *office) fire(agent int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.access, agent)
}

func (o *office) Access(_ context.Context, agent int64) (Access, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return Access{}, errors.New("the database is away")
	}
	a, ok := o.access[agent]
	if !ok {
		return Access{}, errs.New(errs.NotFound, "no such agent")
	}
	return a, nil
}

func (o *office) Where(_ context.Context, conversation int64) (team, assignee int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, ok := o.where[conversation]
	if !ok {
		return 0, 0, errs.New(errs.NotFound, "no such conversation")
	}
	return at.team, at.assignee, nil
}

func (o *office) Statuses(context.Context) (map[int64]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.statuses), nil
}

func (o *office) Counts(Access) any {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.counts)
}

func (o *office) Changed() <-chan struct{} { return o.changed }

func (o *office) count(mine int) {
	o.mu.Lock()
	o.counts["mine"] = mine
	o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// room is a hub with everything around it.
type room struct {
	*office
	t      testing.TB
	pool   *pgxpool.Pool
	bus    bus.Bus
	hub    *Hub
	url    string
	stop   func()
	narrow bool // small buffers: tests that set WriteTimeout want clients to block
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newBus(t testing.TB) bus.Bus {
	t.Helper()
	b, err := bus.Embedded(quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func open(t testing.TB, cfg Config) *room {
	t.Helper()
	return openOn(t, cfg, newOffice(), dbtest.Server(t), newBus(t))
}

// openOn starts one node.
func openOn(t testing.TB, cfg Config, o *office, pool *pgxpool.Pool, b bus.Bus) *room {
	t.Helper()
	r := &room{office: o, t: t, pool: pool, bus: b, narrow: cfg.WriteTimeout != 0}
	tailer := events.NewTailer(pool, b, quiet())
	r.hub = New(cfg, tailer, b, o, o, quiet())
	r.serve(tailer.Run)
	return r
}

// serve runs the hub and a web server until the test ends.
func (r *room) serve(also ...func(context.Context) error) {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, fn := range append(also, r.hub.Run) {
		wg.Go(func() {
			if err := fn(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		agent, _ := strconv.ParseInt(q.Header.Get("X-Agent"), 10, 64)
		session, _ := strconv.ParseInt(q.Header.Get("X-Session"), 10, 64)
		// Behind a wrapper, as middleware does it.
		r.hub.Serve(wrapped{w}, q, Viewer{agent, session})
	}))
	if r.narrow {
		srv.Listener = narrow{srv.Listener}
	}
	srv.Start()
	r.url = srv.URL
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			srv.Close()
		})
	}
	t.Cleanup(r.stop)
}

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// narrow gives connections small buffers, so that a client who does not read is felt soon.
type narrow struct{ net.Listener }

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(16 << 10)
	}
	return c, err
}

func (r *room) write(evs ...events.Event) {
	r.t.Helper()
	err := postgres.InTx(context.Background(), r.pool, func(tx pgx.Tx) error { return events.Append(context.Background(), tx, evs...) })
	if err != nil {
		r.t.Fatal(err)
	}
	events.Wake(r.bus)
}

// frame is any frame of the server.
type frame struct {
	Type           string            `json:"type"`
	Cursor         string            `json:"cursor"`
	Kind           string            `json:"kind"`
	At             time.Time         `json:"at"`
	Actor          map[string]any    `json:"actor"`
	ConversationID string            `json:"conversation_id"`
	Data           json.RawMessage   `json:"data"`
	Counts         map[string]int    `json:"counts"`
	Presence       map[string]string `json:"presence"`
	Who            map[string]string `json:"who"`
	On             bool              `json:"on"`
	Agents         json.RawMessage   `json:"agents"`
	Mine           int               `json:"mine"`
	Code           string            `json:"code"`
	Message        string            `json:"message"`
	Ref            string            `json:"ref"`
}

// client is a browser.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

func (r *room) header(agent, session int64) http.Header {
	return http.Header{"X-Agent": {fmt.Sprint(agent)}, "X-Session": {fmt.Sprint(session)}, "Origin": {r.url}}
}

func (r *room) try(agent, session int64) (*client, error) {
	ws, answer, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(r.url, "http"), r.header(agent, session))
	if err != nil {
		return nil, err
	}
	_ = answer.Body.Close()
	c := &client{r.t, ws}
	r.t.Cleanup(func() { _ = ws.Close() })
	return c, nil
}

func (r *room) dial(agent int64) *client {
	r.t.Helper()
	c, err := r.try(agent, 100+agent)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// join dials and says hello.
func (r *room) join(agent int64) (*client, frame) {
	r.t.Helper()
	c := r.dial(agent)
	return c, c.hello("")
}

func (c *client) send(v any) {
	c.t.Helper()
	if err := c.ws.WriteJSON(v); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hello(since string) frame {
	c.t.Helper()
	c.send(map[string]string{"type": "hello", "since": since})
	return c.next()
}

// read returns the next frame.
func (c *client) read() (frame, error) {
	_ = c.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	var f frame
	kind, b, err := c.ws.ReadMessage()
	if err != nil {
		return f, err
	}
	if kind != websocket.TextMessage {
		return f, fmt.Errorf("frame of kind %d", kind)
	}
	return f, json.Unmarshal(b, &f)
}

// next returns the next frame that is no news of counts and presence.
func (c *client) next() frame {
	c.t.Helper()
	for {
		f, err := c.read()
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		if f.Type != "counts" && f.Type != "presence" {
			return f
		}
	}
}

// await returns the next frame of a type.
func (c *client) await(kind string) frame {
	c.t.Helper()
	for {
		f, err := c.read()
		if err != nil {
			c.t.Fatalf("wait for %s: %v", kind, err)
		}
		if f.Type == kind {
			return f
		}
	}
}

// until returns all frames before the marker event.
func (c *client) until(marker string) []frame {
	c.t.Helper()
	var out []frame
	for {
		f := c.next()
		if f.Type == "event" && f.Kind == "setting.updated" && strings.Contains(string(f.Data), marker) {
			return out
		}
		out = append(out, f)
	}
}

// closed returns the code with which the server closes the socket.
func (c *client) closed() int {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			var ce *websocket.CloseError
			if errors.As(err, &ce) && ce.Code != websocket.CloseAbnormalClosure {
				return ce.Code
			}
			return -1 // without a word
		}
	}
}

// Events as the rooms write them.

func marker(name string) events.Event {
	return events.Event{Kind: "setting.updated", Actor: events.System, SubjectKind: "setting", SubjectID: name, Payload: map[string]string{"key": name}}
}

func message(conversation int64, at place) events.Event {
	return events.Event{
		Kind: "message.created", Actor: events.Actor{Kind: "contact", ID: 1}, SubjectKind: "message", SubjectID: "m",
		ConversationID: conversation, TeamID: at.team, AssigneeID: at.assignee, TeamBefore: at.team, AssigneeBefore: at.assignee,
		Payload: map[string]string{"conversation_id": fmt.Sprint(conversation)},
	}
}

func moved(conversation int64, from, to place) events.Event {
	return events.Event{
		Kind: "conversation.updated", Actor: events.Actor{Kind: "agent", ID: 1}, SubjectKind: "conversation", SubjectID: fmt.Sprint(conversation),
		ConversationID: conversation, TeamID: to.team, AssigneeID: to.assignee, TeamBefore: from.team, AssigneeBefore: from.assignee,
		Payload: map[string]string{"id": fmt.Sprint(conversation)},
	}
}

func agentRow(a Access, status string, disabled bool) events.Event {
	teams := []string{}
	for t := range a.Teams {
		teams = append(teams, fmt.Sprint(t))
	}
	return events.Event{Kind: "agent.updated", Actor: events.System, SubjectKind: "agent", SubjectID: fmt.Sprint(a.AgentID), Payload: map[string]any{
		"id": fmt.Sprint(a.AgentID), "role": a.Role, "scope": a.Scope, "team_ids": teams, "status": status, "disabled": disabled,
	}}
}
