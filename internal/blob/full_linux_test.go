package blob_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
)

// TestFullDisk runs itself in a mount namespace of its own, on a file system of 1 MiB.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("BLOB_TEST_SMALL_DISK")
	if dir != "" {
		fillDisk(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), "BLOB_TEST_SMALL_DISK="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || bytes.Contains(out, []byte("mount: operation not permitted")) {
		t.Skip("this system lets nobody mount a small file system, so no disk can be filled")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m")); err != nil {
		t.Fatalf("mount: %v", err)
	}
	s, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	small, _, err := s.Put(t.Context(), bytes.NewReader(content(t, 100_000)), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Put(t.Context(), bytes.NewReader(content(t, 2<<20)), 1<<30)
	if !errs.IsTemporary(err) || !errs.Is(err, errs.Unavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Put on a full disk = %v; want a temporary error that says why", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if list := keys(t, s); len(list) != 1 || list[0] != small {
		t.Errorf("keys %v; want only %s", list, small)
	}
	if _, _, err := s.Put(t.Context(), bytes.NewReader(content(t, 500_000)), 1<<30); err != nil {
		t.Errorf("there is room again, but: %v", err)
	}
}
