package cluster_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

// install makes a folder of programs that say they are of a version.
func install(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"initdb", "postgres"} {
		script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	newer := install(t, filepath.Join(data, "pgbin", "98.1", "bin"), "98.1 (Parley 98.1-1)")
	beta := install(t, filepath.Join(data, "pgbin", "99", "bin"), "99beta2")
	for _, c := range []struct {
		want int
		dir  string
	}{
		{0, beta},
		{98, newer},
		{99, beta},
	} {
		b, err := cluster.Find(t.Context(), "", data, c.want)
		if err != nil || b.Dir != c.dir {
			t.Errorf("for major %d: %v, %v; want %s", c.want, b, err, c.dir)
		}
	}
	_, err := cluster.Find(t.Context(), "", data, 97)
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "written by PostgreSQL 97") || !strings.Contains(err.Error(), "99, 98") {
		t.Errorf("for a missing major: %v", err)
	}
	if b, err := cluster.Find(t.Context(), newer, data, 0); err != nil || b.Major != 98 {
		t.Errorf("the operator's folder: %v, %v; want 98", b, err)
	}
	old := install(t, t.TempDir(), "9.6.24")
	if _, err := cluster.Find(t.Context(), old, data, 0); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a version that is too old: %v, want it refused", err)
	}
}

func TestTheOperatorsFolderComesAlone(t *testing.T) {
	t.Parallel()
	if got := cluster.Places("/operator", "/data"); !slices.Equal(got, []string{"/operator"}) {
		t.Errorf("with the operator's word: %v", got)
	}
}

func TestWrittenBy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name, version string
		major         int
		bad           bool
	}{
		{"missing", "", 0, false},
		{"of 16", "16\n", 16, false},
		{"garbled", "sixteen\n", 0, true},
	} {
		pgdata := filepath.Join(dir, c.name)
		if c.version != "" {
			if err := os.Mkdir(pgdata, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(pgdata, "PG_VERSION"), []byte(c.version), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if major, err := cluster.WrittenBy(pgdata); major != c.major || (err != nil) != c.bad {
			t.Errorf("%s: %d, %v", c.name, major, err)
		}
	}
}

// A child that was given the lock keeps it when we are gone, and frees it by ending, however it ends.
func TestLockIsTheChilds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := cluster.TryLock(path)
	if err != nil || lock == nil {
		t.Fatalf("%v, %v; want the lock", lock, err)
	}
	child := exec.Command("sleep", "600")
	child.ExtraFiles = []*os.File{lock.File()}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lock.Release()
	if second, err := cluster.TryLock(path); err != nil || second != nil {
		t.Errorf("%v, %v; want it kept by the child", second, err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	third, err := cluster.TryLock(path)
	if err != nil || third == nil {
		t.Errorf("%v, %v; want it free", third, err)
	}
	third.Release()
	third.Release() // does nothing
}

func TestPostmaster(t *testing.T) {
	t.Parallel()
	pgdata := t.TempDir()
	if _, _, err := cluster.Postmaster(pgdata); err == nil {
		t.Error("a server is found where there is none")
	}
	for _, c := range []struct {
		file   string
		pid    int
		socket string
		ready  bool
	}{
		{"", 0, "", false},
		{"4711\n/data\n", 0, "", false},
		{"-1\n/data\n1700000000\n5432\n/run\n\n", 0, "", false},
		{"4711\n/data\n1700000000\n5432\n/run/parley\n\n  1 2\nstarting\n", 4711, "/run/parley", false},
		{"4711\n/data\n1700000000\n5432\n/run/parley\n\n  1 2\nready   \n", 4711, "/run/parley", true},
	} {
		if err := os.WriteFile(cluster.PidFile(pgdata), []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		pid, socket, err := cluster.Postmaster(pgdata)
		if pid != c.pid || socket != c.socket || (err == nil) != (c.pid != 0) || cluster.Ready(pgdata) != c.ready {
			t.Errorf("%q: %d %q %v ready %v", c.file, pid, socket, err, cluster.Ready(pgdata))
		}
	}
}

func TestMkdirPrivate(t *testing.T) {
	t.Parallel()
	user, err := cluster.PickUser("")
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "private")
	for range 2 {
		if err := user.MkdirPrivate(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // the second call closes it
			t.Fatal(err)
		}
	}
	if err := user.MkdirPrivate(dir); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v; want 0700", fi.Mode(), err)
	}
	link := filepath.Join(parent, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if err := user.MkdirPrivate(link); err == nil {
		t.Error("a link that somebody else may have put there is followed")
	}
	if os.Geteuid() != 0 {
		return
	}
	public := filepath.Join(parent, "public")
	trap := filepath.Join(public, "trap")
	if err := os.MkdirAll(trap, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(public, 0o1777); err != nil { //nolint:gosec // as /tmp
		t.Fatal(err)
	}
	if err := os.Chown(trap, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := user.MkdirPrivate(trap); !errs.Is(err, errs.Conflict) {
		t.Errorf("somebody else's folder: %v, want it refused", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	user, err := cluster.PickUser("")
	if err != nil {
		t.Fatal(err)
	}
	parent := t.TempDir() // t.TempDir is 0700 above
	closed, err := user.Closed(parent)
	if err != nil {
		t.Fatal(err)
	}
	if user.Switched() != (closed != "") {
		t.Errorf("closed at %q, run as another user: %v", closed, user.Switched())
	}
	if _, err := user.Closed(filepath.Join(parent, "missing")); user.Switched() && err == nil {
		t.Error("a way that is not there is open")
	}
}

func TestSocketDirIsShort(t *testing.T) {
	t.Parallel()
	user, err := cluster.PickUser("")
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "s")
	if dir, err := cluster.SocketDir(user, short); err != nil || dir != short {
		t.Errorf("%s, %v; want %s", dir, err, short)
	}
	dir, err := cluster.SocketDir(user, filepath.Join(short, strings.Repeat("x", 120)))
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	if len(filepath.Join(dir, cluster.SocketFile)) > 103 {
		t.Errorf("%s is too long", dir)
	}
}
