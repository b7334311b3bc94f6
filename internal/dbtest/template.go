package dbtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

func randomName() string { return strings.ToLower(rand.Text()[:10]) }

// ensureTemplate makes the template if this server has none of our schema. It keeps a shared lock on it, so that no
// process with another schema sweeps it away; building has a lock of its own.
func (h *host) ensureTemplate(ctx context.Context) error {
	name := h.template()
	if _, err := h.ctl.Exec(ctx, `SELECT pg_advisory_lock_shared(hashtextextended($1, 0))`, name); err != nil {
		return fmt.Errorf("lock template: %w", err)
	}
	if there, err := h.exists(ctx, name); err != nil || there {
		return err
	}
	if _, err := h.ctl.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended($1, 0))`, name+"_new"); err != nil {
		return fmt.Errorf("lock template: %w", err)
	}
	err := h.buildTemplate(ctx, name)
	_, err2 := h.ctl.Exec(ctx, `SELECT pg_advisory_unlock(hashtextextended($1, 0))`, name+"_new")
	return errors.Join(err, err2)
}

func (h *host) exists(ctx context.Context, database string) (there bool, err error) {
	if err := h.ctl.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&there); err != nil {
		return false, fmt.Errorf("look for database %s: %w", database, err)
	}
	return there, nil
}

// buildTemplate works under another name and renames at the end, so a half-made template is never cloned.
func (h *host) buildTemplate(ctx context.Context, name string) error {
	if there, err := h.exists(ctx, name); err != nil || there {
		return err // another process was first
	}
	if err := h.sweep(ctx); err != nil {
		return err
	}
	half := name + "_new"
	if err := h.drop(ctx, half); err != nil {
		return err
	}
	if err := h.create(ctx, half, "template0"); err != nil {
		return err
	}
	if err := h.migrate(ctx, half); err != nil {
		return fmt.Errorf("build template: %w", err)
	}
	if _, err := h.ctl.Exec(ctx, "ALTER DATABASE "+ident(half)+" RENAME TO "+ident(name)); err != nil {
		return fmt.Errorf("finish template: %w", err)
	}
	return nil
}

func (h *host) migrate(ctx context.Context, database string) error {
	pool, err := postgres.Open(ctx, h.url(database))
	if err != nil {
		return err
	}
	err = postgres.Migrate(ctx, pool)
	pool.Close()
	if err != nil || !h.super {
		return err
	}
	conn, err := pgx.Connect(ctx, h.as(database).String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, seedSQL); err != nil {
		return fmt.Errorf("note the seed: %w", err)
	}
	return nil
}

// sweep drops the templates, clones and empty databases of other schemas that no process has locked: those of
// yesterday, and of migrations as they were before the last edit.
func (h *host) sweep(ctx context.Context) error {
	rows, err := h.ctl.Query(ctx, `
SELECT datname FROM pg_database
WHERE datname ~ $1 AND position($2 IN datname) = 0`,
		"^("+templatePrefix+"|"+clonePrefix+"|"+emptyPrefix+")", h.key)
	if err != nil {
		return fmt.Errorf("find old test databases: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("find old test databases: %w", err)
	}
	for _, name := range names {
		var free bool
		if err := h.ctl.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, name).Scan(&free); err != nil {
			return err
		}
		if !free {
			continue
		}
		if err := h.drop(ctx, name); err != nil {
			return err
		}
		if _, err := h.ctl.Exec(ctx, `SELECT pg_advisory_unlock(hashtextextended($1, 0))`, name); err != nil {
			return err
		}
	}
	return nil
}
