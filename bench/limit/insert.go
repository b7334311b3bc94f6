package limit

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Insert is one durable row.
type Insert struct{ pool *pgxpool.Pool }

// NewInsert makes its table.
func NewInsert(ctx context.Context, pool *pgxpool.Pool) (*Insert, error) {
	_, err := pool.Exec(ctx, `CREATE TABLE floor_row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL)`)
	return &Insert{pool}, err
}

// Add returns when the row is committed.
func (i *Insert) Add(ctx context.Context, text string) error {
	_, err := i.pool.Exec(ctx, `INSERT INTO floor_row (text) VALUES ($1)`, text)
	return err
}
