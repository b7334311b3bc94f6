package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

// Restored is what came of a backup that was taken under load and restored into another cluster.
type Restored struct {
	In       Inbound
	InBackup int // messages of customers that the backup holds
	Twice    int // answers that a customer got twice
	Hidden   int // answers that the restored hub would have sent again by itself
	Arrived  int // answers at customers when the old hub stopped
	Backup   time.Duration
	Restore  time.Duration
	Size     int64
}

// Good tells whether nothing is lost or doubled once the provider has told its story again, and no customer got anything
// twice. A backup that holds nothing or everything proves nothing.
func (r Restored) Good(users int) bool {
	return r.In.Good(users) && r.InBackup > users && r.InBackup < r.In.Sent && r.Twice == 0 && r.Hidden == 0 && r.Arrived > 0
}

// Run runs a command of the program to its end and returns what it said.
func (h *Hub) Run(args ...string) (string, error) {
	out, err := h.Command(args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("parley %v: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// RestoreUnderLoad takes a backup while customers and an agent write, goes on for a while, loses the database, restores
// the backup into another one, and lets the provider deliver everything again.
func (w *World) RestoreUnderLoad(ctx context.Context, d Drill, into string) (Restored, error) {
	var r Restored
	users := d.users(w)
	o := outbound{w: w, d: d, users: users}
	if err := o.meet(ctx); err != nil {
		return r, err
	}
	// Some answers are always on their way.
	w.Fake.Fail(tgfake.Fault{Method: "sendMessage", Kind: tgfake.Delay, Times: -1, Delay: 20 * time.Millisecond})
	defer w.Fake.ClearFaults()
	sent := map[string]bool{"Hello": true}
	write := func(n int) {
		for range n {
			text := fmt.Sprintf("message %d", len(sent))
			users[len(sent)%len(users)].Send(text)
			sent[text] = true
		}
	}
	posted := o.post(ctx, d.Messages/2)
	write(d.Messages / 2)
	if err := Until(ctx, "the hub takes messages and sends answers", Patience, func() (bool, error) {
		return w.Fake.Bot().Pending() < d.Messages/4 && o.arrived() > 10, nil
	}); err != nil {
		return r, fmt.Errorf("%w\n%s", err, w.Hub.LogTail())
	}
	file := filepath.Join(filepath.Dir(w.Hub.LogFile), "backup.tar.gz")
	taken := make(chan error, 1)
	go func() {
		began := time.Now()
		_, err := w.Hub.Run("backup", file)
		r.Backup = time.Since(began)
		taken <- err
	}()
	for len(taken) == 0 && len(sent) <= d.Messages*9/10 { // through the whole of it
		write(1)
		Pause(ctx, 2*time.Millisecond)
	}
	if err := errors.Join(<-taken, <-posted); err != nil {
		return r, err
	}
	write(d.Messages + 1 - len(sent))
	if err := Until(ctx, "every message is acknowledged", 3*Patience, func() (bool, error) { return w.Fake.Bot().Pending() == 0, nil }); err != nil {
		return r, fmt.Errorf("%w\n%s", err, w.Hub.LogTail())
	}
	if err := w.Hub.Stop(ctx); err != nil {
		return r, err
	}
	r.Arrived = o.arrived()
	info, err := os.Stat(file)
	if err != nil {
		return r, err
	}
	r.Size = info.Size()

	if err := w.Hub.Move(into); err != nil {
		return r, err
	}
	began := time.Now()
	if _, err := w.Hub.Run("restore", file); err != nil {
		return r, err
	}
	r.Restore = time.Since(began)
	d.DB, o.d.DB = into, into
	stored, err := Column[int](ctx, into, `SELECT count(*) FROM message WHERE direction = 'in' AND kind = 'message'`)
	if err != nil {
		return r, err
	}
	r.InBackup = stored[0]
	queued, err := Column[int](ctx, into, `SELECT count(*) FROM outbox WHERE state IN ('queued', 'sending') AND not_before <= now()`)
	if err != nil {
		return r, err
	}
	r.Hidden = queued[0]
	if err := w.Hub.Start(ctx); err != nil {
		return r, err
	}
	w.Fake.Bot().Redeliver(len(sent) + len(users))
	r.In, err = w.tally(ctx, d, r.In, sent)
	if err != nil {
		return r, err
	}
	// They all said Hello.
	r.In.Twice -= len(users) - 1
	r.In.Sent += len(users) - 1
	for _, n := range o.got() {
		r.Twice += max(0, n-1)
	}
	return r, nil
}
