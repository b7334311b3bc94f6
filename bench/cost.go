package main

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/e2e/rig"
)

// cost counts what the whole database server wrote while messages came in; nothing else may be under way in it but the
// hub's own idle work, which belongs to the cost.
type cost struct {
	messages, transactions, bytes int64
}

const sqlCost = `SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`

func (c *cost) add(ctx context.Context, h *hub, messages int, work func() error) error {
	return rig.WithConn(ctx, h.url, func(conn *pgx.Conn) error {
		var tx, lsn, txAfter, lsnAfter int64
		if err := conn.QueryRow(ctx, sqlCost).Scan(&tx, &lsn); err != nil {
			return err
		}
		if err := work(); err != nil {
			return err
		}
		if err := conn.QueryRow(ctx, sqlCost).Scan(&txAfter, &lsnAfter); err != nil {
			return err
		}
		c.messages, c.transactions, c.bytes = c.messages+int64(messages), c.transactions+txAfter-tx, c.bytes+lsnAfter-lsn
		return nil
	})
}

func (c *cost) tx() float64  { return over(float64(c.transactions), float64(c.messages)) }
func (c *cost) wal() float64 { return over(float64(c.bytes), float64(c.messages)) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
