package postgres_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

// withPrograms makes an installation that consists of empty files.
func withPrograms(t *testing.T, major int, names ...string) cluster.Binaries {
	t.Helper()
	b := cluster.Binaries{Dir: t.TempDir(), Major: major}
	for _, n := range append(names, "initdb", "postgres") {
		write(t, b.Program(n), "")
	}
	return b
}

func TestUpgradeSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	all := []string{"pg_ctl", "pg_controldata", "pg_resetwal", "pg_upgrade", "pg_dump", "pg_dumpall", "pg_restore", "psql"}
	old15, new17, npm18 := withPrograms(t, 15, all...), withPrograms(t, 17, all...), withPrograms(t, 18, "pg_ctl")
	for _, c := range []struct {
		name  string
		have  []cluster.Binaries
		words []string
	}{
		{"nothing newer", []cluster.Binaries{old15}, []string{"PostgreSQL 15", "no newer", "postgresql-16"}},
		{"the old one is gone", []cluster.Binaries{new17}, []string{"PostgreSQL 15", "not installed", "postgresql-15"}},
		{"no pg_upgrade", []cluster.Binaries{old15, npm18}, []string{npm18.Program("pg_upgrade"), "postgresql-18", "backup"}},
	} {
		_, _, err := postgres.ChooseForUpgrade(c.have, 15, "")
		if err == nil {
			t.Errorf("%s: no error", c.name)
		}
		wantWords(t, err, c.words...)
	}
	from, to, err := postgres.ChooseForUpgrade([]cluster.Binaries{old15, npm18, new17}, 15, new17.Dir)
	if err != nil || from != old15 || to != new17 {
		t.Errorf("got %v to %v, %v; want 15 to 17", from, to, err)
	}
}

func TestUpgradeOfNothing(t *testing.T) {
	t.Parallel()
	wantWords(t, postgres.UpgradeMajor(t.Context(), options(t, dbtest.DataDir(t))), "no database")
}

// TestUpgrade runs pg_upgrade from the installed version to itself, which goes the same way as to another.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	dir := madeDir(t)
	bin, err := cluster.Find(t.Context(), os.Getenv("PARLEY_PG_BIN"), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if !bin.Has("pg_upgrade") {
		t.Skip("this installation has no pg_upgrade")
	}
	hub := startHub(t, dir)
	exec(t, hub.url, `CREATE TABLE spine (epoch int); INSERT INTO spine VALUES (3)`)
	hub.kill(t) // what it leaves running is stopped properly first

	if err := postgres.UpgradeWith(t.Context(), options(t, dir), bin, bin); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	answers(t, s.URL)
	if got := scan[int](t, s.URL, `SELECT epoch FROM spine`); got != 4 {
		t.Errorf("the epoch is %d, want 4", got)
	}
	for _, trace := range []string{"pgdata.upgrade", "pgdata.upgraded", "pgdata.old"} {
		if _, err := os.Stat(filepath.Join(dir, trace)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", trace, err)
		}
	}
}

func TestInterruptedUpgrade(t *testing.T) {
	t.Parallel()
	rename := func(t *testing.T, dir, from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name      string
		interrupt func(t *testing.T, dir string)
	}{
		{"while linking", func(t *testing.T, dir string) {
			rename(t, dir, "pgdata/global/pg_control", "pgdata/global/pg_control.old")
			if err := os.MkdirAll(filepath.Join(dir, "pgdata.upgrade", "base"), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"before the old one was put aside", func(t *testing.T, dir string) {
			rename(t, dir, "pgdata", "pgdata.upgrade")
			if err := os.MkdirAll(filepath.Join(dir, "pgdata", "base"), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "pgdata.upgraded"), "14 to 15\n")
		}},
		{"before the new one was put in its place", func(t *testing.T, dir string) {
			rename(t, dir, "pgdata", "pgdata.upgrade")
			if err := os.MkdirAll(filepath.Join(dir, "pgdata.old", "base"), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "pgdata.upgraded"), "14 to 15\n")
		}},
		{"before the first start", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "pgdata.upgraded"), "14 to 15\n")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := madeDir(t)
			c.interrupt(t, dir)
			answers(t, start(t, dir).URL)
			for _, trace := range []string{"pgdata.upgrade", "pgdata.upgraded", "pgdata.old"} {
				if _, err := os.Stat(filepath.Join(dir, trace)); !os.IsNotExist(err) {
					t.Errorf("%s is left: %v", trace, err)
				}
			}
		})
	}
}
