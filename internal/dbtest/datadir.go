package dbtest

import (
	"os"
	"testing"

	"github.com/parley-hub/parley/internal/dbtest/testserver"
)

// DataDir makes a data directory for a hub with a private server, in memory where there is room, and removes it when the
// test ends. When tests run as root the server runs as somebody else, who could not enter t.TempDir: then the hub would keep its database below
// /var/lib/parley, where it would outlive the test.
func DataDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp(testserver.Memory(), "parley-hub-")
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("dbtest: %v", err)
		}
	})
	if os.Geteuid() == 0 {
		if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // the server's user must pass
			t.Fatalf("dbtest: %v", err)
		}
	}
	return dir
}
