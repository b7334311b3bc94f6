package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/parley-hub/parley/bench/limit"
)

// liveFanOut is the time from the commit of a message to its arrival at the last of K sockets.
func liveFanOut(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(100, 20)
	insert, err := w.insertLatency(ctx, n)
	if err != nil {
		return nil, err
	}
	err = w.party(ctx, mostPeers, func(h *hub, p *poster, c *crowd, cookies []string) error {
		for _, k := range []struct {
			sockets int
			target  float64
		}{{10, 1.5}, {100, 3}, {mostPeers, 15}} {
			floor, err := w.floorFanOut(ctx, k.sockets, n)
			if err != nil {
				return err
			}
			if err := c.join(ctx, h.Hub.URL, cookies, k.sockets); err != nil {
				return err
			}
			last, _, err := w.oneByOne(ctx, h, p, c, k.sockets, n)
			if err != nil {
				return err
			}
			rows = append(rows, atMost(fmt.Sprintf("commit to last of %d sockets, p50", k.sockets), quantile(last, 0.5), insert+floor, "ms", k.target, 0))
		}
		return nil
	})
	return rows, err
}

// oneByOne posts messages one after the other, each when the last one has come to all.
func (w *world) oneByOne(ctx context.Context, h *hub, p *poster, c *crowd, sockets, n int) (last, every []time.Duration, err error) {
	defer c.stayAlive(ctx)()
	c.forget()
	for i := range n {
		if err := p.post(ctx, p.update(200_000+int64(i%20))); err != nil {
			return nil, nil, err
		}
		if err := c.arrived(ctx, int64((i+1)*sockets)); err != nil {
			return nil, nil, err
		}
	}
	return c.delays(ctx, h)
}

func (w *world) insertLatency(ctx context.Context, n int) (float64, error) {
	pool, err := w.migrated(ctx)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	in, err := limit.NewInsert(ctx, pool)
	if err != nil {
		return 0, err
	}
	l, err := drive(ctx, 1, n, func(ctx context.Context, _ int) error { return in.Add(ctx, "hello") })
	return l.ms(0.5), err
}

func (w *world) floorFanOut(ctx context.Context, sockets, n int) (ms float64, err error) {
	err = w.floorParty(ctx, sockets, func(b *limit.Broadcast, c *crowd) error {
		var took []time.Duration
		for i := range n {
			c.forget()
			from := time.Now()
			b.Send(floorEvent(int64(i)))
			if err := c.arrived(ctx, int64(sockets)); err != nil {
				return err
			}
			c.mu.Lock()
			took = append(took, c.came[int64(i)].last.Sub(from))
			c.mu.Unlock()
		}
		slices.Sort(took)
		ms = quantile(took, 0.5)
		return nil
	})
	return ms, err
}

const burst = 200

// liveBurst is 200 messages at once to 1,000 sockets: none may be lost or come twice, though a socket that fell behind
// was sent away and came back with its cursor.
func liveBurst(ctx context.Context, w *world) (rows []row, err error) {
	var floor float64
	if err := w.floorParty(ctx, mostPeers, func(b *limit.Broadcast, c *crowd) error {
		from := time.Now()
		for i := range burst {
			b.Send(floorEvent(int64(i)))
		}
		err := c.arrived(ctx, burst*mostPeers)
		floor = float64(c.events.Load()) / c.lastOf().Sub(from).Seconds()
		return err
	}); err != nil {
		return nil, err
	}
	err = w.party(ctx, mostPeers, func(h *hub, p *poster, c *crowd, cookies []string) error {
		post := func() error {
			_, err := drive(ctx, callers, burst, func(ctx context.Context, i int) error { return p.post(ctx, p.update(300_000+int64(i))) })
			return err
		}
		if err := post(); err != nil { // they are known from then on
			return err
		}
		if err := c.join(ctx, h.Hub.URL, cookies, mostPeers); err != nil {
			return err
		}
		defer c.stayAlive(ctx)()
		c.forget()
		from := time.Now()
		if err := post(); err != nil {
			return err
		}
		posted := time.Since(from)
		if err := c.arrived(ctx, burst*mostPeers); err != nil {
			rows = append(rows, exact("message events delivered", int(c.created.Load()), burst*mostPeers))
			return err
		}
		commits, err := h.commits(ctx)
		if err != nil {
			return err
		}
		whole := c.lastOf().Sub(c.firstOf(commits)).Seconds()
		rows = append(rows,
			atLeast("200 messages to 1,000 sockets, all events", float64(c.events.Load())/whole, floor, "/s", 500_000, 0.7),
			exact("message events delivered", int(c.created.Load()), burst*mostPeers),
			atMost("of it, the time in which the hub took the messages", posted.Seconds(), 0, "s", 0, 0),
			exact("messages that came to each socket once", c.complete(mostPeers), burst),
			atMost("sockets sent away as too slow", float64(c.sentAway()), 0, "times", 0, 0),
		)
		return nil
	})
	return rows, err
}

// firstOf is the first commit of what came.
func (c *crowd) firstOf(commits map[int64]time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := time.Now()
	for id := range c.came {
		if at, ok := commits[id]; ok && at.Before(first) {
			first = at
		}
	}
	return first
}

func (c *crowd) lastOf() (last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.came {
		if a.last.After(last) {
			last = a.last
		}
	}
	return last
}

// complete counts the messages that came n times.
func (c *crowd) complete(n int) (count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.came {
		if a.n == n {
			count++
		}
	}
	return count
}

func (c *crowd) sentAway() (n int) {
	for _, s := range c.sockets {
		s.mu.Lock()
		n += s.back
		s.mu.Unlock()
	}
	return n
}

// liveMemory is by how much the program grows for each idle socket.
func liveMemory(ctx context.Context, w *world) (rows []row, err error) {
	const warm = 100
	err = w.party(ctx, warm+mostPeers, func(h *hub, _ *poster, c *crowd, cookies []string) error {
		// Making agents hashes passwords, which takes memory that comes back late.
		if err := h.Hub.Restart(ctx); err != nil {
			return err
		}
		if err := c.join(ctx, h.Hub.URL, cookies, warm); err != nil {
			return err
		}
		defer c.stayAlive(ctx)()
		before, err := rss(h.Hub.PID())
		if err != nil {
			return err
		}
		if err := c.join(ctx, h.Hub.URL, cookies, warm+mostPeers); err != nil {
			return err
		}
		after, err := rss(h.Hub.PID())
		rows = []row{
			atMost("memory for each of 1,000 more idle sockets", float64(after-before)/mostPeers, 0, "kB", 12, 0),
			atMost("memory of the hub with them", float64(after)/1024, 0, "MB", 0, 0),
		}
		return err
	})
	return rows, err
}

// liveSlow is what one socket that does not read costs the others.
func liveSlow(ctx context.Context, w *world) (rows []row, err error) {
	const sockets, fill = 100, 1500
	n := w.times(300, 60)
	err = w.party(ctx, sockets+1, func(h *hub, p *poster, c *crowd, cookies []string) error {
		if err := c.join(ctx, h.Hub.URL, cookies, sockets); err != nil {
			return err
		}
		_, alone, err := w.oneByOne(ctx, h, p, c, sockets, n)
		if err != nil {
			return err
		}
		stalled := &socket{url: h.Hub.URL, cookie: cookies[len(cookies)-1]}
		if _, err := stalled.connect(ctx); err != nil { // nobody reads what follows
			return err
		}
		defer stalled.conn.Close()
		// What the kernel buffers for it has to be full before it stands still.
		c.forget()
		if _, err := w.mixedLoad(ctx, p, callers, fill); err != nil {
			return err
		}
		if err := c.arrived(ctx, fill*sockets); err != nil {
			return err
		}
		_, beside, err := w.oneByOne(ctx, h, p, c, sockets, n)
		rows = []row{atMost("p99 of 100 sockets beside one that does not read, and without it", quantile(beside, 0.99), quantile(alone, 0.99), "ms", 0, 1.1)}
		return err
	})
	return rows, err
}
