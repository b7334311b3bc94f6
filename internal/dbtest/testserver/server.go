package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres/cluster"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 20 * time.Second
	pollEvery    = 10 * time.Millisecond
	prefix       = "parley-test-"
	usedFile     = "used"
	keeperFile   = "keeper.pid"
	logFile      = "log"
	dataFolder   = "data"
)

// keeper starts the server, waits for its end condition, stops the server and removes the folder.
// $1 = folder, $2 = minutes without use ("" = until standard input ends), $3 = seconds between looks, the rest is the
// server's command line.
const keeper = `
dir=$1; idle=$2; look=$3; shift 3
"$@" </dev/null >>"$dir/log" 2>&1 &
server=$!
finish() {
    trap '' TERM INT HUP
    kill -INT "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    cd / && rm -rf "$dir"
    exit 0
}
trap finish TERM INT
trap '' HUP
if [ -z "$idle" ]; then
    read -r _
    finish
fi
while :; do
    sleep "$look" & wait $!
    [ -d "$dir" ] || finish
    if [ -z "$(find "$dir/used" -mmin "-$idle" 2>/dev/null)" ]; then
        # Whoever touches the file from now on finds it gone and starts another server; look once more, for somebody
        # may have come between the look and the rename.
        mv "$dir/used" "$dir/stopping" 2>/dev/null
        [ -n "$(find "$dir/stopping" -mmin "-$idle" 2>/dev/null)" ] || finish
        mv "$dir/stopping" "$dir/used"
    fi
done`

// idle is when a shared server goes.
type idle struct{ minutes, lookSeconds int }

// defaultIdle is longer than go test lets a test binary run.
func defaultIdle() *idle { return &idle{minutes: 15, lookSeconds: 10} }

// Server is a running throw-away server.
type Server struct {
	URL  string // of its database postgres, as the superuser
	Dir  string
	life io.Closer // of a private server: its end is the server's end
	done chan struct{}
}

// Private starts a server that lives as long as this process, or until Stop.
func Private(ctx context.Context, binDir string) (*Server, error) { return start(ctx, binDir, nil) }

// Detached starts a server that stays until Stop, or until no test used it for 15 minutes.
func Detached(ctx context.Context, binDir string) (*Server, error) {
	return start(ctx, binDir, defaultIdle())
}

func start(ctx context.Context, binDir string, until *idle) (*Server, error) {
	bin, err := cluster.Find(ctx, binDir, "", 0)
	if err != nil {
		return nil, err
	}
	user, err := cluster.PickUser("")
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(user)
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, URL: cluster.URL(cluster.Superuser, "postgres", dir)}
	if err := s.run(ctx, bin, user, until); err != nil {
		_ = s.Stop(context.WithoutCancel(ctx))
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("start a test server: %w", err)
	}
	return s, nil
}

func (s *Server) run(ctx context.Context, bin cluster.Binaries, user cluster.User, until *idle) error {
	data := filepath.Join(s.Dir, dataFolder)
	if err := cluster.Init(ctx, bin, user, data, "--no-sync"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, usedFile), nil, 0o600); err != nil {
		return err
	}
	if err := user.Own(s.Dir); err != nil {
		return err
	}
	minutes, look := "", ""
	if until != nil {
		minutes, look = strconv.Itoa(until.minutes), strconv.Itoa(until.lookSeconds)
	}
	args := []string{"-c", keeper, "keeper", s.Dir, minutes, look, bin.Program("postgres"), "-D", data, "-k", s.Dir}
	for _, setting := range settings() {
		args = append(args, "-c", setting)
	}
	c := user.Command(s.Dir, "/bin/sh", args...)
	c.SysProcAttr.Setpgid, c.SysProcAttr.Setsid = false, true // not of our terminal
	if until == nil {
		pipe, err := c.StdinPipe()
		if err != nil {
			return err
		}
		s.life = pipe
	}
	if err := c.Start(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, keeperFile), []byte(strconv.Itoa(c.Process.Pid)), 0o600); err != nil {
		return err
	}
	if until == nil {
		s.done = make(chan struct{})
		go s.reap(c) // ended by Stop, which waits for it
	} else if err := c.Process.Release(); err != nil {
		return err
	}
	return s.ready(ctx)
}

// settings trade every safety for speed; the many connections are those of all test binaries together.
func settings() []string {
	return []string{
		"listen_addresses=", "unix_socket_permissions=0700", "logging_collector=off",
		"fsync=off", "synchronous_commit=off", "full_page_writes=off",
		"wal_level=minimal", "max_wal_senders=0", "max_wal_size=512MB", "checkpoint_timeout=30min",
		"max_connections=400", "shared_buffers=128MB", "max_locks_per_transaction=256", "jit=off",
		"log_min_messages=fatal", "timezone=UTC",
	}
}

func (s *Server) reap(c *exec.Cmd) {
	_ = c.Wait()
	close(s.done)
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := Ping(ctx, s.URL)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.done: // never of a detached server
			return fmt.Errorf("the server ended: %s", s.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", err, s.logTail())
		}
	}
}

func (s *Server) logTail() string {
	raw, err := os.ReadFile(filepath.Join(s.Dir, logFile))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(raw[max(0, len(raw)-2000):]))
}

// Ping tells whether a server answers.
func Ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Stop ends the server and removes its folder.
func (s *Server) Stop(ctx context.Context) error {
	if s.life == nil {
		return stopDir(ctx, s.Dir)
	}
	_ = s.life.Close()
	if s.done == nil {
		return nil // it never started
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the test server: %w", ctx.Err())
	}
}

// StopURL ends the detached server behind url.
func StopURL(ctx context.Context, url string) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(filepath.Base(cfg.Host), prefix) {
		return fmt.Errorf("%s is not a test server", cfg.Host)
	}
	return stopDir(ctx, cfg.Host)
}

func stopDir(ctx context.Context, dir string) error {
	raw, err := os.ReadFile(filepath.Join(dir, keeperFile))
	if errors.Is(err, os.ErrNotExist) {
		return os.RemoveAll(dir)
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid <= 1 {
		return fmt.Errorf("%s names no process: %q", filepath.Join(dir, keeperFile), raw)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); errors.Is(err, syscall.ESRCH) {
		return os.RemoveAll(dir) // the machine was restarted: nothing runs
	} else if err != nil {
		return fmt.Errorf("stop the test server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("stop the test server in %s: %w", dir, ctx.Err())
		}
	}
}
