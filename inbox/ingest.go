package inbox

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

// IngestConfig tunes the way in; zero values mean the defaults.
type IngestConfig struct {
	Writers  int           // writing goroutines, sharded by sender; default 2
	MaxBatch int           // events that one transaction takes at most; default 200
	Queue    int           // events that may wait in memory per writer before callers wait; default 2048
	Timeout  time.Duration // of one transaction; default 20 s
}

// Ingester is the one way in: it turns what channels deliver into contacts, leads, conversations and messages, in one
// short transaction for whatever has queued, and tells each caller only after the commit.
type Ingester struct {
	pool   *pgxpool.Pool
	people *crm.Service
	bus    bus.Bus
	now    clock.Now
	log    *slog.Logger
	cfg    IngestConfig
	shards []chan *job
	own    atomic.Pointer[pgxpool.Pool] // the writers' connections while Run runs, else pool

	// Stored counts committed messages, Doubled deliveries that had been stored before, Poisoned events set aside.
	Stored, Doubled, Poisoned atomic.Int64

	lastEvent sync.Map // channel id -> time of the last committed event, flushed by Run
}

// job is one call of Ingest: its events commit together and in order.
type job struct {
	channel int64
	epoch   int64 // of the channel's lease; 0 = none is held (webhooks)
	batch   channels.Batch
	done    chan error
}

// NewIngester makes the way in; Run must be running for Ingest to be answered.
func NewIngester(pool *pgxpool.Pool, people *crm.Service, b bus.Bus, now clock.Now, log *slog.Logger, cfg IngestConfig) *Ingester {
	cfg.Writers = orDefault(cfg.Writers, 2)
	cfg.MaxBatch = orDefault(cfg.MaxBatch, 200)
	cfg.Queue = orDefault(cfg.Queue, 2048)
	if cfg.Timeout == 0 {
		cfg.Timeout = 20 * time.Second
	}
	g := &Ingester{pool: pool, people: people, bus: b, now: now, log: log, cfg: cfg}
	g.own.Store(pool)
	for range cfg.Writers {
		g.shards = append(g.shards, make(chan *job, cfg.Queue))
	}
	return g
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

// ErrStopping means that the hub is going down; nothing was stored.
var ErrStopping = errs.Temporary(errors.New("the hub is stopping"))

// Ingest stores a batch of a channel; nil means committed. epoch is that of the channel's lease, checked in the same
// transaction; 0 where none is needed (webhooks). A temporary error means: not stored, deliver again.
func (g *Ingester) Ingest(ctx context.Context, channelID, epoch int64, b channels.Batch) error {
	if len(b.Events) == 0 && b.Cursor == nil {
		return nil
	}
	j := &job{channel: channelID, epoch: epoch, batch: b, done: make(chan error, 1)}
	select {
	case g.shards[g.shard(channelID, b)] <- j:
	case <-ctx.Done():
		return errs.Temporary(ctx.Err())
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done(): // it may still commit; the channel delivers again and finds it stored
		return errs.Temporary(ctx.Err())
	}
}

// shard keeps one sender's events on one writer, so that writers rarely meet on a row. A batch of several senders is
// in order as a whole, so it goes by its channel.
func (g *Ingester) shard(channelID int64, b channels.Batch) int {
	h := fnv.New32a()
	if len(b.Events) == 1 && b.Cursor == nil {
		in := b.Events[0]
		if in.Group == nil && len(in.Sender.Identities) > 0 {
			fmt.Fprint(h, in.Sender.Identities[0].Kind, in.Sender.Identities[0].Value)
		} else {
			fmt.Fprint(h, channelID, in.Chat)
		}
	} else {
		fmt.Fprint(h, channelID)
	}
	return int(h.Sum32() % uint32(len(g.shards)))
}

// Run is the writers: one goroutine per shard, and one that keeps the channels' last event times. It returns when ctx
// ends, after the work in hand; jobs still queued are answered with ErrStopping.
func (g *Ingester) Run(ctx context.Context) error {
	own, err := g.ownPool(ctx)
	if err != nil {
		return err
	}
	defer own.Close()
	g.own.Store(own)
	defer g.own.Store(g.pool)
	var wg sync.WaitGroup
	for _, ch := range g.shards {
		wg.Go(func() { g.write(ctx, ch) })
	}
	wg.Go(func() { g.keepLastEvents(ctx) })
	wg.Wait()
	return nil
}

// ownPool gives the writers connections on which every statement goes by its index. They prepare their statements once,
// on a new installation while the tables are empty: the planner would settle for reading whole tables, and keep to it
// until the first ANALYZE, some ten thousand messages later.
func (g *Ingester) ownPool(ctx context.Context) (*pgxpool.Pool, error) {
	cfg := g.pool.Config().Copy()
	cfg.MinConns, cfg.MinIdleConns = 0, 0
	cfg.MaxConns = int32(g.cfg.Writers) + 1 //nolint:gosec // a handful
	for _, off := range []string{"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "jit"} {
		cfg.ConnConfig.RuntimeParams[off] = "off"
	}
	own, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connections of the way in: %w", err)
	}
	return own, nil
}

// write takes whatever has queued and never waits to fill a batch.
func (g *Ingester) write(ctx context.Context, ch chan *job) {
	for {
		select {
		case <-ctx.Done():
			for {
				select {
				case j := <-ch:
					j.done <- ErrStopping
				default:
					return
				}
			}
		case j := <-ch:
			jobs, n := []*job{j}, len(j.batch.Events)
		fill:
			for n < g.cfg.MaxBatch {
				select {
				case j := <-ch:
					jobs, n = append(jobs, j), n+len(j.batch.Events)
				default:
					break fill
				}
			}
			g.store(ctx, jobs)
		}
	}
}

// store commits the jobs together; when that fails for a reason that lies in the data or in one channel, one by one, so
// that poison hurts only itself.
func (g *Ingester) store(ctx context.Context, jobs []*job) {
	err := g.commit(ctx, jobs)
	if err == nil || len(jobs) > 1 && temporary(err) && !ofOneJob(err) {
		for _, j := range jobs {
			j.done <- err
		}
		return
	}
	for _, j := range jobs {
		if len(jobs) > 1 {
			err = g.commit(ctx, []*job{j})
		}
		if err != nil && !temporary(err) {
			err = g.storeApart(ctx, j, err)
		}
		j.done <- err
	}
}

// storeApart commits the events of a job that failed one at a time, in order, sets aside those that can never be
// stored, and moves the cursor last.
func (g *Ingester) storeApart(ctx context.Context, j *job, cause error) error {
	for _, in := range j.batch.Events {
		one := &job{channel: j.channel, epoch: j.epoch, batch: channels.Batch{Events: []channels.Inbound{in}}}
		err := cause
		if len(j.batch.Events) > 1 {
			err = g.commit(ctx, []*job{one})
		}
		if err == nil {
			continue
		}
		if temporary(err) {
			return err
		}
		if err := g.quarantine(ctx, j, in, err); err != nil {
			return err
		}
	}
	if j.batch.Cursor == nil {
		return nil
	}
	return g.commit(ctx, []*job{{channel: j.channel, epoch: j.epoch, batch: channels.Batch{Cursor: j.batch.Cursor}}})
}

// commitAttempts: whoever met a rival finds what he did on the next try; more than a few are no coincidence.
const commitAttempts = 4

// commit runs one transaction for the jobs and wakes whoever waits for its events.
func (g *Ingester) commit(ctx context.Context, jobs []*job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Timeout)
	defer cancel()
	var r *ingestRun
	var err error
	for range commitAttempts {
		err = g.recovered(func() error {
			return postgres.InTx(ctx, g.own.Load(), func(tx pgx.Tx) error {
				r = newIngestRun(g, jobs)
				return r.run(ctx, tx)
			})
		})
		if err == nil || !raced(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("ingest %d events: %w", countEvents(jobs), err)
	}
	g.Stored.Add(int64(r.stored))
	g.Doubled.Add(int64(r.doubled))
	for _, j := range jobs {
		if len(j.batch.Events) > 0 {
			g.lastEvent.Store(j.channel, g.now())
		}
	}
	events.Wake(g.bus)
	for ch := range r.media {
		wakeMedia(g.bus, ch)
	}
	return nil
}

// recovered turns a panic over strange input into an error, so that the writer lives on and the event is set aside.
func (g *Ingester) recovered(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic: %v", errPoison, p)
			g.log.Error("ingest panicked", "panic", fmt.Sprint(p))
		}
	}()
	return fn()
}

func countEvents(jobs []*job) int {
	n := 0
	for _, j := range jobs {
		n += len(j.batch.Events)
	}
	return n
}
