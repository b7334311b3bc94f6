package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/postgres"
)

func migrateCommand() command {
	return command{name: "migrate", help: "bring the database's schema to this version and exit", run: migrate}
}

func migrate(ctx context.Context, c call) error {
	return withDatabase(ctx, c, func(pool *pgxpool.Pool) error {
		v, err := postgres.CurrentVersion(ctx, pool)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "the schema is at version %d\n", v)
		return err
	})
}
