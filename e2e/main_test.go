package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/internal/dbtest"
)

// binary is the program under test, built once.
var binary string //nolint:gochecknoglobals // "go test" hands nothing down

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "parley-e2e-")
	if err != nil {
		return complain(err)
	}
	defer os.RemoveAll(dir)
	if binary, err = rig.Build(context.Background(), dir); err != nil {
		return complain(err)
	}
	return dbtest.Run(m)
}

func complain(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// full asks for the numbers of the promises instead of quick ones.
func full() bool { return os.Getenv("PARLEY_E2E_FULL") == "1" }

func pick(quick, whole int) int {
	if full() {
		return whole
	}
	return quick
}

// config is a new installation on a database of its own.
func config(t *testing.T) rig.Config {
	t.Helper()
	return rig.Config{Binary: binary, DataDir: filepath.Join(t.TempDir(), "data"), DatabaseURL: dbtest.ServerURL(t)}
}

// world starts a hub with an admin and a fake provider, and ends both with the test.
func world(t *testing.T, cfg rig.Config) *rig.World {
	t.Helper()
	w, err := rig.NewWorld(t.Context(), cfg)
	check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the hub printed:\n%s", w.Hub.LogTail())
		}
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// check ends the test on an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must is check for what also returns a value.
func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// telegram makes a channel that polls.
func telegram(t *testing.T, w *rig.World, more map[string]any) rig.Channel {
	t.Helper()
	ch, err := w.Telegram(t.Context(), nil, more)
	check(t, err)
	return ch
}

// live opens a socket that the test's end closes.
func live(t *testing.T, c *rig.Client, since string) *rig.Live {
	t.Helper()
	l, err := c.Live(t.Context(), since)
	check(t, err)
	t.Cleanup(l.Close)
	return l
}
