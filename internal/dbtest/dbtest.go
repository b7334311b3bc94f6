package dbtest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/postgres"
)

const cleanupTimeout = 15 * time.Second

// Tx begins a transaction that is rolled back when the test ends. All transactions of a process are in one database:
// tests that insert the same unique value wait for each other.
func Tx(t testing.TB) pgx.Tx {
	t.Helper()
	pool := process.txPool(t)
	ctx := context.Background() // the rollback comes after the end of t.Context()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatalf("dbtest: begin: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
		defer cancel()
		_ = tx.Rollback(ctx) // the test may have ended it
	})
	return tx
}

// DB returns a pool on a private database with the migrated schema and the rows that migrations seed. It is closed when
// the test ends.
func DB(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return openPool(t, process.sharedHost(t))
}

// URL returns the address of a private migrated database, for tests that start the real program. What is still
// connected when the test ends is disconnected.
func URL(t testing.TB) string {
	t.Helper()
	return takeClone(t, process.sharedHost(t))
}

// Server returns a pool on a private database of a server that this process has for itself.
func Server(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return openPool(t, process.ownHost(t))
}

// ServerURL is URL on the server of Server.
func ServerURL(t testing.TB) string {
	t.Helper()
	return takeClone(t, process.ownHost(t))
}

// Empty returns the address of a database without any schema. It is dropped when the test ends.
func Empty(t testing.TB) string {
	t.Helper()
	h := process.sharedHost(t)
	name, err := h.empty(t.Context())
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := h.discard(ctx, name); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	return h.url(name)
}

// Prepare checks statements (name to SQL) against the migrated schema: names of tables and columns, types, syntax.
func Prepare(t *testing.T, statements map[string]string) {
	t.Helper()
	tx := Tx(t)
	for _, name := range slices.Sorted(maps.Keys(statements)) {
		if _, err := tx.Exec(t.Context(), "SAVEPOINT statement"); err != nil {
			t.Fatalf("dbtest: %v", err)
		}
		if _, err := tx.Conn().Prepare(t.Context(), "dbtest_check", statements[name]); err != nil {
			t.Errorf("statement %s: %v\n%s", name, err, statements[name])
			if _, err := tx.Exec(t.Context(), "ROLLBACK TO statement"); err != nil {
				t.Fatalf("dbtest: %v", err)
			}
			continue
		}
		if err := tx.Conn().Deallocate(t.Context(), "dbtest_check"); err != nil {
			t.Fatalf("dbtest: %v", err)
		}
	}
}

func openPool(t testing.TB, h *host) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), takeClone(t, h))
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func takeClone(t testing.TB, h *host) string {
	t.Helper()
	no, err := h.take(t.Context())
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dbtest: the rows of this test are in %s until another test takes it", h.url(h.clone(no)))
		}
		h.give(no)
	})
	return h.url(h.clone(no))
}
