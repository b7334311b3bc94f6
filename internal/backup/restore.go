package backup

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// Restore fills an installation that nobody uses from r, and brings its schema to this program's. After an error the
// database holds what it held before; files that were put by then are swept one day.
func Restore(ctx context.Context, pool *pgxpool.Pool, store blob.Store, r io.Reader, o Options) (Summary, error) {
	b, err := open(r)
	if err != nil {
		return Summary{}, err
	}
	if err := mayFill(ctx, pool, b.head, o); err != nil {
		return Summary{}, err
	}
	if err := postgres.MigrateTo(ctx, pool, postgres.Version{Schema: b.head.Schema, Jobs: b.head.Jobs}); err != nil {
		return Summary{}, err
	}
	conn, err := patient(ctx, pool.Config().ConnConfig)
	if err != nil {
		return Summary{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var epoch int32
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		f := filler{reader: b, tx: tx, conn: conn}
		if err := f.fill(ctx); err != nil {
			return err
		}
		if err := b.files(ctx, store); err != nil {
			return err
		}
		if err := b.finish(); err != nil {
			return err
		}
		if err := f.close(ctx, o); err != nil {
			return err
		}
		epoch, err = postgres.BumpEpoch(ctx, tx)
		return err
	})
	if err != nil {
		return Summary{}, err
	}
	if err := postgres.Migrate(ctx, pool); err != nil {
		return Summary{}, err
	}
	if _, err := conn.Exec(ctx, `ANALYZE`); err != nil {
		return Summary{}, fmt.Errorf("make statistics: %w", err)
	}
	s := b.proof.summary(b.head)
	s.Epoch = epoch
	return s, nil
}

// mayFill refuses what somebody uses, and what is of a later schema than the stream.
func mayFill(ctx context.Context, pool *pgxpool.Pool, h header, o Options) error {
	if know := postgres.LatestVersion(); h.Schema > know {
		return errs.New(errs.Conflict, "this backup was made by a newer Parley (schema %d, this program knows %d): restore it with that version or a later one", h.Schema, know)
	}
	have, err := postgres.Versions(ctx, pool)
	if err != nil || have.Schema == 0 {
		return err
	}
	for _, name := range o.Occupied {
		var some bool
		if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+quote(name)+")").Scan(&some); err != nil {
			return fmt.Errorf("look into %s: %w", name, err)
		}
		if some {
			return errs.New(errs.Conflict, "this installation is in use (there are rows in %s): a backup is restored only into an empty one, with a new PARLEY_DATA_DIR or an empty database", name)
		}
	}
	var running, started bool
	if err := pool.QueryRow(ctx, `SELECT coalesce(bool_or(expires_at > now()), false), count(*) > 0 FROM lease`).Scan(&running, &started); err != nil {
		return fmt.Errorf("look for running nodes: %w", err)
	}
	switch {
	case running:
		return errs.New(errs.Conflict, "a Parley is running on this database: stop it, wait 15 seconds, then restore")
	case started && !o.IntoEmpty:
		return errs.New(errs.Conflict, "this database has been set up already, although nobody uses it yet: say --into-empty-database to replace what is in it")
	case have.Schema > h.Schema || have.Jobs > h.Jobs:
		return errs.New(errs.Conflict, "this database has a later schema (%d) than the backup (%d): take an empty database; the schema is brought up to date after restoring", have.Schema, h.Schema)
	}
	return nil
}

// filler puts rows into a schema of the stream's version.
type filler struct {
	*reader
	tx   pgx.Tx
	conn *pgx.Conn
	keys []foreignKey
	have []string
}

func (f *filler) fill(ctx context.Context) error {
	if err := f.clear(ctx); err != nil {
		return err
	}
	for name := f.table(); name != ""; name = f.table() {
		if err := f.copy(ctx, name); err != nil {
			return fmt.Errorf("restore table %s: %w", name, err)
		}
	}
	return nil
}

// clear empties the tables of what making them wrote, and takes away what would look at each row: triggers, and foreign
// keys, which are checked at once when they come back.
func (f *filler) clear(ctx context.Context) error {
	all, err := readTables(ctx, f.tx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if !slices.Contains(schemaTables, t.Name) {
			f.have = append(f.have, t.Name)
		}
	}
	if f.keys, err = readForeignKeys(ctx, f.tx); err != nil {
		return err
	}
	var sql strings.Builder
	for _, k := range f.keys {
		fmt.Fprintf(&sql, "ALTER TABLE %s DROP CONSTRAINT %s;\n", k.Table, k.Name)
	}
	old, err := readPartitions(ctx, f.tx)
	if err != nil {
		return err
	}
	for _, p := range old {
		fmt.Fprintf(&sql, "DROP TABLE %s;\n", quote(p.Name))
	}
	for _, p := range f.head.Parts {
		fmt.Fprintf(&sql, "CREATE TABLE %s PARTITION OF %s %s;\n", quote(p.Name), quote(p.Parent), p.Bound)
	}
	for _, name := range f.have {
		fmt.Fprintf(&sql, "ALTER TABLE %s DISABLE TRIGGER USER;\n", quote(name))
	}
	fmt.Fprintf(&sql, "TRUNCATE %s;\n", quoteAll(f.have))
	if _, err := f.tx.Exec(ctx, sql.String()); err != nil {
		return fmt.Errorf("empty the tables: %w", err)
	}
	return nil
}

func (f *filler) copy(ctx context.Context, name string) error {
	columns, err := f.head.columns(name)
	if err != nil {
		return err
	}
	if !slices.Contains(f.have, name) {
		return broken("schema %d has no such table", f.head.Schema)
	}
	j := f.join(name)
	tag, err := f.conn.PgConn().CopyFrom(ctx, j, fmt.Sprintf("COPY %s (%s) FROM STDIN", quote(name), quoteAll(columns)))
	if err != nil {
		return err
	}
	if _, twice := f.seen.Tables[name]; twice {
		return broken("its pieces are not together")
	}
	f.seen.Tables[name] = j.proofOf(tag.RowsAffected())
	return nil
}

// close brings back what clear took away, and settles what was under way.
func (f *filler) close(ctx context.Context, o Options) error {
	for name, last := range f.proof.Sequences {
		if _, err := f.tx.Exec(ctx, `SELECT setval(quote_ident($1)::regclass, $2)`, name, last); err != nil {
			return fmt.Errorf("set sequence %s: %w", name, err)
		}
	}
	var sql strings.Builder
	for _, name := range f.have {
		fmt.Fprintf(&sql, "ALTER TABLE %s ENABLE TRIGGER USER;\n", quote(name))
	}
	for _, k := range f.keys {
		fmt.Fprintf(&sql, "ALTER TABLE %s ADD CONSTRAINT %s %s;\n", k.Table, k.Name, k.Definition)
	}
	if _, err := f.tx.Exec(ctx, sql.String()); err != nil {
		return fmt.Errorf("put the foreign keys back: %w", err)
	}
	// Nobody holds a lease of another cluster; their numbers go on, so that what an old holder began is known as old.
	for _, sql := range append([]string{`UPDATE lease SET expires_at = now() - interval '1 second'`}, o.Settle...) {
		if _, err := f.tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("settle what was under way: %w", err)
		}
	}
	return nil
}
