package testserver

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/parley-hub/parley/internal/postgres/cluster"
)

const (
	memory = "/dev/shm"
	// enough is the free memory from which tests may use it: containers often have a /dev/shm of 64 MB only.
	enough = 3 << 30
)

// makeDir makes a folder of the server's user, in memory when there is room, else in the temporary folder, else in
// /tmp when root's temporary folder is closed to the server's user. Its path is short enough for a socket.
func makeDir(user cluster.User) (string, error) {
	var errs []error
	for _, parent := range parents() {
		if closed, err := user.Closed(parent); err != nil || closed != "" {
			continue
		}
		dir, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := user.MkdirPrivate(dir); err != nil {
			return "", err
		}
		return dir, nil
	}
	return "", fmt.Errorf("no folder for a test server: %w", errors.Join(errs...))
}

func parents() []string {
	dirs := []string{os.TempDir(), "/tmp"}
	if m := Memory(); m != "" {
		dirs = append([]string{m}, dirs...)
	}
	return dirs
}

// Memory is a folder in memory with room for databases, "" when the system has none.
func Memory() string {
	if room(memory) < enough {
		return ""
	}
	return memory
}

func room(dir string) uint64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0
	}
	return st.Bavail * uint64(st.Bsize) //nolint:gosec,unconvert // not negative; the type differs between systems
}
