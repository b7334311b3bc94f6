package events

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/postgres"
)

func xid(t *testing.T, pool *pgxpool.Pool) (x uint64) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `SELECT pg_current_xact_id()`).Scan(&x); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestRestoreIntoANewCluster moves the spine by dump and load to a server whose transaction ids are smaller than those
// in the rows.
func TestRestoreIntoANewCluster(t *testing.T) {
	t.Parallel()
	old, fresh := dbtest.DB(t), dbtest.Server(t)
	for xid(t, old) < xid(t, fresh)+50_000 {
		// Every subtransaction that writes uses one up.
		_, err := old.Exec(t.Context(), `DO $$ BEGIN
			CREATE TEMP TABLE IF NOT EXISTS burnt (n int);
			FOR i IN 1..60000 LOOP BEGIN INSERT INTO burnt VALUES (i); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$`)
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	write(t, old, some(0, 30)...)
	var cursors []Event
	evs, err := before(ctx, old, Cursor{Epoch: 1, XID: maxXID}, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i := range evs {
		cursors = append(cursors, evs[len(evs)-1-i])
	}
	// A follower had read ten of them when the backup was made; the last five are not in it.
	seen := cursors[9].Cursor
	var dump bytes.Buffer
	src, err := old.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Release()
	if _, err := src.Conn().PgConn().CopyTo(ctx, &dump, `COPY (SELECT * FROM event ORDER BY id LIMIT 25) TO STDOUT`); err != nil {
		t.Fatal(err)
	}
	dst, err := fresh.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dst.Conn().PgConn().CopyFrom(ctx, &dump, `COPY event FROM STDIN`); err != nil {
		t.Fatal(err)
	}
	dst.Release()
	if _, err := fresh.Exec(ctx, `SELECT setval('event_id_seq', 1000); `); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.BumpEpoch(ctx, fresh); err != nil {
		t.Fatal(err)
	}

	s := startSpine(t, fresh)
	s.write(t, some(100, 110)...)
	want := append(upTo(10, 25), upTo(100, 110)...)
	if diff := cmp.Diff(upTo(100, 110), nums(t, s.log.wait(t, 10))); diff != "" {
		t.Errorf("the tailer (-want +got):\n%s", diff)
	}
	got, err := s.Since(ctx, seen, 100)
	if diff := cmp.Diff(want, nums(t, got)); err != nil || diff != "" {
		t.Errorf("a cursor from before: %v (-want +got):\n%s", err, diff)
	}
	if _, err := s.Since(ctx, cursors[27].Cursor, 100); !errors.Is(err, ErrSnapshot) {
		t.Errorf("a cursor that the backup does not know: %v, want a snapshot", err)
	}
	r, err := read(ctx, fresh, seen, evs[0].At, 100)
	if diff := cmp.Diff(want, nums(t, r.events)); err != nil || diff != "" {
		t.Errorf("a follower: %v (-want +got):\n%s", err, diff)
	}
}

// TestEpochChangesUnderARunningTailer: the server behind the same address is replaced while nothing happens.
func TestEpochChangesUnderARunningTailer(t *testing.T) {
	t.Parallel()
	s := startSpine(t, dbtest.Server(t))
	s.write(t, some(0, 3)...)
	s.log.wait(t, 3)
	s.mu.Lock() // as if it had read them there; before they are, for it may look at any moment
	s.head.XID += 1_000_000
	s.mu.Unlock()
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `UPDATE event SET xid = (xid::text::bigint + 1000000)::text::xid8`); err != nil {
			return err
		}
		_, err := postgres.BumpEpoch(t.Context(), tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, some(3, 6)...)
	if diff := cmp.Diff(upTo(0, 6), nums(t, s.log.wait(t, 6))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := s.Head().Epoch; got != 2 {
		t.Errorf("the head is in epoch %d, want 2", got)
	}
}
