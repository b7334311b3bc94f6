package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/parley-hub/parley/internal/testsignal"
)

const (
	envBin   = "PARLEY_PG_BIN"
	envOwner = "PARLEY_TEST_OWNER" // makes this binary the owner of a private server
)

func TestMain(m *testing.M) {
	if os.Getenv(envOwner) != "" {
		os.Exit(owner())
	}
	goleak.VerifyTestMain(m)
}

func owner() int {
	ctx, stop := context.WithTimeout(context.Background(), startTimeout)
	defer stop()
	s, err := Private(ctx, os.Getenv(envBin))
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = fmt.Println(s.Dir)
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
	return 0
}

func gone(dir string) func() bool {
	return func() bool { _, err := os.Stat(dir); return errors.Is(err, os.ErrNotExist) }
}

func TestPrivateServerGoesWithItsOwner(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), envOwner+"=1")
	c.Stderr = t.Output()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	dir := strings.TrimSpace(line)
	_ = c.Process.Kill()
	_ = c.Wait()
	if err != nil {
		t.Fatal(err)
	}
	testsignal.Until(t, "the folder of the killed owner's server is gone", gone(dir))
}

func TestDetachedServerGoesWhenNobodyUsesIt(t *testing.T) {
	t.Parallel()
	s, err := start(t.Context(), os.Getenv(envBin), &idle{minutes: 1, lookSeconds: 1})
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Minute)
	used := filepath.Join(s.Dir, usedFile)
	if err := os.Chtimes(used, long, long); err != nil {
		t.Fatal(err)
	}
	if err := s.Touch(); err != nil { // a test comes just in time
		t.Fatal(err)
	}
	if err := Ping(t.Context(), s.URL); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(used, long, long); err != nil {
		t.Fatal(err)
	}
	testsignal.Until(t, "the folder is gone", gone(s.Dir))
	if err := s.Touch(); err == nil {
		t.Error("a server that has gone can be touched")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop of what has gone: %v", err)
	}
}

func TestStopURL(t *testing.T) {
	t.Parallel()
	s, err := Detached(t.Context(), os.Getenv(envBin))
	if err != nil {
		t.Fatal(err)
	}
	if err := StopURL(t.Context(), s.URL); err != nil {
		t.Error(err)
	}
	if !gone(s.Dir)() {
		t.Error("its data is left")
	}
	if err := StopURL(t.Context(), "postgres://localhost/postgres"); err == nil {
		t.Error("any server may be stopped")
	}
}

func TestSharedServerIsOne(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // not that of the other packages' tests
	t.Setenv("HOME", t.TempDir())
	type answer struct {
		s   *Server
		err error
	}
	answers := make(chan answer)
	for range 3 {
		go func() {
			s, err := Shared(t.Context(), os.Getenv(envBin))
			answers <- answer{s, err}
		}()
	}
	dirs := map[string]bool{}
	for range 3 {
		a := <-answers
		if a.err != nil {
			t.Fatal(a.err)
		}
		dirs[a.s.Dir] = true
	}
	if len(dirs) != 1 {
		t.Errorf("%d servers, want 1", len(dirs))
	}
	if err := StopShared(t.Context()); err != nil {
		t.Error(err)
	}
	for dir := range dirs {
		if !gone(dir)() {
			t.Error("its data is left")
		}
	}
	if err := StopShared(t.Context()); err != nil {
		t.Errorf("stop when none runs: %v", err)
	}
}
