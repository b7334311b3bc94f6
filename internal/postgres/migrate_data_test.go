package postgres_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/postgres"
)

const (
	everyTableSQL = `SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
AND NOT relispartition AND relname !~ '^(river_|goose_)' ORDER BY 1`
	// the columns that the earlier schema had, so that what a migration adds does not count
	printSQL = `SELECT string_agg(format('%%I', attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '%s'::regclass AND attnum > 0 AND NOT attisdropped`
)

// What an earlier release wrote is all there after the migrations, row by row. A migration that means to change old rows
// says so in changed.
func TestUpgradeFromEarlierSchemas(t *testing.T) {
	t.Parallel()
	changed := map[string]bool{}
	files, err := filepath.Glob("testdata/[0-9]*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no earlier schemas: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			var version int64
			if _, err := fmt.Sscanf(filepath.Base(file), "%04d.sql", &version); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pool, err := postgres.Open(t.Context(), dbtest.Empty(t))
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			column := func(sql string) []string {
				t.Helper()
				rows, err := pool.Query(t.Context(), sql)
				if err != nil {
					t.Fatalf("%v\n%s", err, sql)
				}
				out, err := pgx.CollectRows(rows, pgx.RowTo[string])
				if err != nil {
					t.Fatalf("%v\n%s", err, sql)
				}
				return out
			}
			if err := postgres.MigrateTo(t.Context(), pool, postgres.Version{Schema: version}); err != nil {
				t.Fatal(err)
			}
			if _, err := pool.Exec(t.Context(), string(data)); err != nil {
				t.Fatal(err)
			}
			prints, before := map[string]string{}, map[string][]string{}
			for _, table := range column(everyTableSQL) {
				columns := column(fmt.Sprintf(printSQL, table))[0]
				prints[table] = fmt.Sprintf("SELECT ROW(%s)::text FROM %s ORDER BY 1", columns, table)
				if before[table] = column(prints[table]); len(before[table]) == 0 {
					t.Errorf("%s has no row in %s: a migration of it is not tried", table, file)
				}
			}
			if err := postgres.Migrate(t.Context(), pool); err != nil {
				t.Fatal(err)
			}
			have := strings.Join(column(everyTableSQL), " ")
			for table, want := range before {
				if changed[table] || !strings.Contains(have, table) {
					continue
				}
				if got := column(prints[table]); strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("%s was\n%s\nand is\n%s", table, strings.Join(want, "\n"), strings.Join(got, "\n"))
				}
			}
			v, err := postgres.CurrentVersion(t.Context(), pool)
			if err != nil || v != postgres.LatestVersion() {
				t.Errorf("the schema is at %d, %v", v, err)
			}
		})
	}
}
