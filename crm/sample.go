package crm

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/postgres"
)

const (
	// whole families of samples only: somebody real who was merged with a sample stays, with all that came together
	sampleFamilySQL = `WITH RECURSIVE
up AS (SELECT id, merged_into FROM contact WHERE id = ANY ($1::bigint[])
	UNION SELECT c.id, c.merged_into FROM contact c JOIN up ON c.id = up.merged_into),
root AS (SELECT id FROM up WHERE merged_into IS NULL),
family AS (SELECT id AS root, id FROM root UNION SELECT f.root, c.id FROM contact c JOIN family f ON c.merged_into = f.id)
SELECT f.id FROM family f WHERE NOT EXISTS (SELECT FROM family g JOIN contact c USING (id) WHERE g.root = f.root AND NOT c.sample)
ORDER BY f.id`

	sampleMergesSQL     = `DELETE FROM merge WHERE into_id = ANY ($1::bigint[]) OR from_id = ANY ($1::bigint[])`
	sampleLeadsSQL      = `DELETE FROM lead WHERE contact_id = ANY ($1::bigint[])`
	sampleIdentitiesSQL = `DELETE FROM identity WHERE contact_id = ANY ($1::bigint[])`
	sampleContactsSQL   = `DELETE FROM contact WHERE id = ANY ($1::bigint[])`
)

// RemoveSample deletes those of the given contacts that came with sample data, with their leads and identities, and returns
// how many went. The caller has removed what other rooms kept of them.
func RemoveSample(ctx context.Context, tx postgres.DB, contacts []int64) (int, error) {
	rows, err := tx.Query(ctx, sampleFamilySQL, contacts)
	if err != nil {
		return 0, fmt.Errorf("find sample contacts: %w", err)
	}
	family, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, fmt.Errorf("find sample contacts: %w", err)
	}
	for _, sql := range []string{sampleMergesSQL, sampleLeadsSQL, sampleIdentitiesSQL, sampleContactsSQL} {
		_, err1 := tx.Exec(ctx, sql, family)
		err = errors.Join(err, err1)
	}
	if err != nil {
		return 0, fmt.Errorf("remove sample contacts: %w", err)
	}
	return len(family), nil
}
