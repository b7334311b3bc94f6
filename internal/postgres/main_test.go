package postgres_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/postgres"
)

// envHub makes this test binary a hub that does nothing but run the server of that data directory: something to kill.
const envHub = "PARLEY_TEST_HUB_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envHub); dir != "" {
		os.Exit(hub(dir))
	}
	code := dbtest.Run(m)
	if dir := made.Load(); dir != nil {
		_ = os.RemoveAll(*dir)
	}
	os.Exit(code)
}

// hub says "ready" and the address, and stops when its standard input ends.
func hub(dir string) int {
	s, err := postgres.StartServer(context.Background(), postgres.ServerOptions{
		DataDir: dir, BinDir: os.Getenv("PARLEY_PG_BIN"), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Extra: quick(),
	})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = fmt.Println("ready", s.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Stop(context.Background()); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
