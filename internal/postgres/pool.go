package postgres

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/errs"
)

const (
	// maxConns is what one node uses at most unless the URL says pool_max_conns; on few cores more connections only
	// add context switches, so small machines get less.
	maxConns        = 20
	connsPerCore    = 8
	connectTimeout  = 5 * time.Second
	minMajorVersion = 15
)

// sessionDefaults are set on every connection unless the URL says otherwise. A transaction that does nothing for 15 s
// is dead and holds back the spine's horizon, so the server ends it.
func sessionDefaults() map[string]string {
	return map[string]string{
		"application_name":                    "parley",
		"statement_timeout":                   "30000",
		"lock_timeout":                        "10000",
		"idle_in_transaction_session_timeout": "15000",
		"timezone":                            "UTC",
	}
}

// Open connects to url and refuses a server that the house cannot work on: older than 15, not UTF-8, or with a
// character type under which names that are not ASCII are neither lowered nor found.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	cfg, err := poolConfig(url)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	if err := checkServer(ctx, pool); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func poolConfig(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx's message repeats the URL with the password masked; the cause says which part is wrong.
		return nil, &errs.E{Code: errs.Invalid, Field: "PARLEY_DATABASE_URL", Msg: "the database address cannot be read", Err: err}
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = int32(max(10, min(maxConns, connsPerCore*runtime.GOMAXPROCS(0)))) //nolint:gosec // 10..20
	}
	params := cfg.ConnConfig.RuntimeParams
	for k, v := range sessionDefaults() {
		if _, ok := params[k]; !ok {
			params[k] = v
		}
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	// A peer that vanished without a word (a cut cable, a dead host) is noticed in half a minute instead of hours.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	cfg.ConnConfig.DialFunc = dialer.DialContext
	return cfg, nil
}

const serverFacts = `
SELECT current_setting('server_version_num')::int / 10000,
       current_setting('server_version'),
       current_setting('server_encoding'),
       d.datctype,
       lower('ÉÄЖ') = 'éäж' AND 'жук' ~ '^\w+$'
FROM pg_database d WHERE d.datname = current_database()`

func checkServer(ctx context.Context, pool *pgxpool.Pool) error {
	var (
		major                    int
		version, encoding, ctype string
		foldsCase                bool
	)
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return &errs.E{Code: errs.Unavailable, Msg: "the database does not answer", Err: err}
	}
	defer conn.Release()
	// Under SQL_ASCII or a one-byte encoding the Cyrillic literal of serverFacts is itself an error: ask first.
	if err := conn.QueryRow(ctx, `SELECT current_setting('server_encoding')`).Scan(&encoding); err != nil {
		return fmt.Errorf("ask the database for its encoding: %w", err)
	}
	if encoding != "UTF8" {
		return errs.New(errs.Invalid, "the database's encoding is %s; Parley needs UTF8: CREATE DATABASE parley ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0", encoding)
	}
	if err := conn.QueryRow(ctx, serverFacts).Scan(&major, &version, &encoding, &ctype, &foldsCase); err != nil {
		return fmt.Errorf("ask the database for its version and character type: %w", err)
	}
	if major < minMajorVersion {
		return errs.New(errs.Invalid, "the database server is PostgreSQL %s; Parley needs %d or newer", version, minMajorVersion)
	}
	if !foldsCase {
		return errs.New(errs.Invalid, "the database's character type (LC_CTYPE) is %s, under which names that are not ASCII cannot be searched: CREATE DATABASE parley ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0", ctype)
	}
	return nil
}

// DB is satisfied by whatever can run statements.
var (
	_ DB = (*pgxpool.Pool)(nil)
	_ DB = (*pgxpool.Conn)(nil)
	_ DB = (*pgx.Conn)(nil)
	_ DB = pgx.Tx(nil)
)
