package main

import (
	"log/slog"
	"testing"

	"github.com/parley-hub/parley/internal/config"
	"github.com/parley-hub/parley/internal/dbtest"
)

// A connection that nobody gives back must not keep the program from stopping its database server.
func TestDatabaseClosesThoughAConnectionHangs(t *testing.T) {
	t.Parallel()
	db, err := openDatabase(t.Context(), config.Config{DatabaseURL: dbtest.URL(t)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := db.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = db.close(t.Context()) // without its patience it would wait for the connection for ever
	conn.Release()
	db.pool.Close() // the first call ends now
	if err != nil {
		t.Error(err)
	}
}
