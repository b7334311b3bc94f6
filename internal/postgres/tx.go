package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SQLSTATE classes that callers tell apart.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

const (
	txAttempts = 6 // the first and five repeats
	txBackoff  = 5 * time.Millisecond
)

// InTx runs fn in one READ COMMITTED transaction and commits it; an error or a panic of fn rolls back. When Postgres
// chose the transaction as the victim of a deadlock or of a serialization failure, everything of it is undone and fn
// runs again, so fn must have no effect outside the transaction.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, fn)
		if err == nil || attempt == txAttempts || !mustRepeat(err) {
			return err
		}
		// Rivals that met once meet again if both come back at once.
		wait := time.NewTimer(time.Duration(attempt)*txBackoff + rand.N(txBackoff))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
}

func mustRepeat(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serializationFailure || pg.Code == deadlockDetected)
}

// Unique tells whether err is the refusal of a row that is there already, and by which constraint or unique index. For
// a partitioned table the name is that of the partition's own index.
func Unique(err error) (constraint string, ok bool) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		return pg.ConstraintName, true
	}
	return "", false
}
