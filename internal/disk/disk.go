// Package disk tells how much room a directory has.
package disk

import (
	"fmt"
	"syscall"
)

// Low is what should always be free, in bytes: below this the database may stop writing within hours.
const Low = 1 << 30

// Space is the room on the file system of a directory, in bytes.
type Space struct {
	Free  int64 // for programs without privileges
	Total int64
}

// Low tells that somebody should act.
func (s Space) Low() bool { return s.Free < Low }

// Of asks the file system that dir is on.
func Of(dir string) (Space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Space{}, fmt.Errorf("ask for the room of %s: %w", dir, err)
	}
	size := int64(st.Bsize)                                                          //nolint:unconvert // the types differ between systems
	return Space{Free: int64(st.Bavail) * size, Total: int64(st.Blocks) * size}, nil //nolint:gosec // no disk has 8 exabytes
}
