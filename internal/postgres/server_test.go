package postgres_test

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

// dataDir makes a directory that the server's user can reach; t.TempDir is closed to everybody else, which matters to
// root.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "parley-hub-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// options are those of a server that need not survive a power failure.
func options(t *testing.T, dir string) postgres.ServerOptions {
	return postgres.ServerOptions{
		DataDir: dir, BinDir: os.Getenv("PARLEY_PG_BIN"), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Extra: []string{"fsync=off", "shared_buffers=16MB"},
	}
}

func start(t *testing.T, dir string) *postgres.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	s, err := postgres.StartServer(ctx, options(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *postgres.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func exec(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func scan[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var v T
	if err := conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFirstAndWarmStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(dataDir(t), "deeper", "data") // neither exists
	s := start(t, dir)
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
	fi, err := os.Stat(filepath.Join(dir, "pgsocket"))
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder is open: %v", fi.Mode())
	}
	stop(t, s)

	s = start(t, dir)
	if got := scan[int](t, s.URL, `SELECT n FROM kept`); got != 7 {
		t.Errorf("got %d after the second start, want 7", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "pgdata.new")); err == nil || !os.IsNotExist(err) {
		t.Errorf("pgdata.new: %v, want it gone", err)
	}
	_ = fs.ErrNotExist
}
