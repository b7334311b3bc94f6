package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/bench/limit"
	"github.com/parley-hub/parley/e2e/rig"
)

const (
	perAgent  = 60 // sockets; the hub allows 64
	mostPeers = 1000
)

// crowd is many sockets, and what came to them.
type crowd struct {
	sockets []*socket
	created atomic.Int64 // message.created frames of messages that were posted
	events  atomic.Int64 // all event frames

	mu   sync.Mutex
	came map[int64]*arrival
}

// arrival is how often, and when last, a message came to the crowd.
type arrival struct {
	n    int
	last time.Time
	each []time.Time
}

// messageCreated is the kind in the head of a frame; its payload is not looked at for it.
var (
	messageCreated = []byte(`"kind":"message.created"`) //nolint:gochecknoglobals // a constant
	typeEvent      = []byte(`{"type":"event"`)          //nolint:gochecknoglobals // a constant
	marker         = []byte(`"Message `)                //nolint:gochecknoglobals // a constant
)

func (c *crowd) seen(frame []byte, came time.Time) {
	if !bytes.HasPrefix(frame, typeEvent) {
		return
	}
	c.events.Add(1)
	if !bytes.Contains(frame[:min(200, len(frame))], messageCreated) {
		return
	}
	_, rest, found := bytes.Cut(frame, marker)
	if !found || len(rest) < 9 { // a line about a new conversation, no message
		return
	}
	defer c.created.Add(1)
	var id int64
	for _, d := range rest[:9] {
		id = id*10 + int64(d-'0')
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.came[id]
	if a == nil {
		a = &arrival{}
		c.came[id] = a
	}
	a.n++
	if came.After(a.last) {
		a.last = came
	}
	a.each = append(a.each, came)
}

func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.came = map[int64]*arrival{}
	c.created.Store(0)
	c.events.Store(0)
}

// agents are the cookies of enough agents who see everything.
func (w *world) agents(ctx context.Context, h *hub, sockets int) ([]string, error) {
	cookies := []string{h.Admin.Cookie}
	for i := 1; i*perAgent < sockets; i++ {
		c, _, err := h.Invite(ctx, fmt.Sprintf("Agent %d", i), "agent", "all")
		if err != nil {
			return nil, err
		}
		cookies = append(cookies, c.Cookie)
	}
	return cookies, nil
}

// join opens sockets until the crowd has n.
func (c *crowd) join(ctx context.Context, url string, cookies []string, n int) error {
	have := len(c.sockets)
	if n <= have {
		return nil
	}
	c.sockets = append(c.sockets, make([]*socket, n-have)...)
	_, err := drive(ctx, 32, n-have, func(ctx context.Context, i int) (err error) {
		i += have
		c.sockets[i], err = open(ctx, url, cookies[i/perAgent%len(cookies)], c.seen)
		return err
	})
	return err
}

// leave closes all but n sockets and tells which had ended by themselves.
func (c *crowd) leave(n int) error {
	var errs []error
	for _, s := range c.sockets[n:] {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	c.sockets = c.sockets[:n]
	return errors.Join(errs...)
}

// stayAlive lets the sockets ping until the returned function is called.
func (c *crowd) stayAlive(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for rig.Pause(ctx, 8*time.Second) {
			for _, s := range c.sockets {
				s.ping()
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// arrived waits until so many message.created came in all.
func (c *crowd) arrived(ctx context.Context, n int64) error {
	return rig.Until(ctx, fmt.Sprintf("%d deliveries", n), rig.Patience, func() (bool, error) { return c.created.Load() >= n, nil })
}

// delays are the times from commit to last arrival of each message of the crowd, and to every single one, sorted.
func (c *crowd) delays(ctx context.Context, h *hub) (last, every []time.Duration, err error) {
	commits, err := h.commits(ctx)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, a := range c.came {
		at, ok := commits[id]
		if !ok {
			return nil, nil, fmt.Errorf("message %d came and is not stored", id)
		}
		last = append(last, a.last.Sub(at))
		for _, came := range a.each {
			every = append(every, came.Sub(at))
		}
	}
	slices.Sort(last)
	slices.Sort(every)
	return last, every, nil
}

// commits says when each message was committed: the time that the server puts into the commit record, before it is
// flushed. Both clocks are the machine's.
func (h *hub) commits(ctx context.Context) (map[int64]time.Time, error) {
	out := map[int64]time.Time{}
	err := rig.WithConn(ctx, h.url, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT substr(payload->>'text', 9, 9)::bigint, pg_xact_commit_timestamp(xid::xid) FROM event
WHERE kind = 'message.created' AND payload->>'text' LIKE 'Message %'`)
		if err != nil {
			return err
		}
		var id int64
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&id, &at}, func() error { out[id] = at; return nil })
		return err
	})
	return out, err
}

// party lends a hub with a crowd that has nobody in it yet.
func (w *world) party(ctx context.Context, sockets int, fn func(h *hub, p *poster, c *crowd, cookies []string) error) error {
	return w.with(ctx, func(h *hub) error {
		p, err := w.hooked(ctx, h)
		if err != nil {
			return err
		}
		defer p.close()
		cookies, err := w.agents(ctx, h, sockets)
		if err != nil {
			return err
		}
		c := &crowd{came: map[int64]*arrival{}}
		err = fn(h, p, c, cookies)
		return errors.Join(err, c.leave(0))
	})
}

// floorParty lends the floor program with n sockets.
func (w *world) floorParty(ctx context.Context, n int, fn func(b *limit.Broadcast, c *crowd) error) error {
	b := &limit.Broadcast{}
	server := httptest.NewServer(b)
	defer server.Close()
	c := &crowd{came: map[int64]*arrival{}}
	err := c.join(ctx, server.URL, []string{""}, n)
	if err == nil {
		err = fn(b, c)
	}
	return errors.Join(err, c.leave(0))
}

// floorEvent is an event as long as one of the hub's.
func floorEvent(id int64) []byte {
	return fmt.Appendf(nil, `{"type":"event","cursor":"1.1.%d","kind":"message.created","data":{"text":"Message %09d: %s"}}`, id, id, bytes.Repeat([]byte("x"), 800))
}
