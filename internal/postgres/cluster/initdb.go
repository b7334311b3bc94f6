package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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
	// Onto an empty directory a rename works too.
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
	if out, err := RunIn(ctx, u, dir, b.Program("initdb"), append(args, extra...)...); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(string(out), 5))
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

// RunIn runs one of the programs to its end in dir as the server's user and returns what it printed.
func RunIn(ctx context.Context, u User, dir, program string, args ...string) ([]byte, error) {
	var out strings.Builder
	c := u.Command(dir, program, args...)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case err := <-done:
		return []byte(out.String()), err
	case <-ctx.Done():
		_ = c.Process.Kill()
		<-done
		return []byte(out.String()), ctx.Err()
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

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
