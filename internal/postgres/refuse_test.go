package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestForeignDirectoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := dbtest.DataDir(t)
	diary := filepath.Join(dir, "pgdata", "diary.txt")
	if err := os.Mkdir(filepath.Dir(diary), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, diary, "dear diary")
	err := refused(t, options(t, dir))
	wantWords(t, err, "not empty", "left as it is")
	if _, err := os.Stat(diary); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}

func TestOtherMajorIsRefused(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	version := filepath.Join(dir, "pgdata", "PG_VERSION")
	have, err := os.ReadFile(version)
	if err != nil {
		t.Fatal(err)
	}
	write(t, version, "97\n")
	err = refused(t, options(t, dir))
	wantWords(t, err, "written by PostgreSQL 97", "only "+strings.TrimSpace(string(have)), "is installed", "upgrade-db")
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("code %s, want conflict", errs.CodeOf(err))
	}
	write(t, version, string(have))
	answers(t, start(t, dir).URL)
}

func TestMissingPrograms(t *testing.T) {
	t.Parallel()
	o := options(t, dbtest.DataDir(t))
	o.BinDir = t.TempDir()
	wantWords(t, refused(t, o), o.BinDir, "holds no PostgreSQL server programs")
}

func TestProgramsOutOfReach(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root has to give the server to another user")
	}
	o := options(t, dbtest.DataDir(t))
	o.BinDir = t.TempDir() // closed to others
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(o.BinDir, name), []byte("#!/bin/sh\necho 'postgres (PostgreSQL) 17.1'\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	wantWords(t, refused(t, o), "may not enter", o.BinDir, "chmod o+x")
}

func TestReasonOfAFailedStartIsTold(t *testing.T) {
	t.Parallel()
	o := options(t, madeDir(t))
	o.Extra = []string{"shared_buffers=plenty"}
	wantWords(t, refused(t, o), "ended while it started", `invalid value for parameter "shared_buffers"`)
	answers(t, start(t, o.DataDir).URL) // and it left no lock behind
}

func TestRememberedPlaceThatIsGone(t *testing.T) {
	t.Parallel()
	dir := dbtest.DataDir(t)
	write(t, filepath.Join(dir, "pgdata.path"), filepath.Join(dir, "moved away")+"\n")
	wantWords(t, refused(t, options(t, dir)), "is not there", "bring it back")
	if _, err := os.Stat(filepath.Join(dir, "pgdata")); !os.IsNotExist(err) {
		t.Error("an empty database was made in its stead")
	}
}

func TestRootBelowAClosedParent(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root has to give the server to another user")
	}
	closed := dbtest.DataDir(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(closed, "data")
	elsewhere := filepath.Join("/var/lib/parley", cluster.ShortHash(dir))
	t.Cleanup(func() {
		_ = os.RemoveAll(elsewhere)
		_ = os.Remove(filepath.Dir(elsewhere)) // only if it is empty
	})
	s := start(t, dir)
	if pgdata, _ := s.PlaceOf(); pgdata != filepath.Join(elsewhere, "pgdata") {
		t.Errorf("the cluster is in %s, want it in %s", pgdata, elsewhere)
	}
	exec(t, s.URL, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)`)
	if raw, err := os.ReadFile(filepath.Join(dir, "pgdata.path")); err != nil || strings.TrimSpace(string(raw)) != elsewhere {
		t.Errorf("pgdata.path says %q (%v), want %s", raw, err, elsewhere)
	}
	stop(t, s)
	if err := os.Chmod(closed, 0o711); err != nil { // opened later: the database stays where it is
		t.Fatal(err)
	}
	answers(t, start(t, dir).URL)
}

func TestClusterThatBecameUnreachable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root has to give the server to another user")
	}
	dir := madeDir(t)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	wantWords(t, refused(t, options(t, dir)), "refuses to run as root", "may not enter "+dir, "chmod o+x")
}

func TestLogIsRotatedAndTrimmed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pg.log")
	if err := postgres.RotateLog(path); err != nil {
		t.Fatalf("without a log: %v", err)
	}
	write(t, path, "first\nrun\n")
	if err := postgres.RotateLog(path); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path + ".1"); err != nil || string(raw) != "first\nrun\n" {
		t.Errorf("the previous log is %q (%v)", raw, err)
	}
	write(t, path, strings.Repeat("line\n", postgres.MaxLog/5)+"the end\n")
	if got := postgres.LogTail(path); !strings.HasSuffix(got, "line; the end") || len(got) > 100 {
		t.Errorf("tail %q", got)
	}
	if err := postgres.TrimLog(path); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != 0 {
		t.Errorf("the log has %v bytes (%v), want 0", fi.Size(), err)
	}
	if got := postgres.LogTail(path + ".1"); !strings.HasSuffix(got, "the end") {
		t.Errorf("the trimmed log ends with %q", got)
	}
}
