package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Crashes is what came of crashes of the database under load.
type Crashes struct {
	In       Inbound
	Accepted int // posts that were answered with 2xx
	Kept     int // of those, are stored
	Arrived  int // of those, reached the customer once
	Twice    int
	Crashes  int
	Told     int // times that /readyz said 503 while the database was away
	Slowest  time.Duration
	Died     bool // the hub did not live through it
	Broken   int  // answers that blamed the hub (500) instead of asking to come again (503)
}

// Good tells whether everything that was acknowledged is stored, and the hub lived and said what was wrong.
func (r Crashes) Good(users int) bool {
	return r.In.Lost == 0 && r.In.Twice == 0 && r.In.Contacts == users && r.In.Open == users && r.Kept == r.Accepted &&
		r.Twice == 0 && r.Told == r.Crashes && !r.Died && r.Broken == 0
}

// CrashDatabase crashes the database again and again while customers and an agent write. Kills are the crashes.
func (w *World) CrashDatabase(ctx context.Context, pg *Postgres, d Drill) (Crashes, error) {
	r := Crashes{Crashes: d.Kills}
	pid := w.Hub.PID()
	users := d.users(w)
	o := outbound{w: w, d: d, users: users}
	if err := o.meet(ctx); err != nil {
		return r, err
	}
	sent := map[string]bool{"Hello": true}
	write := func(n int) {
		for range n {
			text := fmt.Sprintf("message %d", len(sent))
			users[len(sent)%len(users)].Send(text)
			sent[text] = true
		}
	}
	for i := range d.Kills {
		write(portion(d.Messages, i, d.Kills+1))
		stop := make(chan struct{})
		before := o.arrived()
		posted := o.postOnce(ctx, stop)
		if err := Until(ctx, "the hub sends", Patience, func() (bool, error) { return o.arrived() > before+3 || len(posted) > 0, nil }); err != nil {
			return r, err
		}
		moment(ctx)
		if err := pg.Crash(ctx); err != nil {
			return r, err
		}
		if err := Until(ctx, "the hub says that it has no database", Patience, func() (bool, error) {
			status, err := w.Hub.Status(ctx, "/readyz")
			return status == http.StatusServiceUnavailable, err
		}); err != nil {
			return r, fmt.Errorf("%w\n%s", err, w.Hub.LogTail())
		}
		if status, err := w.Hub.Status(ctx, "/healthz"); err != nil || status != http.StatusOK {
			return r, fmt.Errorf("/healthz says %d, %w without a database", status, err)
		}
		r.Told++
		began := time.Now()
		if err := pg.Start(ctx); err != nil {
			return r, err
		}
		if err := Until(ctx, "the hub is ready again", Patience, func() (bool, error) { return w.Hub.Ready(ctx), nil }); err != nil {
			return r, fmt.Errorf("%w\n%s", err, w.Hub.LogTail())
		}
		r.Slowest = max(r.Slowest, time.Since(began))
		close(stop)
		if err := <-posted; err != nil {
			return r, err
		}
	}
	write(max(0, d.Messages-len(sent)))
	r.Died = !w.Hub.Running() || w.Hub.PID() != pid
	var err error
	if r.In, err = w.tally(ctx, d, r.In, sent); err != nil {
		return r, err
	}
	r.In.Twice -= len(users) - 1 // they all said Hello
	r.Broken = o.broken
	return r, o.kept(ctx, &r)
}

// postOnce posts until stop, each message once: what is not answered with 2xx is nobody's promise. The last one has to
// be accepted, since then everything is there again.
func (o *outbound) postOnce(ctx context.Context, stop chan struct{}) chan error {
	done := make(chan error, 1)
	go func() {
		for tries, last := len(o.sent), false; ; tries++ {
			select {
			case <-stop:
				last = true
			default:
			}
			k := tries % len(o.users)
			p := posted{id: uuid.NewString(), conversation: o.conversations[k], user: k}
			p.text = "answer " + p.id
			err := o.w.Admin.Post(ctx, "/api/conversations/"+p.conversation+"/messages", map[string]any{"id": p.id, "text": p.text}, nil)
			status := StatusOf(err)
			switch {
			case status != 0 && status != http.StatusServiceUnavailable:
				o.broken++
			case err != nil && last:
				done <- err
				return
			case err == nil:
				o.sent = append(o.sent, p)
			}
			if last || !Pause(ctx, 3*time.Millisecond) { // an agent is not a flood
				done <- ctx.Err()
				return
			}
		}
	}()
	return done
}

// kept counts what became of the posts that the hub accepted.
func (o *outbound) kept(ctx context.Context, r *Crashes) error {
	const left = `SELECT count(*) FROM outbox WHERE state IN ('queued', 'sending')`
	if err := Until(ctx, "the outbox empties", 2*Patience, func() (bool, error) {
		n, err := Column[int](ctx, o.d.DB, left)
		return err == nil && n[0] == 0, err
	}); err != nil {
		return errors.Join(err, errors.New(o.w.Hub.LogTail()))
	}
	ids, err := Column[string](ctx, o.d.DB, `SELECT id::text FROM message WHERE direction = 'out'`)
	if err != nil {
		return err
	}
	stored := map[string]bool{}
	for _, id := range ids {
		stored[id] = true
	}
	got := o.got()
	r.Accepted = len(o.sent)
	for _, p := range o.sent {
		if stored[p.id] {
			r.Kept++
		}
		if got[p.text] == 1 {
			r.Arrived++
		}
	}
	for _, n := range got {
		r.Twice += max(0, n-1)
	}
	return nil
}
