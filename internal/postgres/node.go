package postgres

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/parley-hub/parley/internal/errs"
)

const nodeFile = "node-id"

// NodeID is the name under which the node with this data directory takes leases. It stays the same over restarts, so
// that a node that was killed takes its own leases back at once. A copy of a data directory must not keep the file.
func NodeID(dataDir string) (string, error) {
	path := filepath.Join(dataDir, nodeFile)
	raw, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(raw))
		if !regexp.MustCompile(`^[a-z0-9-]{8,80}$`).MatchString(id) {
			return "", errs.New(errs.Invalid, "%s holds no node id: remove it and a new one is made", path)
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the node id: %w", err)
	}
	if err := makeDataDir(dataDir); err != nil {
		return "", err
	}
	id := "node-" + strings.ToLower(rand.Text()[:16])
	if err := writeFile(path, id+"\n"); err != nil {
		return "", fmt.Errorf("keep the node id: %w", err)
	}
	return id, nil
}
