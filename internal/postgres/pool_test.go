package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

func TestOpenSetsTheSession(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	for name, want := range map[string]string{
		"application_name": "parley", "statement_timeout": "30s", "lock_timeout": "10s",
		"idle_in_transaction_session_timeout": "15s", "TimeZone": "UTC",
	} {
		var got string
		if err := pool.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	if n := pool.Config().MaxConns; n < 10 || n > 20 {
		t.Errorf("%d connections at most, want 10 to 20", n)
	}
}

func TestOpenObeysTheURL(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), dbtest.URL(t)+"&statement_timeout=1234&pool_max_conns=3")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var got string
	if err := pool.QueryRow(t.Context(), `SHOW statement_timeout`).Scan(&got); err != nil || got != "1234ms" {
		t.Errorf("statement_timeout is %q (%v), want 1234ms", got, err)
	}
	if n := pool.Config().MaxConns; n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	s := start(t, madeDir(t))
	_, socketDir := s.PlaceOf()
	admin := cluster.URL(cluster.Superuser, "postgres", socketDir)
	exec(t, admin, `CREATE DATABASE plain ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0`)
	exec(t, admin, `CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
	exec(t, admin, `CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0`)
	for database, words := range map[string][]string{
		"plain":   {"LC_CTYPE", "is C,", "C.UTF-8"},
		"latin":   {"encoding is LATIN1", "UTF8"},
		"ascii":   {"encoding is SQL_ASCII", "UTF8"},
		"missing": {"does not answer", "missing"},
	} {
		pool, err := postgres.Open(t.Context(), cluster.URL("parley", database, socketDir))
		if err == nil {
			pool.Close()
			t.Errorf("%s was accepted", database)
		}
		wantWords(t, err, words...)
	}
	_, err := postgres.Open(t.Context(), "postgres://parley:hush@[/x")
	if !errs.Is(err, errs.Invalid) {
		t.Errorf("a broken address gives %v, want invalid", err)
	}
	if err != nil && strings.Contains(err.Error(), "hush") {
		t.Errorf("the password is told: %v", err)
	}
}

func TestInTxRepeatsTheVictimOfADeadlock(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	if _, err := pool.Exec(t.Context(), `INSERT INTO tag (name) VALUES ('a'), ('b')`); err != nil {
		t.Fatal(err)
	}
	// Each holds one row before it asks for the other's, the first time.
	holds := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	attempts := make(chan int, 2)
	run := func(mine, other string) error {
		n := 0
		err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			n++
			if _, err := tx.Exec(t.Context(), `UPDATE tag SET color = color || 'x' WHERE name = $1`, mine); err != nil {
				return err
			}
			if n == 1 {
				close(holds[mine])
				<-holds[other]
			}
			_, err := tx.Exec(t.Context(), `UPDATE tag SET color = color || 'x' WHERE name = $1`, other)
			return err
		})
		attempts <- n
		return err
	}
	done := make(chan error, 2)
	go func() { done <- run("a", "b") }()
	go func() { done <- run("b", "a") }()
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatal(err)
	}
	if n := <-attempts + <-attempts; n != 3 {
		t.Errorf("%d attempts, want 3: the victim's second", n)
	}
	var colors string
	if err := pool.QueryRow(t.Context(), `SELECT string_agg(color, ',' ORDER BY name) FROM tag`).Scan(&colors); err != nil || colors != "xx,xx" {
		t.Errorf("colors %q (%v), want each written twice", colors, err)
	}
}

func TestInTxGivesUp(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	n := 0
	err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		n++
		_, err := tx.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = 'serialization_failure'; END $$`)
		return err
	})
	if err == nil || n != 6 {
		t.Errorf("%d attempts, error %v; want 6 and the error", n, err)
	}
}

func TestInTxRollsBack(t *testing.T) {
	t.Parallel()
	pool := dbtest.DB(t)
	insert := func(tx pgx.Tx) {
		if _, err := tx.Exec(t.Context(), `INSERT INTO tag (name) VALUES ('undone')`); err != nil {
			t.Error(err)
		}
	}
	wrong := errors.New("wrong")
	if err := postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error { insert(tx); return wrong }); !errors.Is(err, wrong) {
		t.Errorf("got %v, want the error of the function", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error { insert(tx); panic("oh") })
	}()
	var n int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM tag`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows (%v), want 0", n, err)
	}
	if used := pool.Stat().AcquiredConns(); used != 0 {
		t.Errorf("%d connections are not given back", used)
	}
}

func TestUnique(t *testing.T) {
	t.Parallel()
	tx := dbtest.Tx(t)
	_, err := tx.Exec(t.Context(), `INSERT INTO tag (name) VALUES ('twice'), ('twice')`)
	if c, ok := postgres.Unique(err); !ok || c != "tag_pkey" {
		t.Errorf("got %q %v, want tag_pkey", c, ok)
	}
	if _, ok := postgres.Unique(errors.New("else")); ok {
		t.Error("any error is taken for a duplicate")
	}
}

func TestNodeIDStays(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first, err := postgres.NodeID(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := postgres.NodeID(dir)
	if err != nil || first != second || len(first) < 12 {
		t.Errorf("%q, then %q (%v)", first, second, err)
	}
	if other, err := postgres.NodeID(t.TempDir()); err != nil || other == first {
		t.Errorf("two directories have the same id %q (%v)", other, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "node-id"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.NodeID(dir); !errs.Is(err, errs.Invalid) {
		t.Errorf("an empty file gives %v, want it refused", err)
	}
}

func TestBumpEpoch(t *testing.T) {
	t.Parallel()
	tx := dbtest.Tx(t)
	if epoch, err := postgres.BumpEpoch(t.Context(), tx); err != nil || epoch != 2 {
		t.Errorf("epoch %d (%v), want 2", epoch, err)
	}
}

// The statements of this package that the compiler cannot check.
func TestStatements(t *testing.T) {
	t.Parallel()
	dbtest.Prepare(t, postgres.Statements())
}
