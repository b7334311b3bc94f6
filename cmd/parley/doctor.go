package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/events"
)

const (
	clockSkew     = 2 * time.Second
	spinePatience = 3 * time.Second
)

func doctorCommand() command {
	return command{name: "doctor", help: "look at settings, disk, key, database, files and spine, and say what to do", run: doctor}
}

// report prints findings as they come and counts the bad ones.
type report struct {
	w   io.Writer
	bad int
}

func (r *report) say(what string, err error, format string, args ...any) {
	state, text := "ok  ", fmt.Sprintf(format, args...)
	if err != nil {
		state, text = "FAIL", err.Error()
		r.bad++
	}
	_, _ = fmt.Fprintf(r.w, "%s  %-9s %s\n", state, what, text)
}

func (r *report) warn(what, format string, args ...any) {
	_, _ = fmt.Fprintf(r.w, "warn  %-9s %s\n", what, fmt.Sprintf(format, args...))
}

// doctor goes on after a finding, so that one run tells everything.
func doctor(ctx context.Context, c call) error {
	r := &report{w: c.out}
	for _, p := range c.cfg.Check() {
		if p.Warning {
			r.warn("settings", "%s: %s", p.Name, p.Text)
		} else {
			r.say("settings", fmt.Errorf("%s: %s", p.Name, p.Text), "")
		}
	}
	if r.bad == 0 {
		r.say("settings", nil, "can be used")
		r.address(c.cfg)
		r.disk(c.cfg)
		r.key(c)
		r.database(ctx, c)
		r.files(ctx, c)
	}
	if r.bad > 0 {
		return fmt.Errorf("%d findings", r.bad)
	}
	return nil
}

func (r *report) key(c call) {
	path, _ := c.cfg.SecretKeyPath()
	info, err := os.Stat(path)
	if err != nil {
		r.say("key", fmt.Errorf("%w: without it the channels' credentials cannot be opened", err), "")
		return
	}
	if info.Mode().Perm()&0o077 != 0 {
		r.warn("key", "%s can be read by others (mode %o): chmod 600", path, info.Mode().Perm())
		return
	}
	r.say("key", nil, "%s", path)
}

// spine reads along for a moment and names what holds it, if something does.
func (r *report) spine(ctx context.Context, c call, pool *pgxpool.Pool) error {
	b, err := bus.Embedded(c.log)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(ctx, spinePatience)
	defer cancel()
	tailer := events.NewTailer(pool, b, c.log)
	done := make(chan struct{})
	reading, stop := context.WithCancel(ctx)
	go func() {
		defer close(done)
		_ = tailer.Run(reading) // never fails
	}()
	defer func() {
		stop()
		<-done
	}()
	<-ctx.Done() // long enough for a lag to show
	holder, ok, err := tailer.Holder(context.WithoutCancel(ctx))
	switch {
	case err != nil:
		return err
	case ok:
		r.say("spine", fmt.Errorf("held by %s: end that transaction (SELECT pg_terminate_backend(%d))", holder, holder.PID), "")
	case tailer.Lag() > events.HolderLag:
		r.say("spine", fmt.Errorf("%s behind, and nobody seems to hold it", tailer.Lag().Round(time.Millisecond)), "")
	default:
		r.say("spine", nil, "read up to %s", tailer.Head())
	}
	return nil
}

// channels opens every credential and shows who is not connected.
func (r *report) channels(ctx context.Context, c call, pool *pgxpool.Pool) error {
	box, err := openBox(ctx, c.cfg, c.log)
	if err != nil {
		return err
	}
	b, err := bus.Embedded(c.log)
	if err != nil {
		return err
	}
	defer b.Close()
	list, err := inbox.NewChannels(pool, b, box, channelKinds(c.cfg), c.cfg.PublicURL(""), c.log).List(ctx, operator())
	if err != nil {
		return err
	}
	for _, x := range list {
		name := fmt.Sprintf("%s (%s, id %s)", x.Name, x.Kind, x.ID)
		switch {
		case !x.Enabled:
			r.say("channel", nil, "%s is switched off", name)
		case x.State == "up":
			r.say("channel", nil, "%s is up; %d queued, %d failed, %d uncertain, %d in quarantine", name, x.Queued, x.Failed, x.Uncertain, x.Quarantined)
		default:
			r.warn("channel", "%s is %s: %s", name, x.State, x.Reason)
		}
	}
	return nil
}
