package email

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/parley-hub/parley/channels"
)

// place is how far a folder has been read: the cursor.
type place struct {
	Validity uint32 `json:"v"`
	Next     uint32 `json:"n"` // the first UID not taken yet
	// Old: UIDs below it were there before we looked. Of those only what came after From is taken: history when the
	// channel was set up, and everything since when the server has numbered its messages anew.
	Old   uint32 `json:"o"`
	From  int64  `json:"f"` // unix time
	Since int64  `json:"s"` // unix time of the first look: what was sent before it is history
}

// folder watches one folder. All methods run in one goroutine.
type folder struct {
	*Adapter
	name   string
	sink   channels.Sink
	report func(channels.State)

	at   place
	seen bool // at is set
	// stuck counts how often fetching from the same UID has failed: then it goes one by one, and past it in the end
	stuckAt uint32
	stuck   int
}

// How often fetching may fail at one message before it is fetched alone, and before it is given up.
const (
	stuckAlone = 2
	stuckSkip  = 8
)

func (f *folder) cursor() string { return "imap:" + f.name }

func (f *folder) run(ctx context.Context) {
	if v := f.account.Cursors[f.cursor()]; v != "" {
		f.seen = json.Unmarshal([]byte(v), &f.at) == nil && f.at.Validity != 0
	}
	pause := backoff{longest: 5 * time.Minute}
	for ctx.Err() == nil {
		worked, err := f.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if worked {
			pause.reset()
		}
		if err != nil {
			f.report(f.stateOf(err))
		}
		if errors.Is(err, errLogin) { // a password does not mend itself, and servers lock accounts out
			pause.wait = max(pause.wait, 15*time.Second)
		}
		if !pause.pause(ctx) {
			return
		}
	}
}

// once connects, takes what is new, and watches until the connection breaks. worked tells that it came that far.
func (f *folder) once(ctx context.Context) (worked bool, err error) {
	s, err := f.login(ctx)
	if err != nil {
		return false, err
	}
	defer s.close()
	var sel *imap.SelectData
	err = s.within(answerTimeout, func() (err error) {
		sel, err = s.Select(f.name, &imap.SelectOptions{ReadOnly: true}).Wait()
		return err
	})
	if err != nil {
		return false, fmt.Errorf("open the folder %q: %w", f.name, err)
	}
	if err := f.settle(ctx, s, sel); err != nil {
		return false, err
	}
	storing := backoff{longest: 2 * time.Second}
	for {
		if err := f.takeNew(ctx, s); err != nil {
			var he *hubError
			if !errors.As(err, &he) || ctx.Err() != nil {
				return worked, err
			}
			f.report(f.stateOf(err))
			storing.pause(ctx)
			continue
		}
		storing.reset()
		worked = true
		f.report(channels.State{Kind: channels.Up})
		if err := f.wait(ctx, s); err != nil {
			return worked, err
		}
	}
}

// settle compares the folder with the cursor, and makes one on the first look.
func (f *folder) settle(ctx context.Context, s *session, sel *imap.SelectData) error {
	next := uint32(sel.UIDNext)
	if next == 0 { // an old server does not tell
		all, err := f.search(s, &imap.SearchCriteria{})
		if err != nil {
			return err
		}
		next = 1
		if len(all) > 0 {
			next = all[len(all)-1] + 1
		}
	}
	now := f.now().Unix()
	switch {
	case !f.seen:
		p := place{Validity: sel.UIDValidity, Next: next, Old: next, From: now, Since: now}
		if f.set.ImportDays > 0 {
			p.Next, p.From = 1, now-int64(f.set.ImportDays)*86400
		}
		return f.ingest(ctx, nil, p)
	case f.at.Validity != sel.UIDValidity: // the same messages under new numbers: the hub knows them by their content
		p := place{Validity: sel.UIDValidity, Next: 1, Old: next, From: min(f.at.Since, max(f.at.From, 1)), Since: f.at.Since}
		return f.ingest(ctx, nil, p)
	}
	return nil
}

// hubError wraps what Sink.Ingest answered: the connection is fine.
type hubError struct{ err error }

func (e *hubError) Error() string { return e.err.Error() }
func (e *hubError) Unwrap() error { return e.err }

// ingest stores events with the place after them.
func (f *folder) ingest(ctx context.Context, evs []channels.Inbound, p place) error {
	v, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := f.sink.Ingest(ctx, channels.Batch{Events: evs, Cursor: &channels.Cursor{Name: f.cursor(), Value: string(v)}}); err != nil {
		return &hubError{err}
	}
	f.at, f.seen = p, true
	return nil
}

func (f *folder) search(s *session, c *imap.SearchCriteria) (uids []uint32, err error) {
	err = s.within(2*time.Minute, func() error {
		data, err := s.UIDSearch(c, nil).Wait()
		if err != nil {
			return fmt.Errorf("search the folder %q: %w", f.name, err)
		}
		for _, u := range data.AllUIDs() {
			uids = append(uids, uint32(u))
		}
		return nil
	})
	slices.Sort(uids)
	return uids, err
}

// takeNew takes everything from the cursor on.
func (f *folder) takeNew(ctx context.Context, s *session) error {
	for {
		c := &imap.SearchCriteria{}
		var set imap.UIDSet
		if f.at.Next < f.at.Old {
			set.AddRange(imap.UID(f.at.Next), imap.UID(f.at.Old-1))
			c.Since = time.Unix(f.at.From, 0).UTC().AddDate(0, 0, -1) // servers compare dates in their own zone
		} else {
			set.AddRange(imap.UID(f.at.Next), 0) // to the end
		}
		c.UID = []imap.UIDSet{set}
		uids, err := f.search(s, c)
		if err != nil {
			return err
		}
		// "n:*" names the last message even when its UID is below n
		uids = slices.DeleteFunc(uids, func(u uint32) bool { return u < f.at.Next })
		for len(uids) > 0 {
			n := min(len(uids), 100)
			if err := f.take(ctx, s, uids[:n]); err != nil {
				return err
			}
			uids = uids[n:]
		}
		if f.at.Next >= f.at.Old {
			return nil
		}
		p := f.at // the old ones are done
		p.Next = p.Old
		if err := f.ingest(ctx, nil, p); err != nil {
			return err
		}
	}
}

// wait returns when the server says that something changed, or after a cycle. A server that does not answer is an error.
func (f *folder) wait(ctx context.Context, s *session) error {
	cycle := time.NewTimer(f.cycle)
	defer cycle.Stop()
	if !s.Caps().Has(imap.CapIdle) {
		cycle.Reset(min(f.cycle, 15*time.Second))
		select {
		case <-s.news:
		case <-cycle.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		return s.within(f.silence, func() error { return s.Noop().Wait() })
	}
	select { // what was told while we fetched is there to be taken
	case <-s.news:
		return s.within(f.silence, func() error { return s.Noop().Wait() })
	default:
	}
	idle, err := f.beginIdle(s)
	if err != nil {
		return err
	}
	broken := make(chan struct{})
	go func() {
		defer close(broken)
		_ = idle.Wait()
	}()
	select {
	case <-s.news:
	case <-cycle.C:
	case <-broken:
	case <-ctx.Done():
	}
	err = s.within(f.silence, func() error {
		cerr := idle.Close()
		<-broken
		if err := idle.Wait(); err != nil {
			return err
		}
		return cerr
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("the connection broke: %w", err)
	}
	return s.within(f.silence, func() error { return s.Noop().Wait() })
}

type idler interface {
	Close() error
	Wait() error
}

func (f *folder) beginIdle(s *session) (idle idler, err error) {
	err = s.within(f.silence, func() error {
		cmd, err := s.Idle()
		idle = cmd
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("wait for news: %w", err)
	}
	return idle, nil
}
