package backup

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

const (
	// the tables that hold rows for good; unlogged ones (who leads, who is there) mean nothing elsewhere
	tablesSQL = `
SELECT c.relname, array(SELECT a.attname::text FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum)
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname`
	partitionsSQL = `
SELECT p.relname, c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE p.relnamespace = current_schema()::regnamespace AND p.relkind = 'p' AND c.relispartition ORDER BY 1, 2`
	sequencesSQL = `SELECT sequencename::text, last_value FROM pg_sequences WHERE schemaname = current_schema() AND last_value IS NOT NULL`
	foreignSQL   = `
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND connamespace = current_schema()::regnamespace ORDER BY 1, 2`
)

// schemaTables are those whose rows say which schema it is; making the schema writes them.
var schemaTables = []string{"goose_db_version", "river_migration"}

func readTables(ctx context.Context, db postgres.DB) ([]table, error) {
	rows, err := db.Query(ctx, tablesSQL)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return list, nil
}

func readPartitions(ctx context.Context, db postgres.DB) ([]part, error) {
	rows, err := db.Query(ctx, partitionsSQL)
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[part])
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	return list, nil
}

func readSequences(ctx context.Context, db postgres.DB) (map[string]int64, error) {
	rows, err := db.Query(ctx, sequencesSQL)
	if err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	out := map[string]int64{}
	var name string
	var last int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &last}, func() error {
		out[name] = last
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list sequences: %w", err)
	}
	return out, nil
}

type foreignKey struct{ Table, Name, Definition string }

func readForeignKeys(ctx context.Context, db postgres.DB) ([]foreignKey, error) {
	rows, err := db.Query(ctx, foreignSQL)
	if err != nil {
		return nil, fmt.Errorf("list foreign keys: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[foreignKey])
	if err != nil {
		return nil, fmt.Errorf("list foreign keys: %w", err)
	}
	return list, nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func quoteAll(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return strings.Join(out, ", ")
}

// patient is a connection without the time limits of the house: one statement reads or writes a whole table, and
// nothing is said on it while files go by.
func patient(ctx context.Context, like *pgx.ConnConfig) (*pgx.Conn, error) {
	cfg := like.Copy()
	for _, limit := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		cfg.RuntimeParams[limit] = "0"
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}
