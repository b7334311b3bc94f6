package events

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/testsignal"
)

const (
	followBatch = 500
	// followIdle covers a wake-up that the tailer could not give.
	followIdle = 2 * time.Second
	// poisonTries failures of one event park it.
	poisonTries    = 5
	followRetry    = 100 * time.Millisecond
	followRetryMax = 10 * time.Second
	// A follower that skips events it does not want writes its cursor only so often: read again, they are skipped again.
	skipEvents = 5000
	skipTime   = 10 * time.Second
)

// Follower reacts to events in the database. Handle gets at most 500 of them, in order, and writes through tx, in which
// the cursor moves too; anything outside the database belongs into a job that it enqueues. Handle may run again with
// the same events after a failure, but never after its transaction was committed.
type Follower struct {
	Name   string
	Handle func(ctx context.Context, tx pgx.Tx, evs []Event) error
	// Kinds are prefixes of the wanted kinds, such as "conversation."; none means all.
	Kinds []string
	// After runs when what Handle wrote was committed: for hints, which may get lost. It must not block.
	After func()
	// FromStart makes a follower that has no cursor yet begin with the oldest event instead of the next one.
	FromStart bool
	// Pace is the least time between two transactions, unless there is enough for a full one: who need not be quick
	// gathers, and costs the machine a commit now and then instead of one with every event. 0 = at once.
	Pace time.Duration
}

func (f *Follower) wants(e *Event) bool {
	if len(f.Kinds) == 0 {
		return true
	}
	for _, k := range f.Kinds {
		if strings.HasPrefix(e.Kind, k) {
			return true
		}
	}
	return false
}

// Leases gives a name to one node at a time; *postgres.Leases does.
type Leases interface {
	Hold(ctx context.Context, name string, run func(ctx context.Context, epoch int64) error) error
}

// Followers runs followers, each on the one node that holds its lease.
type Followers struct {
	pool   *pgxpool.Pool
	tailer *Tailer
	leases Leases
	log    *slog.Logger
	loops  []*loop
	retry  time.Duration // the first wait after a failure
}

// NewFollowers makes the runner; it subscribes to tailer, so it must be called before the tailer runs.
func NewFollowers(pool *pgxpool.Pool, tailer *Tailer, leases Leases, log *slog.Logger, followers ...Follower) *Followers {
	fs := &Followers{pool: pool, tailer: tailer, leases: leases, log: log.With("component", "follower"), retry: followRetry}
	for _, f := range followers {
		fs.loops = append(fs.loops, &loop{
			Follower: f, fs: fs, log: fs.log.With("follower", f.Name),
			wake: make(chan struct{}, 1), tries: map[Cursor]int{},
		})
	}
	tailer.Subscribe(func([]Event) {
		for _, l := range fs.loops {
			select {
			case l.wake <- struct{}{}:
			default:
			}
		}
	})
	return fs
}

// Run follows until ctx ends and returns nil.
func (fs *Followers) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range fs.loops {
		wg.Go(func() {
			for ctx.Err() == nil {
				err := fs.leases.Hold(ctx, "follower:"+l.Name, func(ctx context.Context, _ int64) error { return l.run(ctx) })
				if ctx.Err() == nil {
					l.log.WarnContext(ctx, "the follower's lease ended", "error", err)
					sleep(ctx, followRetry)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// loop is one follower at work.
type loop struct {
	Follower
	fs   *Followers
	log  *slog.Logger
	wake chan struct{}

	// Owned by run.
	at      place
	saved   place // what the table says
	savedAt time.Time
	skipped int
	paced   time.Time // the last transaction
	full    bool      // it had as much as fits
	careful int       // so many events one by one, because a batch of them failed
	tries   map[Cursor]int

	handled testsignal.Signal[Cursor]
}

// place is a cursor with the time of its event, which prunes partitions.
type place struct {
	cursor Cursor
	at     time.Time
}

func (l *loop) run(ctx context.Context) error {
	select {
	case <-l.fs.tailer.Started():
	case <-ctx.Done():
		return ctx.Err()
	}
	retry := l.fs.retry
	known := false
	timer := time.NewTimer(followIdle)
	defer timer.Stop()
	for ctx.Err() == nil {
		more, err := false, error(nil)
		if !known {
			err = l.begin(ctx)
			known = err == nil
		}
		if err == nil {
			l.gather(ctx)
			more, err = l.step(ctx)
		}
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			l.log.WarnContext(ctx, "the follower failed and tries again", "cursor", l.at.cursor.String(), "retry_in", retry.String(), "error", err)
			sleep(ctx, retry)
			retry = min(2*retry, followRetryMax)
			continue
		}
		retry = l.fs.retry
		if more {
			continue
		}
		timer.Reset(followIdle)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
	}
	if l.at != l.saved {
		// Another node need not read again what we skipped.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = l.skipTo(ctx)
	}
	return ctx.Err()
}

// gather waits for company, when the last transaction was just now and not full.
func (l *loop) gather(ctx context.Context) {
	if rest := l.Pace - time.Since(l.paced); rest > 0 && !l.full {
		sleep(ctx, rest)
	}
}

// begin reads the follower's row and makes it when there is none.
func (l *loop) begin(ctx context.Context) error {
	first := place{at: time.Unix(0, 0).UTC()}
	if !l.FromStart {
		first = place{cursor: l.fs.tailer.Head(), at: time.Now().UTC()}
	}
	p, err := followerPlace(ctx, l.fs.pool, l.Name, first)
	if err != nil {
		return err
	}
	l.at, l.saved, l.savedAt, l.skipped = p, p, time.Now(), 0
	return nil
}

// step handles what lies after the cursor; more says that it should be called again at once.
func (l *loop) step(ctx context.Context) (more bool, err error) {
	if !l.fs.tailer.Head().After(l.at.cursor) {
		return false, nil
	}
	evs, err := l.fs.next(ctx, l.at, followBatch)
	if err != nil || len(evs) == 0 {
		return false, err
	}
	first := 0
	for first < len(evs) && !l.wants(&evs[first]) {
		first++
	}
	if first > 0 {
		return true, l.skip(ctx, evs[:first])
	}
	n := 1
	if l.careful == 0 {
		n = len(evs)
	}
	err = l.apply(ctx, evs[:n])
	if err == nil {
		l.careful = max(0, l.careful-n)
		delete(l.tries, evs[0].Cursor)
		return true, nil
	}
	if ctx.Err() != nil || transient(err) {
		return false, err
	}
	if n > 1 {
		// One of them is poison; one by one, it hurts only itself.
		l.careful = n
		return true, nil
	}
	l.tries[evs[0].Cursor]++
	if l.tries[evs[0].Cursor] < poisonTries {
		return false, err
	}
	if perr := l.park(ctx, &evs[0], err); perr != nil {
		return false, perr
	}
	delete(l.tries, evs[0].Cursor)
	l.careful = max(0, l.careful-1)
	return true, nil
}

// next reads from the tailer's memory, else from the table. A follower that was away longer than events are kept goes
// on with the oldest there is.
func (fs *Followers) next(ctx context.Context, p place, limit int) ([]Event, error) {
	if evs, ok := fs.tailer.fromRing(p.cursor, limit); ok {
		return evs, nil
	}
	r, err := read(ctx, fs.pool, p.cursor, p.at, limit)
	return r.events, err
}

// skip passes over events that nobody wants.
func (l *loop) skip(ctx context.Context, evs []Event) error {
	l.at = after(l.at, evs)
	l.careful = max(0, l.careful-len(evs))
	l.skipped += len(evs)
	if l.skipped < skipEvents && time.Since(l.savedAt) < skipTime {
		return nil
	}
	return l.skipTo(ctx)
}

// skipTo writes the cursor of skipped events, unless another node has gone further.
func (l *loop) skipTo(ctx context.Context) error {
	if err := moveFollower(ctx, l.fs.pool, l.Name, l.saved.cursor, l.at); err != nil {
		return err
	}
	l.saved, l.savedAt, l.skipped = l.at, time.Now(), 0
	return nil
}

// movedError says that another node has moved the cursor: what we know is old.
type movedError struct{ to place }

func (movedError) Error() string { return "another node moved the follower's cursor" }

// apply handles evs and moves the cursor in one transaction. The follower's row is locked first, so that a node which
// does not know yet that it lost the lease cannot apply the same events again.
func (l *loop) apply(ctx context.Context, evs []Event) error {
	var wanted []Event
	for i := range evs {
		if l.wants(&evs[i]) {
			wanted = append(wanted, evs[i])
		}
	}
	to := after(l.at, evs)
	var moved *movedError
	err := postgres.InTx(ctx, l.fs.pool, func(tx pgx.Tx) error {
		moved = nil
		p, err := lockFollower(ctx, tx, l.Name)
		if err != nil {
			return err
		}
		if p.cursor != l.saved.cursor {
			moved = &movedError{to: p}
			return moved
		}
		if err := l.call(ctx, tx, wanted); err != nil {
			return err
		}
		return moveFollower(ctx, tx, l.Name, p.cursor, to)
	})
	if moved != nil && err != nil {
		l.log.InfoContext(ctx, "another node follows too; going on from its cursor", "cursor", moved.to.cursor.String())
		l.at, l.saved, l.skipped = moved.to, moved.to, 0
		return nil
	}
	if err != nil {
		return err
	}
	l.at, l.saved, l.savedAt, l.skipped = to, to, time.Now(), 0
	l.paced, l.full = l.savedAt, len(evs) == followBatch
	l.handled.Send(to.cursor)
	if l.After != nil && len(wanted) > 0 {
		l.After()
	}
	return nil
}

// call runs Handle; a panic is a failure like any other.
func (l *loop) call(ctx context.Context, tx pgx.Tx, evs []Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return l.Handle(ctx, tx, evs)
}

// after is the place behind evs.
func after(p place, evs []Event) place {
	for i := range evs {
		if evs[i].At.After(p.at) {
			p.at = evs[i].At
		}
	}
	p.cursor = evs[len(evs)-1].Cursor
	return p
}
