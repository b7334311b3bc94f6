package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres/cluster"
)

// Postgres is a database server that can be crashed and started again. It syncs as Postgres does by default, so what it
// acknowledged outlives a crash.
type Postgres struct {
	dir, pgdata string
	bin         cluster.Binaries
	user        cluster.User
	settings    []string
	proc        *child
}

// owner is the role of the hub: no superuser, as everywhere.
const owner = "parley"

// NewPostgres makes a server below parent ("" = the temporary folder) and starts it. settings are name=value.
func NewPostgres(ctx context.Context, parent string, settings ...string) (p *Postgres, err error) {
	p = &Postgres{settings: settings}
	if p.bin, err = cluster.Find(ctx, os.Getenv("PARLEY_PG_BIN"), "", 0); err != nil {
		return nil, err
	}
	if p.user, err = cluster.PickUser(""); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp(parent, "parley-pg-"); err != nil { // short enough for a socket
		return nil, err
	}
	p.pgdata = filepath.Join(p.dir, "data")
	err = p.user.MkdirPrivate(p.dir)
	if err == nil {
		err = cluster.Init(ctx, p.bin, p.user, p.pgdata)
	}
	if err == nil {
		err = p.Start(ctx)
	}
	if err == nil {
		err = Exec(ctx, p.Admin("postgres"), "CREATE ROLE "+owner+" LOGIN")
	}
	if err != nil {
		return nil, errors.Join(err, p.Close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

// Admin addresses a database as the superuser.
func (p *Postgres) Admin(database string) string {
	return cluster.URL(cluster.Superuser, database, p.dir)
}

// Database makes an empty database and returns its address for a hub.
func (p *Postgres) Database(ctx context.Context, name string) (string, error) {
	err := Exec(ctx, p.Admin("postgres"), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" OWNER "+owner)
	return cluster.URL(owner, name, p.dir), err
}

// Start starts the server and waits until it answers; after a crash it recovers first.
func (p *Postgres) Start(ctx context.Context) error {
	args := []string{"-D", p.pgdata, "-k", p.dir, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has it
	c := p.user.Command(p.pgdata, p.bin.Program("postgres"), args...)
	c.Stdout, c.Stderr = log, log
	if p.proc, err = startChild(c, syscall.SIGQUIT); err != nil {
		return err
	}
	return Until(ctx, "the database server starts", Patience, func() (bool, error) {
		if !p.proc.running() {
			return false, fmt.Errorf("it ended: %w: see %s", p.proc.err, p.logFile())
		}
		return Exec(ctx, p.Admin("postgres"), "SELECT 1") == nil, nil
	})
}

func (p *Postgres) logFile() string { return p.dir + ".log" }

// Crash ends the server at once, as pg_ctl stop -m immediate does.
func (p *Postgres) Crash(ctx context.Context) error { return p.end(ctx, syscall.SIGQUIT) }

func (p *Postgres) end(ctx context.Context, sig syscall.Signal) error {
	if p.proc == nil {
		return nil
	}
	if err := p.proc.signal(sig); err != nil {
		return fmt.Errorf("end the database server: %w", err)
	}
	return p.proc.wait(ctx)
}

// Tool prepares one of the server's programs, as its user.
func (p *Postgres) Tool(ctx context.Context, name string, args ...string) error {
	out, err := cluster.Run(ctx, p.user.Command(p.dir, p.bin.Program(name), args...))
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, cluster.LastLines(string(out), 5))
	}
	return nil
}

// Dir is a folder that the server's user may write to.
func (p *Postgres) Dir() string { return p.dir }

// Close ends the server and removes its data.
func (p *Postgres) Close(ctx context.Context) error {
	err := p.end(ctx, syscall.SIGQUIT)
	return errors.Join(err, os.RemoveAll(p.dir), os.RemoveAll(p.logFile()))
}

// Exec runs a statement on a connection of its own.
func Exec(ctx context.Context, url, sql string, args ...any) error {
	return WithConn(ctx, url, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, sql, args...)
		return err
	})
}

// WithConn lends a connection.
func WithConn(ctx context.Context, url string, fn func(c *pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	return fn(c)
}

// Column reads a query of one column.
func Column[T any](ctx context.Context, url, sql string, args ...any) ([]T, error) {
	var out []T
	err := WithConn(ctx, url, func(c *pgx.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[T])
		return err
	})
	return out, err
}
