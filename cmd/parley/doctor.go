package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	diskLow       = 1 << 30 // below this the database may stop writing within hours
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
		r.disk(c.cfg.DataDir)
		r.key(c)
		r.database(ctx, c)
		r.files(ctx, c)
	}
	if r.bad > 0 {
		return fmt.Errorf("%d findings", r.bad)
	}
	return nil
}

func (r *report) disk(dir string) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		r.say("disk", fmt.Errorf("%s: %w", dir, err), "")
		return
	}
	free := uint64(st.Bavail) * uint64(st.Bsize) //nolint:unconvert // the types differ between systems
	if free < diskLow {
		r.say("disk", fmt.Errorf("%s has %d MB left: make room, or move the data directory", dir, free>>20), "")
		return
	}
	r.say("disk", nil, "%s has %d GB left", dir, free>>30)
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

func (r *report) database(ctx context.Context, c call) {
	err := withDatabase(ctx, c, func(pool *pgxpool.Pool) error {
		if err := r.server(ctx, pool); err != nil {
			return err
		}
		if err := r.spine(ctx, c, pool); err != nil {
			return err
		}
		parked, err := events.ParkedEvents(ctx, pool, 10)
		if err != nil {
			return err
		}
		for _, p := range parked {
			r.warn("followers", "%s set an event aside: %s", p.Follower, p.Error)
		}
		return r.channels(ctx, c, pool)
	})
	if err != nil {
		r.say("database", err, "")
	}
}

func (r *report) server(ctx context.Context, pool *pgxpool.Pool) error {
	var (
		name string
		size int64
		now  time.Time
	)
	sent := time.Now()
	err := pool.QueryRow(ctx, `SELECT current_setting('server_version'), pg_database_size(current_database()), clock_timestamp()`).Scan(&name, &size, &now)
	if err != nil {
		return err
	}
	took := time.Since(sent)
	v, err := postgres.CurrentVersion(ctx, pool)
	if err != nil {
		return err
	}
	r.say("database", nil, "PostgreSQL %s answers in %s, %d MB, schema %d", name, took.Round(10*time.Microsecond), size>>20, v)
	if skew := now.Sub(sent.Add(took / 2)); skew.Abs() > clockSkew {
		r.warn("clock", "the database's clock is off from this machine's by %s", skew.Round(time.Millisecond))
	}
	return nil
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

// files writes and reads one small file, as an upload would.
func (r *report) files(ctx context.Context, c call) {
	h := &hub{services: newServices(c.log)}
	defer h.services.stop()
	r.say("files", func() error {
		s, err := h.openBlobs(ctx, c.cfg)
		if err != nil {
			return err
		}
		return roundTrip(ctx, s)
	}(), "can be written and read")
}

func roundTrip(ctx context.Context, s blob.Store) error {
	text := "parley doctor " + time.Now().UTC().Format(time.RFC3339Nano)
	key, _, err := s.Put(ctx, strings.NewReader(text), 1<<10)
	if err != nil {
		return err
	}
	f, _, err := s.Open(ctx, key)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close(), s.Delete(ctx, key)); err != nil {
		return err
	}
	if string(got) != text {
		return errors.New("a file came back different")
	}
	return nil
}
