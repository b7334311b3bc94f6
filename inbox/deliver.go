package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/bus"
)

// Deliverer empties the outbox of the channels that this node holds.
//
// A row is marked sending, with the epoch of the channel's lease, in a committed transaction before the network is
// touched. What a dead owner left as sending is sent again only where the channel de-duplicates; elsewhere it becomes
// uncertain and an agent decides: nothing is sent twice by the hub's own doing, and nothing is silently gone.
//
// Each conversation is a lane: its messages leave one after the other. A lane waits for what is being sent and for a
// back-off; failed, uncertain and later ones hold nothing back.
type Deliverer struct {
	pool  *pgxpool.Pool
	bus   bus.Bus
	blobs blob.Store
	log   *slog.Logger

	mu   sync.Mutex
	busy map[int64]*laneSet // of each channel; it outlives a Drain whose sends are still in the air

	// Sent, Failed, Uncertain and Retried count outcomes, for /metrics.
	Sent, Failed, Uncertain, Retried atomic.Int64
}

// NewDeliverer makes the way out; Drain works it for one channel.
func NewDeliverer(pool *pgxpool.Pool, b bus.Bus, blobs blob.Store, log *slog.Logger) *Deliverer {
	return &Deliverer{pool: pool, bus: b, blobs: blobs, log: log.With("component", "deliver"), busy: map[int64]*laneSet{}}
}

func (d *Deliverer) lanes(channelID int64) *laneSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.busy[channelID]
	if l == nil {
		l = &laneSet{held: map[int64]bool{}}
		d.busy[channelID] = l
	}
	return l
}

const (
	// lookEvery: hints on the bus may be lost.
	lookEvery = time.Second
	// sendTimeout bounds one call to a provider; a file of 50 MB over a slow line fits.
	sendTimeout  = 75 * time.Second
	defaultLanes = 8
	// giveUpAfter: what could not be delivered for a day is failed, and shown.
	giveUpAfter = 24 * time.Hour
)

// Drain sends what is queued for a channel until ctx ends; the caller holds the channel's lease at epoch. Messages in
// flight when ctx ends are finished and recorded first, for at most sendTimeout.
func (d *Deliverer) Drain(ctx context.Context, channelID, epoch int64, a channels.Adapter) {
	log := d.log.With("channel_id", channelID)
	lanes := a.Capabilities().ParallelSends
	if lanes <= 0 {
		lanes = defaultLanes
	}
	busy := d.lanes(channelID)
	for ; ; pause(ctx, lookEvery) {
		if ctx.Err() != nil {
			return
		}
		err := d.recover(ctx, channelID, epoch, busy.list(), a.Capabilities().Deduplicates)
		if err == nil {
			break
		}
		log.WarnContext(ctx, "recover outbox", "err", err)
	}
	hint := make(chan struct{}, 1)
	poke := func() {
		select {
		case hint <- struct{}{}:
		default:
		}
	}
	stop, err := d.bus.Subscribe(subjectOutbox+fmt.Sprint(channelID), func(string, []byte) { poke() })
	if err == nil {
		defer stop()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	lost := false // a claim failed, and may have been committed all the same
	for {
		select {
		case <-ctx.Done():
			return
		case <-hint:
		case <-timer.C:
		}
		next := lookEvery
		for free := lanes - busy.len(); free > 0; free = lanes - busy.len() {
			if lost {
				if err := d.release(ctx, channelID, epoch, busy.list()); err != nil {
					log.WarnContext(ctx, "release lost claims", "err", err)
					break
				}
				lost = false
			}
			rows, soon, err := d.claim(ctx, channelID, epoch, a, busy.list(), free)
			if err != nil {
				lost = true
				if ctx.Err() == nil {
					log.WarnContext(ctx, "claim outbox", "err", err)
				}
				break
			}
			next = min(next, soon)
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				busy.add(r.conversation)
				wg.Go(func() {
					defer poke()
					defer busy.remove(r.conversation)
					d.deliver(ctx, a, r)
				})
			}
		}
		timer.Reset(next)
	}
}

const (
	requeueOutboxSQL = `UPDATE outbox SET state = 'queued', not_before = now()
WHERE channel_id = $1 AND state = 'sending' AND lease_epoch <= $2 AND conversation_id <> ALL ($3::bigint[]) AND (op <> 'send' OR $4)`
	leftOutboxSQL = `SELECT client_id, message_at, message_id, conversation_id FROM outbox
WHERE channel_id = $1 AND state = 'sending' AND lease_epoch <= $2 AND conversation_id <> ALL ($3::bigint[])`
	releaseOutboxSQL = `UPDATE outbox SET state = 'queued', attempts = attempts - 1
WHERE channel_id = $1 AND state = 'sending' AND lease_epoch = $2 AND conversation_id <> ALL ($3::bigint[])`
)

// recover judges what an earlier owner of the channel left in the middle, or an earlier Drain of this one; busy are the
// conversations whose sends are still in the air here.
func (d *Deliverer) recover(ctx context.Context, channelID, epoch int64, busy []int64, deduplicates bool) error {
	// edits, deletions and reactions may be repeated: they only say the same again
	if _, err := d.pool.Exec(ctx, requeueOutboxSQL, channelID, epoch, busy, deduplicates); err != nil || deduplicates {
		return err
	}
	rows, err := d.pool.Query(ctx, leftOutboxSQL, channelID, epoch, busy)
	if err != nil {
		return err
	}
	type left struct {
		Client       uuid.UUID
		At           time.Time
		ID           uuid.UUID
		Conversation int64
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[left])
	if err != nil {
		return err
	}
	for _, l := range list {
		r := outRow{client: l.Client, key: MessageKey{l.At, l.ID}, conversation: l.Conversation, channel: channelID, op: channels.OpSend}
		if err := d.settle(ctx, r, outcome{state: "uncertain", reason: reasonInterrupted}); err != nil {
			return err
		}
	}
	return nil
}

// release gives back what a claim took whose commit stands although its answer was lost: nobody has been told of these
// rows, so none was sent. What is in the air is in a busy lane, and stays.
func (d *Deliverer) release(ctx context.Context, channelID, epoch int64, busy []int64) error {
	_, err := d.pool.Exec(ctx, releaseOutboxSQL, channelID, epoch, busy)
	return err
}

const reasonInterrupted = "The hub was interrupted while sending. It may have arrived: ask the customer or look at the chat."

// deliver sends one row and records what became of it; the record is tried until it is committed, for the customer may
// have the message already. Only a Drain that ends gives up, after a minute or so: the next one will call it uncertain.
func (d *Deliverer) deliver(ctx context.Context, a channels.Adapter, r outRow) {
	out := d.send(ctx, a, r)
	for try := 0; ; try++ {
		tctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := d.settle(tctx, r, out)
		cancel()
		if err == nil {
			break
		}
		d.log.ErrorContext(ctx, "record delivery", "channel_id", r.channel, "message_id", r.key.ID, "err", err)
		if try >= 30 && ctx.Err() != nil {
			return
		}
		time.Sleep(time.Duration(min(try+1, 20)) * 100 * time.Millisecond)
	}
	switch out.state {
	case "sent":
		d.Sent.Add(1)
	case "failed":
		d.Failed.Add(1)
	case "uncertain":
		d.Uncertain.Add(1)
	default:
		d.Retried.Add(1)
	}
}

// backoff is 1, 2, 4 ... 300 seconds with a fifth of jitter.
func backoff(attempt int) time.Duration {
	s := 300.0
	if attempt < 9 {
		s = min(s, float64(int(1)<<max(0, attempt-1)))
	}
	return time.Duration(s * (0.9 + 0.2*rand.Float64()) * float64(time.Second))
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// laneSet is which conversations have a message in the air.
type laneSet struct {
	mu   sync.Mutex
	held map[int64]bool
}

func (l *laneSet) add(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[id] = true
}

func (l *laneSet) remove(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, id)
}

func (l *laneSet) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

func (l *laneSet) list() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]int64, 0, len(l.held))
	for id := range l.held {
		out = append(out, id)
	}
	return out
}
