package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// bootstrap makes the hub's role and database in a new cluster. Each step is looked for first, so an interrupted first
// start is completed by the next.
func bootstrap(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("connect to the database server: %w", err)
	}
	defer conn.Close(ctx)
	steps := []struct{ there, make string }{
		{`SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = '` + owner + `')`, `CREATE ROLE ` + owner + ` LOGIN`},
		{`SELECT EXISTS (SELECT FROM pg_database WHERE datname = '` + database + `')`, `CREATE DATABASE ` + database + ` OWNER ` + owner},
	}
	for _, step := range steps {
		var there bool
		if err := conn.QueryRow(ctx, step.there).Scan(&there); err != nil {
			return fmt.Errorf("look into the new cluster: %w", err)
		}
		if there {
			continue
		}
		if _, err := conn.Exec(ctx, step.make); err != nil {
			return fmt.Errorf("set up the new cluster: %w", err)
		}
	}
	return nil
}
