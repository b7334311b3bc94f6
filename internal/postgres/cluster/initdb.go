package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Superuser is the role that initdb makes. The hub itself uses another one.
const Superuser = "postgres"

// Init makes a data directory at pgdata. It works beside it and renames, so that an interrupted first start leaves
// nothing that looks finished. It never touches a pgdata that holds anything. extra goes to initdb.
func Init(ctx context.Context, b Binaries, u User, pgdata string, extra ...string) error {
	if major, err := WrittenBy(pgdata); err != nil {
		return err
	} else if major != 0 {
		return fmt.Errorf("initialise %s: there is a cluster already", pgdata)
	}
	tmp := pgdata + ".new"
	if err := InitAt(ctx, b, u, tmp, extra...); err != nil {
		return err
	}
	if err := os.Remove(pgdata); err != nil && !os.IsNotExist(err) { // empty, or it would not be removed
		return fmt.Errorf("finish initialising: %w", err)
	}
	if err := os.Rename(tmp, pgdata); err != nil {
		return fmt.Errorf("finish initialising: %w", err)
	}
	return SyncDir(filepath.Dir(pgdata))
}

// InitAt makes a data directory at dir itself, in place of what an interrupted call left there.
func InitAt(ctx context.Context, b Binaries, u User, dir string, extra ...string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove an unfinished %s: %w", dir, err)
	}
	if err := u.MkdirPrivate(dir); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	args := append([]string{"-D", dir, "-U", Superuser, "-A", "trust", "-E", "UTF8"}, localeArgs(b.Major)...)
	if out, err := Run(ctx, u.Command(dir, b.Program("initdb"), append(args, extra...)...)); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, LastLines(string(out), 5))
	}
	return nil
}

// localeArgs picks a character type that knows letters beyond ASCII and an order that no update of the system changes.
func localeArgs(major int) []string {
	switch {
	case major >= 17:
		return []string{"--locale-provider=builtin", "--locale=C.UTF-8"}
	case runtime.GOOS == "darwin": // has no C.UTF-8 before macOS 15
		return []string{"--lc-collate=C", "--lc-ctype=en_US.UTF-8"}
	default:
		return []string{"--locale=C.UTF-8"}
	}
}

// Run runs a command to its end and returns what it printed.
func Run(ctx context.Context, c *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case err := <-done:
		return out.Bytes(), err
	case <-ctx.Done():
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM) // its group: initdb and pg_upgrade have children
		<-done
		return out.Bytes(), ctx.Err()
	}
}

// SyncDir makes a rename or a new file in dir survive a power failure.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// LastLines is where programs say why they failed.
func LastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
