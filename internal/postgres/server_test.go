package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/dbtest/testserver"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/postgres/cluster"
	"github.com/parley-hub/parley/internal/testsignal"
)

// quick settings: these clusters need not survive a power failure.
func quick() []string { return []string{"fsync=off", "shared_buffers=16MB"} }

func options(t testing.TB, dir string) postgres.ServerOptions {
	return postgres.ServerOptions{
		DataDir: dir, BinDir: os.Getenv("PARLEY_PG_BIN"), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Extra: quick(),
	}
}

func start(t testing.TB, dir string) *postgres.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	s, err := postgres.StartServer(ctx, options(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t testing.TB, s *postgres.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// refused starts a server that must not start, and returns the reason.
func refused(t testing.TB, o postgres.ServerOptions) error {
	t.Helper()
	s, err := postgres.StartServer(t.Context(), o)
	if err == nil {
		stop(t, s)
		t.Fatal("the server started")
	}
	return err
}

func wantWords(t testing.TB, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got error %v, want it to say %q", err, w)
		}
	}
}

func exec(t testing.TB, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func scan[T any](t testing.TB, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var v T
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// madeOnce is a cluster with one row in table kept, properly shut down. Initialising one takes a second or more;
// copying it does not.
var made atomic.Pointer[string]

var madeOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(testserver.Memory(), "parley-made-") // removed by TestMain
	if err != nil {
		return "", err
	}
	made.Store(&dir)
	if err := os.Chmod(dir, 0o711); err != nil { // as in dbtest.DataDir
		return "", err
	}
	ctx := context.Background()
	s, err := postgres.StartServer(ctx, postgres.ServerOptions{DataDir: filepath.Join(dir, "data"), BinDir: os.Getenv("PARLEY_PG_BIN"), Log: slog.New(slog.DiscardHandler), Extra: quick()})
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, s.URL)
	if err == nil {
		_, err = conn.Exec(ctx, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)`)
		err = errors.Join(err, conn.Close(ctx))
	}
	return dir, errors.Join(err, s.Stop(ctx))
})

// madeDir is a data directory with a copy of that cluster. The copy belongs to whoever runs the test, like a backup
// that root has restored.
func madeDir(t testing.TB) string {
	t.Helper()
	from, err := madeOnce()
	if err != nil {
		t.Fatal(err)
	}
	dir := dbtest.DataDir(t)
	if out, err := osexec.Command("cp", "-Rp", filepath.Join(from, "data", "pgdata"), dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the cluster: %v: %s", err, out)
	}
	if os.Geteuid() == 0 {
		if out, err := osexec.Command("chown", "-R", "0:0", filepath.Join(dir, "pgdata")).CombinedOutput(); err != nil {
			t.Fatalf("give the copy to root: %v: %s", err, out)
		}
	}
	return dir
}

type child struct {
	cmd *osexec.Cmd
	url string
	in  io.Closer
}

// startHub runs a hub in a process of its own.
func startHub(t testing.TB, dir string) child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := child{cmd: osexec.Command(exe)}
	c.cmd.Env = append(os.Environ(), envHub+"="+dir)
	c.cmd.Stderr = t.Output()
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); _ = c.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the hub did not start: %v", err)
	}
	c.url = strings.TrimSpace(strings.TrimPrefix(line, "ready "))
	return c
}

func (c child) kill(t testing.TB) {
	t.Helper()
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

func answers(t testing.TB, url string) {
	t.Helper()
	testsignal.Until(t, "the database answers", func() bool {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			return false
		}
		defer conn.Close(t.Context())
		var n int
		return conn.QueryRow(t.Context(), `SELECT n FROM kept`).Scan(&n) == nil && n == 7
	})
}

// interruptedFirstStart leaves what a hub that was killed while initdb ran leaves.
func interruptedFirstStart(t testing.TB, dir string) {
	t.Helper()
	half := filepath.Join(dir, "pgdata.new")
	for _, d := range []string{filepath.Join(half, "base"), filepath.Join(dir, "pgdata")} { // pgdata is empty: it may be used
		if err := os.MkdirAll(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(half, "PG_VERSION"), "15\n")
}

func TestFirstAndWarmStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dbtest.DataDir(t), "deeper", "data")
	interruptedFirstStart(t, dir)
	s := start(t, dir)
	if _, err := os.Stat(filepath.Join(dir, "pgdata.new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("pgdata.new: %v, want it gone", err)
	}
	if s.Adopted {
		t.Error("a new server is called adopted")
	}
	exec(t, s.URL, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)`)
	if got := scan[string](t, s.URL, `SELECT current_user || ' ' || rolsuper FROM pg_roles WHERE rolname = current_user`); got != "parley false" {
		t.Errorf("the hub works as %s, want parley, who is no superuser", got)
	}
	if got := scan[string](t, s.URL, `SELECT lower('ÉÄЖ')`); got != "éäж" {
		t.Errorf("lower gives %q", got)
	}
	if got := scan[string](t, s.URL, `SHOW listen_addresses`); got != "" {
		t.Errorf("the server listens on %q", got)
	}
	if group, err := syscall.Getpgid(s.Pid()); err != nil || group != s.Pid() {
		t.Errorf("the server is in process group %d (%v), want one of its own", group, err)
	}
	pgdata, socketDir := s.PlaceOf()
	for _, private := range []string{pgdata, socketDir} {
		if fi, err := os.Stat(private); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v, want a folder for its owner alone", private, fi, err)
		}
	}
	stop(t, s)
	stop(t, s) // does nothing

	s = start(t, dir)
	answers(t, s.URL)
}

func TestKilledHubIsAdopted(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	hub := startHub(t, dir)
	exec(t, hub.url, `INSERT INTO kept VALUES (8)`)
	hub.kill(t)

	s := start(t, dir)
	if !s.Adopted {
		t.Error("the orphan was not adopted")
	}
	if n := scan[int](t, s.URL, `SELECT count(*) FROM kept`); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	old := s.Pid()
	kill(t, old) // an adopted one that dies is started again as well
	testsignal.Until(t, "a new postmaster", func() bool { return pidIn(dir) != old })
	answers(t, s.URL)
	stop(t, s)
	if s = start(t, dir); s.Adopted {
		t.Error("Stop left the server running")
	}
}

func pidIn(dir string) int {
	pid, _, err := cluster.Postmaster(filepath.Join(dir, "pgdata"))
	if err != nil {
		return 0
	}
	return pid
}

func TestKilledHubAndPostmaster(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	for range 3 {
		hub := startHub(t, dir)
		answers(t, hub.url)
		pid := pidIn(dir)
		hub.kill(t)
		kill(t, pid)
	}
	s := start(t, dir)
	if s.Adopted {
		t.Error("a dead server was adopted")
	}
	answers(t, s.URL)
}

func TestPostmasterThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := start(t, madeDir(t))
	pool, err := postgres.Open(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	kill(t, s.Pid())
	testsignal.Until(t, "the pool works again", func() bool {
		var n int
		return pool.QueryRow(t.Context(), `SELECT n FROM kept`).Scan(&n) == nil
	})
}

func TestStaleFilesOfAStranger(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, dir)
	pgdata, socketDir := s.PlaceOf()
	stop(t, s)
	// A living process that is no postmaster, and of a user whose processes the server may signal.
	stranger := osexec.Command("sleep", "600")
	stranger.SysProcAttr = &syscall.SysProcAttr{}
	if fi, err := os.Stat(pgdata); err == nil && os.Geteuid() == 0 {
		st := fi.Sys().(*syscall.Stat_t)
		stranger.SysProcAttr.Credential = &syscall.Credential{Uid: st.Uid, Gid: st.Gid}
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	pid := strconv.Itoa(stranger.Process.Pid)
	for name, content := range map[string]string{
		filepath.Join(pgdata, "postmaster.pid"):        strings.Join([]string{pid, pgdata, "1700000000", "5432", socketDir, "", "  1234 5", "ready", ""}, "\n"),
		filepath.Join(socketDir, ".s.PGSQL.5432.lock"): strings.Join([]string{pid, pgdata, "1700000000", "5432", socketDir, ""}, "\n"),
		filepath.Join(socketDir, ".s.PGSQL.5432"):      "",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = start(t, dir)
	if s.Adopted {
		t.Error("a stranger was adopted")
	}
	answers(t, s.URL)
}

func TestSecondHubIsRefused(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	s := start(t, dir)
	err := refused(t, options(t, dir))
	wantWords(t, err, "another Parley is using "+dir)
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("code %s, want conflict", errs.CodeOf(err))
	}
	answers(t, s.URL) // the first has not noticed
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dbtest.DataDir(t), strings.Repeat("long", 30))
	if err := os.Rename(madeDir(t), dir); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	_, socketDir := s.PlaceOf()
	t.Cleanup(func() { _ = os.RemoveAll(socketDir) })
	if len(socketDir) > 80 {
		t.Errorf("the socket is in %s", socketDir)
	}
	answers(t, s.URL)
}
