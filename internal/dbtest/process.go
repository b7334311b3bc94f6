package dbtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/parley-hub/parley/internal/dbtest/testserver"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	// EnvURL names the server that tests use; a superuser's URL lets clones be used again.
	EnvURL       = "PARLEY_TEST_DATABASE_URL"
	envBin       = "PARLEY_PG_BIN"
	startTimeout = 2 * time.Minute
)

// process is what this test binary has open.
var process state //nolint:gochecknoglobals // "go test" runs tests without handing anything down

type state struct {
	mu      sync.Mutex
	shared  *host
	server  *testserver.Server // the shared one, nil when EnvURL names another
	own     *host
	ownSrv  *testserver.Server
	tx      *pgxpool.Pool
	failure error // of the shared server: tried once, then every test says the same
}

func (s *state) sharedHost(t testing.TB) *host {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shared == nil && s.failure == nil {
		s.shared, s.server, s.failure = openShared()
	}
	if s.failure != nil {
		t.Fatalf("dbtest: %v\nto use a server of your own: export %s=postgres://superuser@host/postgres", s.failure, EnvURL)
	}
	if s.server != nil {
		_ = s.server.Touch() // when it is gone the test will say so
	}
	return s.shared
}

func openShared() (*host, *testserver.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if url := os.Getenv(EnvURL); url != "" {
		h, err := openHost(ctx, url)
		return h, nil, err
	}
	server, err := testserver.Shared(ctx, os.Getenv(envBin))
	if err != nil {
		return nil, nil, err
	}
	h, err := openHost(ctx, server.URL)
	return h, server, err
}

func (s *state) ownHost(t testing.TB) *host {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		return s.own
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := testserver.Private(ctx, os.Getenv(envBin))
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	h, err := openHost(ctx, server.URL)
	if err != nil {
		_ = server.Stop(ctx)
		t.Fatalf("dbtest: %v", err)
	}
	s.own, s.ownSrv = h, server
	return h
}

// txPool is the pool of all rolled-back transactions; its clone is ours until the process ends.
func (s *state) txPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	h := s.sharedHost(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tx != nil {
		return s.tx
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	no, err := h.take(ctx)
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	if s.tx, err = postgres.Open(ctx, h.url(h.clone(no))); err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return s.tx
}

func (s *state) close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.tx != nil {
		s.tx.Close()
	}
	if s.shared != nil {
		errs = append(errs, s.shared.close(ctx))
	}
	if s.own != nil {
		errs = append(errs, s.own.close(ctx))
	}
	if s.ownSrv != nil {
		errs = append(errs, s.ownSrv.Stop(ctx))
	}
	return errors.Join(errs...)
}

// Main runs the tests of a package, ends what dbtest holds, fails the run when a goroutine is left, and exits. Use it as
//
//	func TestMain(m *testing.M) { dbtest.Main(m) }
func Main(m *testing.M, ignore ...goleak.Option) { os.Exit(Run(m, ignore...)) }

// Run is Main for a package that has something of its own to end before it exits with the code.
func Run(m *testing.M, ignore ...goleak.Option) (code int) {
	code = m.Run()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	if err := process.close(ctx); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "dbtest:", err)
		code = max(code, 1)
	}
	cancel()
	if code == 0 {
		if err := goleak.Find(ignore...); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}
