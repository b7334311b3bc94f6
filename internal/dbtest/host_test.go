package dbtest

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest/testserver"
)

// another opens the shared server as another process would.
func another(t *testing.T) *host {
	t.Helper()
	h, err := openHost(t.Context(), process.sharedHost(t).admin.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.close(context.Background()) })
	return h
}

func take(t *testing.T, h *host) int32 {
	t.Helper()
	no, err := h.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return no
}

func execIn(t *testing.T, address, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func databases(t *testing.T, h *host) []string {
	t.Helper()
	rows, err := h.ctl.Query(t.Context(), `SELECT datname FROM pg_database`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestClonesOfEndedProcessesAreUsedAgain(t *testing.T) {
	t.Parallel()
	// A server without other tests: their processes would take the clones first.
	own := process.ownHost(t)
	open := func() *host {
		h, err := openHost(t.Context(), own.admin.String())
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	first, second := open(), open()
	a, b := take(t, first), take(t, second)
	if a == b {
		t.Fatalf("two processes have clone %d", a)
	}
	execIn(t, first.url(first.clone(a)), `INSERT INTO tag (name) VALUES ('left')`)
	if err := first.close(t.Context()); err != nil { // ends without a word
		t.Fatal(err)
	}
	third := open()
	defer func() { _ = second.close(context.Background()); _ = third.close(context.Background()) }()
	taken := take(t, third)
	if taken == b {
		t.Fatalf("clone %d is in use", b)
	}
	conn, err := pgx.Connect(t.Context(), third.url(third.clone(taken)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM tag`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows of the ended process (%v)", n, err)
	}
}

func TestSpoiltCloneIsMadeAnew(t *testing.T) {
	t.Parallel()
	h := another(t)
	no := take(t, h)
	address := h.url(h.clone(no))
	for _, spoil := range []string{`ALTER TABLE tag ADD COLUMN extra int`, `DROP TABLE tag`, `CREATE TABLE more (n int)`} {
		execIn(t, address, spoil)
		h.give(no)
		if again := take(t, h); again != no {
			t.Fatalf("clone %d, want %d again", again, no)
		}
		execIn(t, address, `INSERT INTO tag (name, color) VALUES ('a', 'b'); SELECT FROM stage`)
	}
	execIn(t, address, `DO $$ BEGIN IF to_regclass('more') IS NOT NULL THEN RAISE 'more is left'; END IF; END $$`)
}

func TestProgramLeftConnectedIsThrownOut(t *testing.T) {
	t.Parallel()
	h := another(t)
	no := take(t, h)
	conn, err := pgx.Connect(t.Context(), h.url(h.clone(no)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `BEGIN; INSERT INTO tag (name) VALUES ('open')`); err != nil {
		t.Fatal(err)
	}
	h.give(no)
	take(t, h)
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("it is still connected")
	}
}

func TestOldSchemasAreSwept(t *testing.T) {
	t.Parallel()
	h := another(t)
	old, inUse := clonePrefix+"0000000000_1", clonePrefix+"0000000000_2"
	for _, name := range []string{old, inUse} {
		if err := h.create(t.Context(), name, "template0"); err != nil {
			t.Fatal(err)
		}
	}
	user := another(t)
	if _, err := user.ctl.Exec(t.Context(), `SELECT pg_advisory_lock(hashtextextended($1, 0))`, inUse); err != nil {
		t.Fatal(err)
	}
	if err := h.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	have := databases(t, h)
	if slices.Contains(have, old) || !slices.Contains(have, inUse) || !slices.Contains(have, h.template()) {
		t.Errorf("left are %v", have)
	}
	if err := h.drop(t.Context(), inUse); err != nil {
		t.Error(err)
	}
}

// A server of somebody else may give us a role that is no superuser but may make databases.
func TestRoleThatIsNoSuperuser(t *testing.T) {
	t.Parallel()
	server, err := testserver.Private(t.Context(), os.Getenv(envBin))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop(context.Background()) }()
	execIn(t, server.URL, `CREATE ROLE guest LOGIN CREATEDB`)
	h, err := openHost(t.Context(), strings.Replace(server.URL, "postgres@", "guest@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = h.close(context.Background()) }()
	no := take(t, h)
	execIn(t, h.url(h.clone(no)), `DELETE FROM stage`)
	h.give(no)
	no = take(t, h)
	execIn(t, h.url(h.clone(no)), `DO $$ BEGIN IF (SELECT count(*) FROM stage) <> 6 THEN RAISE 'not the seeded rows'; END IF; END $$`)
}

func TestAddressMustBeAURL(t *testing.T) {
	t.Parallel()
	if _, err := openHost(t.Context(), "host=/tmp user=postgres"); err == nil || !strings.Contains(err.Error(), "URL") {
		t.Errorf("got %v", err)
	}
}
