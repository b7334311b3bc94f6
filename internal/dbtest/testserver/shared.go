package testserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-hub/parley/internal/postgres/cluster"
)

// Shared returns the detached server that all tests of this user share, and starts it when there is none.
func Shared(ctx context.Context, binDir string) (*Server, error) {
	state, lock, err := lockState()
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	if s := running(ctx, state); s != nil {
		return s, nil
	}
	s, err := Detached(ctx, binDir)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(state, []byte(s.Dir), 0o600); err != nil {
		_ = s.Stop(ctx)
		return nil, fmt.Errorf("note the test server: %w", err)
	}
	return s, nil
}

// StopShared ends the shared server, if there is one.
func StopShared(ctx context.Context) error {
	state, lock, err := lockState()
	if err != nil {
		return err
	}
	defer lock.Release()
	raw, err := os.ReadFile(state)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if dir := strings.TrimSpace(string(raw)); strings.HasPrefix(filepath.Base(dir), prefix) {
		if err := stopDir(ctx, dir); err != nil {
			return err
		}
	}
	return os.Remove(state)
}

// running returns the noted server if it is there and stays: the touch tells its keeper that it is in use.
func running(ctx context.Context, state string) *Server {
	raw, err := os.ReadFile(state)
	if err != nil {
		return nil
	}
	dir := strings.TrimSpace(string(raw))
	s := &Server{Dir: dir, URL: cluster.URL(cluster.Superuser, "postgres", dir)}
	if s.Touch() != nil {
		return nil
	}
	if err := Ping(ctx, s.URL); err != nil {
		_ = stopDir(ctx, dir) // its postmaster was killed; whatever is left of it goes
		return nil
	}
	return s
}

// Touch tells the keeper of a detached server that it is in use.
func (s *Server) Touch() error {
	now := time.Now()
	return os.Chtimes(filepath.Join(s.Dir, usedFile), now, now)
}

func lockState() (state string, lock *cluster.Lock, err error) {
	cache, err := os.UserCacheDir()
	if err != nil { // a container without HOME
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("parley-cache-%d", os.Getuid()))
	}
	dir := filepath.Join(cache, "parley", "testdb")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("note the test server: %w", err)
	}
	lock, err = cluster.WaitLock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(dir, "server"), lock, nil
}
