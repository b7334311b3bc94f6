package dbtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func count(t *testing.T, pool *pgxpool.Pool, sql string) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTxIsRolledBack(t *testing.T) {
	t.Parallel()
	t.Run("writes", func(t *testing.T) {
		if _, err := dbtest.Tx(t).Exec(t.Context(), `INSERT INTO tag (name) VALUES ('only here')`); err != nil {
			t.Fatal(err)
		}
	})
	var n int
	if err := dbtest.Tx(t).QueryRow(t.Context(), `SELECT count(*) FROM tag`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("%d rows are left of the first test", n)
	}
}

func TestDBIsEmptyAndSeededEachTime(t *testing.T) {
	t.Parallel()
	for range 3 {
		t.Run("use", func(t *testing.T) {
			pool := dbtest.DB(t)
			if n := count(t, pool, `SELECT count(*) FROM audit`); n != 0 {
				t.Errorf("%d audit rows of another test", n)
			}
			if n := count(t, pool, `SELECT count(*) FROM stage`); n != 6 {
				t.Errorf("%d stages, want the 6 that the migration seeds", n)
			}
			if n := count(t, pool, `SELECT count(*) FROM pg_roles WHERE rolname = current_user AND rolsuper`); n != 0 {
				t.Error("the test works as a superuser")
			}
			for _, sql := range []string{
				`INSERT INTO audit (at, kind, actor_kind, subject_kind, subject_id, epoch, xid, event_id) VALUES (now(), 'k', 'system', 's', '1', 1, '1', 1)`,
				`DELETE FROM stage`,
				`INSERT INTO pipeline (name) VALUES ('Second')`,
				`UPDATE spine SET epoch = 9`,
			} {
				if _, err := pool.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			if n := count(t, pool, `SELECT id::int FROM pipeline WHERE name = 'Second'`); n != 2 {
				t.Errorf("the sequence goes on at %d, want 2", n)
			}
		})
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	if n := count(t, dbtest.Server(t), `SELECT count(*) FROM stage`); n != 6 {
		t.Errorf("%d stages, want 6", n)
	}
}
