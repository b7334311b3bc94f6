package backup_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/backup"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

func options() backup.Options {
	return backup.Options{
		Program: "test", Skip: []string{"session"},
		Files:    []string{`SELECT blob FROM attachment WHERE blob <> ''`},
		Settle:   []string{`UPDATE outbox SET state = 'uncertain' WHERE state = 'queued'`},
		Occupied: []string{"agent", "contact"},
	}
}

func store(t *testing.T) *blob.Dir {
	t.Helper()
	d, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// empty is a pool on a database without any schema.
func empty(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), dbtest.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

func scan[T any](t *testing.T, pool *pgxpool.Pool, sql string) T {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return v
}

// furnish puts a little of everything into an installation: awkward text, a circle of references, an old partition, an
// append-only table, a queued message, a file and one that is gone.
func furnish(t *testing.T, pool *pgxpool.Pool, s blob.Store) (key string) {
	t.Helper()
	key, _, err := s.Put(t.Context(), strings.NewReader("the photo"), 100)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, pool, `INSERT INTO agent (email, name, role, scope, password_hash) VALUES ('a@b.test', E'Tab\tand \\ back\nslash', 'admin', 'all', 'x')`)
	exec(t, pool, `INSERT INTO session (token_hash, agent_id, expires_at) SELECT '\x00', id, now() + '1 day' FROM agent`)
	exec(t, pool, `INSERT INTO contact (name) VALUES ('አበበ'), ('Жук')`)
	exec(t, pool, `UPDATE contact SET merged_into = (SELECT min(id) FROM contact) WHERE name = 'Жук'`)
	exec(t, pool, `INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, text, status)
SELECT now() - n * interval '20 days', gen_random_uuid(), 1, 'message', 'in', 'contact', repeat('long ', 500), 'received' FROM generate_series(0, 3000) n`)
	exec(t, pool, `INSERT INTO outbox (client_id, channel_id, conversation_id, message_at, message_id) SELECT id, 1, 1, at, id FROM message LIMIT 1`)
	exec(t, pool, `INSERT INTO attachment (id, state, blob) VALUES (gen_random_uuid(), 'ok', $1), (gen_random_uuid(), 'ok', $2)`, key, strings.Repeat("0", 64))
	exec(t, pool, `INSERT INTO event (kind, actor_kind, subject_kind, subject_id, payload) VALUES ('x', 'system', 'x', '1', '{}')`)
	exec(t, pool, `INSERT INTO audit (at, kind, actor_kind, subject_kind, subject_id, epoch, xid, event_id) SELECT at, kind, actor_kind, subject_kind, subject_id, epoch, xid, id FROM event`)
	exec(t, pool, `INSERT INTO lease (name, node, epoch, expires_at) VALUES ('channel:1', 'old', 7, now() + '1 hour')`)
	return key
}

func write(t *testing.T, pool *pgxpool.Pool, s blob.Store) ([]byte, backup.Summary) {
	t.Helper()
	var b bytes.Buffer
	sum, err := backup.Write(t.Context(), pool, s, &b, options())
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), sum
}

func TestEverythingComesBack(t *testing.T) {
	t.Parallel()
	from, files := dbtest.DB(t), store(t)
	key := furnish(t, from, files)
	stream, wrote := write(t, from, files)
	if wrote.Files != 1 || wrote.Missing != 1 {
		t.Errorf("%d files are inside and %d missing, want 1 and 1", wrote.Files, wrote.Missing)
	}
	into, kept := empty(t), store(t)
	got, err := backup.Restore(t.Context(), into, kept, bytes.NewReader(stream), options())
	if err != nil {
		t.Fatal(err)
	}
	if got.Rows != wrote.Rows || got.Epoch != 2 {
		t.Errorf("restored %d rows with epoch %d, want %d and 2", got.Rows, got.Epoch, wrote.Rows)
	}
	for _, table := range []string{"agent", "contact", "message", "event", "audit", "stage", "attachment"} {
		sql := `SELECT md5(coalesce(string_agg(x::text, '|' ORDER BY x::text), '')) FROM ` + table + ` x`
		if a, b := scan[string](t, from, sql), scan[string](t, into, sql); a != b {
			t.Errorf("%s differs", table)
		}
	}
	if f, _, err := kept.Open(t.Context(), key); err != nil {
		t.Errorf("the file did not come back: %v", err)
	} else if err := f.Close(); err != nil {
		t.Error(err)
	}
	for what, want := range map[string]int64{
		`SELECT count(*) FROM session`:                                       0,
		`SELECT count(*) FROM outbox WHERE state = 'uncertain'`:              1,
		`SELECT count(*) FROM lease WHERE expires_at > now()`:                0,
		`SELECT epoch FROM lease`:                                            7,
		`SELECT count(*) FROM pg_constraint WHERE contype = 'f'`:             scan[int64](t, from, `SELECT count(*) FROM pg_constraint WHERE contype = 'f'`),
		`SELECT count(*) FROM pg_trigger WHERE tgenabled <> 'O'`:             0,
		`SELECT count(*) FROM pg_inherits WHERE inhparent='event'::regclass`: scan[int64](t, from, `SELECT count(*) FROM pg_inherits WHERE inhparent='event'::regclass`),
	} {
		if got := scan[int64](t, into, what); got != want {
			t.Errorf("%s is %d, want %d", what, got, want)
		}
	}
	// Numbers go on where they were.
	exec(t, into, `INSERT INTO contact (name) VALUES ('next')`)
	exec(t, into, `INSERT INTO agent (email, name, role, scope, password_hash) VALUES ('c@d.test', 'C', 'agent', 'own', 'x')`)
	if _, err := into.Exec(t.Context(), `DELETE FROM audit`); err == nil {
		t.Error("the restored audit can be emptied")
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	from, files := dbtest.DB(t), store(t)
	furnish(t, from, files)
	stream, _ := write(t, from, files)

	t.Run("an installation in use", func(t *testing.T) {
		t.Parallel()
		into := dbtest.DB(t)
		exec(t, into, `INSERT INTO contact (name) VALUES ('somebody')`)
		o := options()
		o.IntoEmpty = true
		refused(t, into, stream, o, "in use")
	})
	t.Run("one that was started, without the words", func(t *testing.T) {
		t.Parallel()
		into := dbtest.DB(t)
		exec(t, into, `INSERT INTO lease (name, node, expires_at) VALUES ('router', 'n', now() - interval '1 hour')`)
		refused(t, into, stream, options(), "--into-empty-database")
		o := options()
		o.IntoEmpty = true
		if _, err := backup.Restore(t.Context(), into, store(t), bytes.NewReader(stream), o); err != nil {
			t.Errorf("with the words: %v", err)
		}
	})
	t.Run("one that runs", func(t *testing.T) {
		t.Parallel()
		into := dbtest.DB(t)
		exec(t, into, `INSERT INTO lease (name, node, expires_at) VALUES ('router', 'n', now() + interval '1 hour')`)
		o := options()
		o.IntoEmpty = true
		refused(t, into, stream, o, "running")
	})
	t.Run("what is no backup", func(t *testing.T) {
		t.Parallel()
		refused(t, empty(t), []byte("PGDMP"), options(), "no backup")
	})
}

func refused(t *testing.T, into *pgxpool.Pool, stream []byte, o backup.Options, words string) {
	t.Helper()
	_, err := backup.Restore(t.Context(), into, store(t), bytes.NewReader(stream), o)
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %q", err, words)
	}
}

// A stream that was cut off or changed leaves nothing behind, and the same database takes the whole one afterwards.
func TestDamagedBackups(t *testing.T) {
	t.Parallel()
	from, files := dbtest.DB(t), store(t)
	furnish(t, from, files)
	stream, _ := write(t, from, files)
	into := empty(t)
	for name, change := range map[string]func(name string, content []byte) (string, []byte, bool){
		"a row less": func(name string, b []byte) (string, []byte, bool) {
			if strings.HasPrefix(name, "tables/stage/") {
				_, b, _ = bytes.Cut(b, []byte("\n"))
			}
			return name, b, true
		},
		"a table less": func(name string, b []byte) (string, []byte, bool) {
			return name, b, !strings.HasPrefix(name, "tables/audit/")
		},
		"a changed file": func(name string, b []byte) (string, []byte, bool) {
			if strings.HasPrefix(name, "files/") {
				b = bytes.ToUpper(b)
			}
			return name, b, true
		},
		"no file":     func(name string, b []byte) (string, []byte, bool) { return name, b, !strings.HasPrefix(name, "files/") },
		"no manifest": func(name string, b []byte) (string, []byte, bool) { return name, b, name != "manifest.json" },
		"another bound": func(name string, b []byte) (string, []byte, bool) {
			if name == "header.json" {
				b = bytes.Replace(b, []byte("TO ('"), []byte("TO ('x'); DROP TABLE agent; --"), 1)
			}
			return name, b, true
		},
	} {
		_, err := backup.Restore(t.Context(), into, store(t), bytes.NewReader(rewrite(t, stream, change)), options())
		if err == nil || !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	for _, n := range []int{10, len(stream) / 2, len(stream) - 20} {
		if _, err := backup.Restore(t.Context(), into, store(t), bytes.NewReader(stream[:n]), options()); err == nil {
			t.Errorf("%d of %d bytes were restored", n, len(stream))
		}
	}
	if n := scan[int64](t, into, `SELECT count(*) FROM agent`); n != 0 {
		t.Errorf("%d agents are left of damaged backups", n)
	}
	if _, err := backup.Restore(t.Context(), into, store(t), bytes.NewReader(stream), options()); err != nil {
		t.Errorf("the whole one after them: %v", err)
	}
}

// rewrite makes another stream of one, entry by entry.
func rewrite(t *testing.T, stream []byte, change func(name string, content []byte) (string, []byte, bool)) []byte {
	t.Helper()
	in, err := gzip.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	r, w := tar.NewReader(in), tar.NewWriter(zip)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name, content, keep := change(h.Name, content)
		if !keep {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What commits while the backup is being written is wholly inside or wholly outside, and nobody waits for the backup.
func TestOneSnapshot(t *testing.T) {
	t.Parallel()
	from, files := dbtest.DB(t), store(t)
	furnish(t, from, files)
	ctx := t.Context()
	wrote := false
	var b bytes.Buffer
	// The first table's first bytes have been read when this runs; contact comes later in the alphabet than agent.
	_, err := backup.Write(ctx, from, files, writerFunc(func(p []byte) (int, error) {
		if !wrote {
			wrote = true
			if err := lateLead(ctx, from); err != nil {
				return 0, err
			}
		}
		return b.Write(p)
	}), options())
	if err != nil {
		t.Fatal(err)
	}
	into := empty(t)
	if _, err := backup.Restore(ctx, into, store(t), &b, options()); err != nil {
		t.Fatal(err)
	}
	if n := scan[int64](t, into, `SELECT count(*) FROM lead`) + scan[int64](t, into, `SELECT count(*) FROM contact WHERE name = 'late'`); n != 0 {
		t.Errorf("%d rows of a later commit are inside", n)
	}
	if scan[int64](t, from, `SELECT count(*) FROM lead`) != 1 {
		t.Error("the writer did not get through")
	}
}

func lateLead(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, `WITH c AS (INSERT INTO contact (name) VALUES ('late') RETURNING id)
INSERT INTO lead (contact_id, pipeline_id, stage_id) SELECT c.id, s.pipeline_id, s.id FROM c, stage s LIMIT 1`)
	return err
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
