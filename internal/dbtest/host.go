package dbtest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/parley-hub/parley/internal/postgres"
)

//go:embed seed.sql
var seedSQL string

const (
	role           = "parley"
	templatePrefix = "parley_tpl_"
	clonePrefix    = "parley_t_"
	emptyPrefix    = "parley_e_"
	maxClones      = 500
	resetTimeout   = 30 * time.Second
)

// host hands out databases of one server to the tests of this process. One connection, to the maintenance database,
// holds the advisory locks that tell other processes which clones are ours.
type host struct {
	admin url.URL // of the maintenance database
	super bool
	plain bool   // the role "parley" may connect without a password
	key   string // of the schema: part of every name

	mu   sync.Mutex
	ctl  *pgx.Conn
	held []int32 // numbers of the clones that this process has locked
	idle []int32 // those of held that no test uses
}

// openHost connects to the server and makes sure that it has the template.
func openHost(ctx context.Context, admin string) (*host, error) {
	u, err := url.Parse(admin)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, fmt.Errorf("the address of the test database must be a postgres:// URL")
	}
	h := &host{admin: *u}
	if h.key, err = schemaKey(time.Now()); err != nil {
		return nil, err
	}
	if h.ctl, err = pgx.Connect(ctx, admin); err != nil {
		return nil, fmt.Errorf("connect to the test server: %w", err)
	}
	if err := h.prepare(ctx); err != nil {
		_ = h.ctl.Close(ctx)
		return nil, err
	}
	return h, nil
}

// schemaKey names a schema. The day is part of it, for the partitions of the template are those of its day.
func schemaKey(now time.Time) (string, error) {
	schema, err := postgres.Fingerprint()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(schema + seedSQL + now.UTC().Format(time.DateOnly)))
	return hex.EncodeToString(sum[:5]), nil
}

func (h *host) prepare(ctx context.Context) error {
	if err := h.ctl.QueryRow(ctx, `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&h.super); err != nil {
		return err
	}
	if h.super {
		if err := ensureRole(ctx, h.ctl); err != nil {
			return err
		}
		h.plain = h.connects(ctx)
	}
	return h.ensureTemplate(ctx)
}

func ensureRole(ctx context.Context, conn *pgx.Conn) error {
	var there bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, role).Scan(&there); err != nil || there {
		return err
	}
	_, err := conn.Exec(ctx, `CREATE ROLE `+role+` LOGIN`)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "42710" || pg.Code == "23505") {
		return nil // another process was first
	}
	return err
}

// connects tells whether the plain role may come in as itself, as on the servers that we start.
func (h *host) connects(ctx context.Context) bool {
	u := h.admin
	u.User = url.User(role)
	conn, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return false
	}
	_ = conn.Close(ctx)
	return true
}

// url addresses a database as the role that tests work as. Where that role cannot come in by itself, the session of
// the superuser takes it on.
func (h *host) url(database string) string {
	u := h.as(database)
	switch {
	case h.plain:
		u.User = url.User(role)
	case h.super:
		q := u.Query()
		q.Set("role", role)
		u.RawQuery = q.Encode()
	}
	return u.String()
}

// as addresses a database as the role of the server's URL.
func (h *host) as(database string) *url.URL {
	u := h.admin
	u.Path = "/" + database
	return &u
}

func (h *host) template() string      { return templatePrefix + h.key }
func (h *host) clone(no int32) string { return fmt.Sprintf("%s%s_%d", clonePrefix, h.key, no) }
func ident(name string) string        { return pgx.Identifier{name}.Sanitize() }

// take returns a clone in the template's state and keeps it until give.
func (h *host) take(ctx context.Context) (int32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.idle); n > 0 {
		no := h.idle[n-1]
		h.idle = h.idle[:n-1]
		return no, h.fill(ctx, no)
	}
	var no *int32
	// A session may take its own advisory lock again, so our own numbers are left out first.
	err := h.ctl.QueryRow(ctx, `
SELECT n FROM generate_series(1, $1::int) AS n
WHERE CASE WHEN n = ANY($2::int[]) THEN false
      ELSE pg_try_advisory_lock(hashtextextended($3 || n, 0)) END
LIMIT 1`, maxClones, h.held, clonePrefix+h.key+"_").Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("find a free clone: %w", err)
	}
	h.held = append(h.held, *no)
	return *no, h.fill(ctx, *no)
}

// give lets another test have the clone. It is emptied when it is taken, so a failed test's rows stay to be looked at.
func (h *host) give(no int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.idle = append(h.idle, no)
}

// fill brings a clone into the template's state: by emptying it, or by making it anew.
func (h *host) fill(ctx context.Context, no int32) error {
	name := h.clone(no)
	there, err := h.exists(ctx, name)
	if err != nil {
		return err
	}
	if there {
		if h.super && h.reset(ctx, name) == nil {
			return nil
		}
		if err := h.drop(ctx, name); err != nil {
			return err
		}
	}
	return h.create(ctx, name, h.template())
}

func (h *host) create(ctx context.Context, name, template string) error {
	sql := "CREATE DATABASE " + ident(name) + " TEMPLATE " + ident(template) + " STRATEGY FILE_COPY"
	if h.super {
		sql += " OWNER " + role
	}
	if _, err := h.ctl.Exec(ctx, sql); err != nil {
		return fmt.Errorf("make database %s: %w", name, err)
	}
	return nil
}

func (h *host) drop(ctx context.Context, name string) error {
	if _, err := h.ctl.Exec(ctx, "DROP DATABASE IF EXISTS "+ident(name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// reset empties a clone. Whoever is still connected, such as a program that its test has killed, is thrown out first.
func (h *host) reset(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, resetTimeout)
	defer cancel()
	_, err := h.ctl.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1`, name)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, h.as(name).String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `SELECT dbtest_seed.reset()`)
	return errors.Join(err, conn.Close(ctx))
}

// empty makes a database without a schema; discard removes it.
func (h *host) empty(ctx context.Context) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := emptyPrefix + h.key + "_" + randomName()
	if _, err := h.ctl.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended($1, 0))`, name); err != nil {
		return "", err
	}
	return name, h.create(ctx, name, "template0")
}

func (h *host) discard(ctx context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.drop(ctx, name)
}

func (h *host) close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ctl.Close(ctx)
}
