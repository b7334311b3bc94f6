package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

const (
	pollEvery = 20 * time.Millisecond
	// deafLimit is how long something may hold the server's lock without answering: backends of a killed postmaster
	// need a moment to notice, a fast shutdown longer.
	deafLimit   = 30 * time.Second
	adoptedLook = 200 * time.Millisecond
	cannotYet   = "57P03" // cannot_connect_now: starting up, recovering, shutting down
)

// process is one life of the postmaster: our child, or an orphan that we adopted and cannot wait for.
type process struct {
	pid     int
	adopted bool
	exited  chan struct{} // closed when every process of the server is gone (of a child: when the postmaster is)
	err     error         // why a child ended; valid after exited
}

// launch starts the server, or adopts the one that runs. The lock decides: it is inherited by every process of the
// server, so whoever gets it knows that none lives, whatever process ids the files name (a recycled one, a zombie's).
func (s *Server) launch(ctx context.Context) (*process, error) {
	began := time.Now()
	lock, err := s.lockOrAdopt(ctx)
	if err != nil {
		return nil, err
	}
	if lock.adopted != nil {
		s.log.InfoContext(ctx, "database server adopted from a hub that was killed", "pid", lock.adopted.pid, "took", time.Since(began))
		return lock.adopted, nil
	}
	defer lock.free.Release() // the child has its own hold by then
	removed, err := cluster.RemoveStale(s.place.pgdata, s.place.socketDir)
	if err != nil {
		return nil, err
	}
	if len(removed) > 0 {
		s.log.InfoContext(ctx, "the database server was not stopped properly; it recovers", "removed", removed)
	}
	p, err := s.spawn(lock.free)
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx, p); err != nil {
		return nil, errors.Join(err, p.stop(context.WithoutCancel(ctx)))
	}
	s.log.InfoContext(ctx, "database server started", "pid", p.pid, "major", s.bin.Major, "took", time.Since(began))
	return p, nil
}

// holder is the answer of lockOrAdopt: the free lock, or the server that holds it.
type holder struct {
	free    *cluster.Lock
	adopted *process
}

func (s *Server) lockOrAdopt(ctx context.Context) (holder, error) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.Now().Add(deafLimit)
	for {
		lock, err := cluster.TryLock(s.place.lock)
		if err != nil {
			return holder{}, fmt.Errorf("lock the database: %w", err)
		}
		if lock != nil {
			return holder{free: lock}, nil
		}
		p, err := s.adopt(ctx)
		if p != nil {
			return holder{adopted: p}, nil
		}
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == cannotYet {
			deadline = time.Now().Add(deafLimit) // it is alive and recovers, or goes
		}
		if time.Now().After(deadline) {
			return holder{}, &errs.E{Code: errs.Unavailable, Msg: fmt.Sprintf("a PostgreSQL process of %s is still there but does not answer: end it and start again", s.place.pgdata), Err: err}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return holder{}, fmt.Errorf("wait for the database server: %w", ctx.Err())
		}
	}
}

// adopt returns the running server if it answers.
func (s *Server) adopt(ctx context.Context) (*process, error) {
	pid, socketDir, err := cluster.Postmaster(s.place.pgdata)
	if err != nil {
		return nil, err
	}
	if err := ping(ctx, cluster.URL(cluster.Superuser, "postgres", socketDir)); err != nil {
		return nil, err
	}
	s.place.socketDir = socketDir // it may be under another temporary folder than ours
	p := &process{pid: pid, adopted: true, exited: make(chan struct{})}
	go p.watch(s.place.lock)
	return p, nil
}

// watch looks whether the lock is free, for we are not told of the end of what is not our child.
func (p *process) watch(lockFile string) {
	tick := time.NewTicker(adoptedLook)
	defer tick.Stop()
	for range tick.C {
		lock, err := cluster.TryLock(lockFile)
		if lock == nil && err == nil {
			continue
		}
		lock.Release()
		close(p.exited)
		return
	}
}

func (s *Server) spawn(lock *cluster.Lock) (*process, error) {
	out, err := os.OpenFile(s.place.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database's log: %w", err)
	}
	defer out.Close() // the child has it
	args := []string{"-D", s.place.pgdata, "-k", s.place.socketDir}
	for _, setting := range append(settings(), s.extra...) {
		args = append(args, "-c", setting)
	}
	c := s.place.user.Command(s.place.pgdata, s.bin.Program("postgres"), args...)
	c.Stdout, c.Stderr, c.ExtraFiles = out, out, []*os.File{lock.File()}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("start the database server: %w", err)
	}
	p := &process{pid: c.Process.Pid, exited: make(chan struct{})}
	go p.wait(c)
	return p, nil
}

func (p *process) wait(c *exec.Cmd) {
	p.err = c.Wait()
	close(p.exited)
}

var errNotReady = errors.New("it says that it is not ready")

// ready waits until the server answers. Recovery of a big database may take minutes, so the limit is the caller's ctx
// and the life of the process.
func (s *Server) ready(ctx context.Context, p *process) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	report := time.NewTicker(10 * time.Second)
	defer report.Stop()
	for {
		err := errNotReady
		if cluster.Ready(s.place.pgdata) {
			err = ping(ctx, s.adminURL())
		}
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-report.C:
			s.log.WarnContext(ctx, "the database server does not answer yet", "pid", p.pid, "error", err)
		case <-p.exited:
			return &errs.E{Code: errs.Unavailable, Msg: "the database server ended while it started: " + logTail(s.place.log), Err: p.err}
		case <-ctx.Done():
			return &errs.E{Code: errs.Unavailable, Msg: "the database server did not answer in time", Err: errors.Join(ctx.Err(), err)}
		}
	}
}

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// stop ends the server and waits for it. When ctx ends it does not wait for a clean shutdown any longer.
func (p *process) stop(ctx context.Context) error {
	patience := time.NewTimer(fastStop)
	defer patience.Stop()
	if err := p.signal(syscall.SIGINT); err != nil {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-patience.C:
	case <-ctx.Done():
	}
	if err := p.signal(syscall.SIGQUIT); err != nil {
		return err
	}
	patience.Reset(quitStop)
	select {
	case <-p.exited:
		return nil
	case <-patience.C:
		return errs.New(errs.Internal, "the database server (process %d) does not end", p.pid)
	}
}

func (p *process) signal(sig syscall.Signal) error {
	select {
	case <-p.exited:
		return nil // its id may be somebody else's by now
	default:
	}
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal the database server: %w", err)
	}
	return nil
}
