package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-hub/parley/internal/postgres"
)

func upgradeCommand() command {
	return command{name: "upgrade-db", help: "move the built-in database to the newest installed PostgreSQL", run: upgradeDB}
}

// upgradeDB works on a stopped hub; PARLEY_PG_BIN chooses the version to move to.
func upgradeDB(ctx context.Context, c call) error {
	if err := c.refuse(); err != nil {
		return err
	}
	if c.cfg.DatabaseURL != "" {
		return errors.New("PARLEY_DATABASE_URL is set: that server is upgraded by its own tools, and then UPDATE spine SET epoch = epoch + 1")
	}
	err := postgres.UpgradeMajor(ctx, postgres.ServerOptions{DataDir: c.cfg.DataDir, BinDir: c.cfg.PGBin, Log: c.log})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, "the database has been upgraded; the old cluster is gone")
	return err
}
