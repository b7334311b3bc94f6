package main

import (
	"context"
	"math"
	"net/http/httptest"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/bench/limit"
)

const (
	callers = 64
	known   = 2000 // people who have written before
)

// ingestFloor is the floor program over HTTP and by itself.
type ingestFloor struct {
	*limit.Group
	pool *pgxpool.Pool
	http *poster
	end  func()
}

func (w *world) ingestFloor(ctx context.Context) (*ingestFloor, error) {
	pool, err := w.migrated(ctx)
	if err != nil {
		return nil, err
	}
	// Tables without statistics would be read whole.
	cfg := pool.Config().Copy()
	pool.Close()
	cfg.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	if pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, err
	}
	in, err := limit.NewGroup(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	server := httptest.NewServer(in)
	f := &ingestFloor{Group: in, pool: pool, http: w.poster(server.URL)}
	f.end = func() { f.http.close(); server.Close(); in.Close(); pool.Close() }
	return f, nil
}

// writer says who sends the i-th message: nine of ten are known, every tenth is new.
func (w *world) writer(i int) int64 {
	if i%10 == 9 {
		return 10_000_000 + w.update.Add(1)
	}
	return 100_000 + int64(i%known)
}

// mixedLoad posts messages of known and new people.
func (w *world) mixedLoad(ctx context.Context, p *poster, callers, total int) (load, error) {
	return drive(ctx, callers, total, func(ctx context.Context, i int) error { return p.post(ctx, p.update(w.writer(i))) })
}

// acquaint lets those write once who are known from then on.
func (w *world) acquaint(ctx context.Context, p *poster) error {
	_, err := drive(ctx, callers, known, func(ctx context.Context, i int) error { return p.post(ctx, p.update(100_000+int64(i))) })
	return err
}

// prepared lends a hub and the floor, whose known people have written.
func (w *world) prepared(ctx context.Context, fn func(h *hub, p *poster, f *ingestFloor) error) error {
	f, err := w.ingestFloor(ctx)
	if err != nil {
		return err
	}
	defer f.end()
	if err := w.acquaint(ctx, f.http); err != nil {
		return err
	}
	return w.with(ctx, func(h *hub) error {
		p, err := w.hooked(ctx, h)
		if err != nil {
			return err
		}
		defer p.close()
		if err := w.acquaint(ctx, p); err != nil {
			return err
		}
		return fn(h, p, f)
	})
}

// turns runs limit, product, limit and repeats a round whose two limits differ by more than a quarter, twice at most.
func (w *world) turns(floor, product func() (float64, error)) (limits, products float64, err error) {
	var ls, ps []float64
	for range w.rounds() {
		var l1, p, l2 float64
		for range 3 {
			if l1, err = floor(); err != nil {
				return 0, 0, err
			}
			if p, err = product(); err != nil {
				return 0, 0, err
			}
			if l2, err = floor(); err != nil {
				return 0, 0, err
			}
			if math.Abs(l1-l2) <= max(l1, l2)/4 {
				break
			}
		}
		ls, ps = append(ls, (l1+l2)/2), append(ps, p)
	}
	return median(ls), median(ps), nil
}

// ingestHTTP is how many messages a second are taken over HTTP, each answered after its commit, and what one costs.
func ingestHTTP(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(20_000, 3000)
	err = w.prepared(ctx, func(h *hub, p *poster, f *ingestFloor) error {
		var posted int
		before, err := ask[int](ctx, h, sqlMessages)
		if err != nil {
			return err
		}
		var spent, floorSpent cost
		floor := func() (float64, error) {
			var l load
			err := floorSpent.add(ctx, h, n, func() (err error) { l, err = w.mixedLoad(ctx, f.http, callers, n); return err })
			return l.rate(), err
		}
		product := func() (float64, error) {
			var l load
			posted += n
			err := spent.add(ctx, h, n, func() (err error) { l, err = w.mixedLoad(ctx, p, callers, n); return err })
			return l.rate(), err
		}
		limits, rate, err := w.turns(floor, product)
		if err != nil {
			return err
		}
		straight, err := drive(ctx, callers, n, func(_ context.Context, i int) error {
			return f.Add(itoa(w.writer(i)), strings.Repeat("hello ", 22))
		})
		if err != nil {
			return err
		}
		after, err := ask[int](ctx, h, sqlMessages)
		if err != nil {
			return err
		}
		rows = []row{
			exact("messages answered and stored", after-before, posted),
			atLeast("64 callers, 90 % known, the floor over HTTP too", rate, limits, "msg/s", 2000, 0.6),
			atLeast("same, the floor straight on PostgreSQL", rate, straight.rate(), "msg/s", 0, 0.6),
			atMost("writing transactions per message", spent.tx(), floorSpent.tx(), "tx", 0.05, 0),
			atMost("WAL per message", spent.wal(), floorSpent.wal(), "bytes", 0, 2),
		}
		return nil
	})
	return rows, err
}

// ingestLatency is one caller alone.
func ingestLatency(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(2000, 300)
	err = w.prepared(ctx, func(_ *hub, p *poster, f *ingestFloor) error {
		var p99s []float64
		var floor99s []float64
		limits, p50, err := w.turns(func() (float64, error) {
			l, err := w.mixedLoad(ctx, f.http, 1, n)
			floor99s = append(floor99s, l.ms(0.99))
			return l.ms(0.5), err
		}, func() (float64, error) {
			l, err := w.mixedLoad(ctx, p, 1, n)
			p99s = append(p99s, l.ms(0.99))
			return l.ms(0.5), err
		})
		rows = []row{
			atMost("1 caller, p50", p50, limits, "ms", 0, 2),
			atMost("1 caller, p99", median(p99s), median(floor99s), "ms", 5, 0),
		}
		return err
	})
	return rows, err
}
