package inbox

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/staff"
)

// Tail is the spine as the sidebar needs it; *events.Tailer is one.
type Tail interface {
	Subscribe(fn func([]events.Event))
	Started() <-chan struct{}
	Head() events.Cursor
}

const (
	// checkHour is when the nightly comparison with the database runs, in UTC.
	checkHour = 3
	// checkTimeout gives up a comparison for which the spine does not come far enough, until the next night.
	checkTimeout = time.Minute
	// maxBacklog is how many events may wait while a load runs; more than that, and loading again is cheaper.
	maxBacklog = 20_000
	loadRetry  = time.Second
)

// Sidebar keeps the numbers of everybody's sidebar in memory: made once from one snapshot of the database, then moved on
// by the events of the spine, so that a request counts nothing.
//
// Events come in the spine's order, which for two transactions that met on a row need not be the row's: an older version
// never overwrites a newer one, also not when the newer one was the end of it. What lies in the snapshot is recognised by
// its transaction and not counted twice.
type Sidebar struct {
	pool    *pgxpool.Pool
	tail    Tail
	log     *slog.Logger
	changed chan struct{}
	wake    chan struct{}

	mu      sync.Mutex
	backlog []events.Event
	lost    bool // the backlog was full: load again

	index *countIndex // guarded by its own lock; replaced under mu
}

// NewSidebar subscribes to the tail, which must not run yet; Run does the rest.
func NewSidebar(pool *pgxpool.Pool, tail Tail, log *slog.Logger) *Sidebar {
	s := &Sidebar{
		pool: pool, tail: tail, log: log.With("component", "sidebar"), index: newCountIndex(),
		changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	tail.Subscribe(s.observe)
	return s
}

// Counts are the caller's numbers now. Before the first load they are zero; Changed tells when they are there.
func (s *Sidebar) Counts(a staff.Access) Counts {
	s.mu.Lock()
	index := s.index
	s.mu.Unlock()
	return index.counts(a)
}

// Changed receives after numbers moved, any number of moves at once. It is for one reader, who asks Counts again for
// those who are there.
func (s *Sidebar) Changed() <-chan struct{} { return s.changed }

// observe is called by the tailer's goroutine and must not keep it.
func (s *Sidebar) observe(evs []events.Event) {
	s.mu.Lock()
	if len(s.backlog)+len(evs) > maxBacklog {
		s.backlog, s.lost = nil, true
	}
	if !s.lost {
		s.backlog = append(s.backlog, evs...)
	}
	s.mu.Unlock()
	signal(s.wake)
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// take empties the backlog.
func (s *Sidebar) take() (evs []events.Event, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	evs, lost = s.backlog, s.lost
	s.backlog, s.lost = nil, false
	return evs, lost
}

// Run loads the index, follows the spine, and compares with the database once a night, until ctx ends.
func (s *Sidebar) Run(ctx context.Context) error {
	select {
	case <-s.tail.Started(): // a snapshot taken before would miss what was written in between
	case <-ctx.Done():
		return nil
	}
	if !s.load(ctx) {
		return nil
	}
	night := time.NewTimer(untilNight(time.Now()))
	defer night.Stop()
	tick := time.NewTicker(viewTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if s.index.tick(now) {
				signal(s.changed)
			}
		case <-s.wake:
			if !s.follow(ctx) {
				return nil
			}
		case <-night.C:
			s.check(ctx)
			night.Reset(untilNight(time.Now()))
		}
	}
}

func untilNight(now time.Time) time.Duration {
	now = now.UTC()
	next := time.Date(now.Year(), now.Month(), now.Day(), checkHour, 0, 0, 0, time.UTC)
	if !next.After(now) {
		next = next.AddDate(0, 0, 1)
	}
	return next.Sub(now)
}

// load makes a new index and puts it in place; it tries until it succeeds, false = ctx ended.
func (s *Sidebar) load(ctx context.Context) bool {
	for {
		began, head := time.Now(), s.tail.Head()
		index, err := loadCounts(ctx, s.pool)
		if err == nil {
			index.at = head // what was read before the snapshot is in it
			s.mu.Lock()
			s.index = index
			s.mu.Unlock()
			s.log.InfoContext(ctx, "counts loaded", "conversations", index.size(), "took", time.Since(began).Round(time.Millisecond).String())
			signal(s.changed)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.log.ErrorContext(ctx, "loading counts failed, trying again", "err", err)
		timer := time.NewTimer(loadRetry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// follow applies what has come; false = ctx ended.
func (s *Sidebar) follow(ctx context.Context) bool {
	evs, lost := s.take()
	if lost {
		s.log.WarnContext(ctx, "too many events at once, loading counts again")
		return s.load(ctx)
	}
	if len(evs) == 0 {
		return true
	}
	moved, missing := s.index.apply(evs)
	if len(missing) > 0 {
		// conversations that were opened again: who has read how far is not in their event
		if err := s.index.loadMarks(ctx, s.pool, missing); err != nil {
			if ctx.Err() != nil {
				return false
			}
			s.log.WarnContext(ctx, "reading markers failed, loading counts again", "err", err)
			return s.load(ctx)
		}
	}
	if moved {
		signal(s.changed)
	}
	return true
}

// check loads a second index, lets both follow the spine up to the same event, and compares them. A difference is a
// fault of ours: it is logged, and the fresh one takes over. It reports whether they were equal.
func (s *Sidebar) check(ctx context.Context) bool {
	fresh, err := loadCounts(ctx, s.pool)
	if err != nil {
		s.log.WarnContext(ctx, "comparing counts with the database failed", "err", err)
		return true
	}
	deadline := time.NewTimer(checkTimeout)
	defer deadline.Stop()
	for fresh.last.After(s.index.read()) {
		select {
		case <-ctx.Done():
			return true
		case <-deadline.C:
			s.log.WarnContext(ctx, "comparing counts was given up: the spine stands still")
			return true
		case <-s.wake:
		}
		evs, lost := s.take()
		if lost {
			return s.load(ctx)
		}
		_, missing := s.index.apply(evs)
		_, more := fresh.apply(evs)
		for _, err := range []error{s.index.loadMarks(ctx, s.pool, missing), fresh.loadMarks(ctx, s.pool, more)} {
			if err != nil {
				return s.load(ctx)
			}
		}
		signal(s.changed)
	}
	now := time.Now()
	s.index.tick(now)
	fresh.tick(now)
	diff := s.index.diff(fresh)
	if len(diff) == 0 {
		s.log.InfoContext(ctx, "counts agree with the database", "conversations", fresh.size())
		return true
	}
	s.log.ErrorContext(ctx, "counts differed from the database and were loaded again", "differences", len(diff), "first", diff[0])
	s.mu.Lock()
	s.index = fresh
	s.mu.Unlock()
	signal(s.changed)
	return false
}
