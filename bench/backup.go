package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/e2e/rig"
)

const manyMessages = `INSERT INTO message (at, id, conversation_id, kind, direction, author_kind, text, status)
SELECT now() - n * interval '1 minute', gen_random_uuid(), n % 2000, 'message', 'in', 'contact',
       (SELECT string_agg(md5((n * 7 + k)::text), ' ') FROM generate_series(1, 1 + n % 8) k), 'received' FROM generate_series(1, $1::int) n`

// backups takes a backup of a hub that serves, and restores it; the limit is COPY of the rows to nowhere.
func backups(ctx context.Context, w *world) (rows []row, err error) {
	n := w.times(100_000, 5000)
	err = w.with(ctx, func(h *hub) error {
		if err := rig.Exec(ctx, h.url, manyMessages, n); err != nil {
			return err
		}
		file := filepath.Join(w.dir, h.name+".tar.gz")
		var floor, took []float64
		var bytes int64
		for range w.rounds() {
			began := time.Now()
			c := &counter{}
			if err := rig.WithConn(ctx, h.url, func(conn *pgx.Conn) error {
				_, err := conn.PgConn().CopyTo(ctx, c, "COPY (SELECT * FROM message) TO STDOUT")
				return err
			}); err != nil {
				return err
			}
			floor, bytes = append(floor, time.Since(began).Seconds()), c.n
			began = time.Now()
			if _, err := h.Hub.Run("backup", file); err != nil {
				return err
			}
			took = append(took, time.Since(began).Seconds())
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		mb := float64(bytes) / (1 << 20)
		_, into, err := w.database(ctx)
		if err != nil {
			return err
		}
		if err := h.Hub.Stop(ctx); err != nil {
			return err
		}
		if err := h.Hub.Move(into); err != nil {
			return err
		}
		began := time.Now()
		if _, err := h.Hub.Run("restore", file); err != nil {
			return err
		}
		restore := time.Since(began).Seconds()
		stored, err := rig.Column[int](ctx, into, `SELECT count(*) FROM message`)
		if err != nil {
			return err
		}
		what := itoa(int64(n)) + " messages"
		rows = []row{
			atLeast("backup of "+what+" while the hub serves, start of the program included", mb/median(took), mb/median(floor), "MB/s", 5, 0),
			atMost("size of it", float64(info.Size())/(1<<20), mb, "MB", 0, 1),
			atMost("restore of "+what, restore, 0, "s", 60, 0),
			exact("restored messages", stored[0], n),
		}
		return nil
	})
	return rows, err
}

// counter counts what it is given.
type counter struct{ n int64 }

var _ io.Writer = (*counter)(nil)

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
