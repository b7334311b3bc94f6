package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// HolderLag is the lag from which on it is worth asking who holds the horizon, and telling people.
const HolderLag = 2 * time.Second

// Holder is the oldest transaction that writes, on any database of the server: nobody reads past it.
type Holder struct {
	PID         int32         `json:"pid"` // 0: a prepared transaction, which no process holds
	Application string        `json:"application"`
	Database    string        `json:"database"`
	User        string        `json:"user"`
	State       string        `json:"state"` // as in pg_stat_activity; "prepared" for a prepared transaction
	Age         time.Duration `json:"age"`
}

func (h Holder) String() string {
	return fmt.Sprintf("pid %d (%s, database %s, user %s, %s for %s)", h.PID, h.Application, h.Database, h.User, h.State, h.Age.Round(time.Millisecond))
}

// holderSQL: other users' application and state are hidden from a role without pg_monitor; the pid is not.
const holderSQL = `
SELECT pid, application, database, usr, state, age FROM (
    SELECT pid, coalesce(application_name, '') AS application, coalesce(datname, '') AS database, coalesce(usename, '') AS usr,
           coalesce(state, 'hidden') AS state, backend_xid AS xid,
           coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8 AS age
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
    UNION ALL
    SELECT 0, gid, database, owner, 'prepared', transaction, extract(epoch FROM clock_timestamp() - prepared)::float8
    FROM pg_prepared_xacts) h
ORDER BY age(xid) DESC LIMIT 1`

// Holder names the transaction that holds the horizon while the spine lags by more than HolderLag; ok is false when
// there is nothing to tell.
func (t *Tailer) Holder(ctx context.Context) (h Holder, ok bool, err error) {
	if t.Lag() <= HolderLag {
		return Holder{}, false, nil
	}
	var age float64
	err = t.pool.QueryRow(ctx, holderSQL).Scan(&h.PID, &h.Application, &h.Database, &h.User, &h.State, &age)
	if errors.Is(err, pgx.ErrNoRows) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, fmt.Errorf("find who holds the horizon: %w", err)
	}
	h.Age = time.Duration(age * float64(time.Second))
	return h, true, nil
}
