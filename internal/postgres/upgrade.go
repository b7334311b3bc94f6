package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

// The steps of an upgrade, so that a kill between any two of them loses nothing:
//
//  1. the old server is started and stopped once, which recovers it and shuts it down properly;
//  2. pgdata.upgrade is initialised and filled by pg_upgrade. Until it is finished the old cluster is whole; the only
//     trace in it is that pg_control is named pg_control.old while files are linked;
//  3. pgdata.upgraded is written: from here the way is forward only;
//  4. pgdata becomes pgdata.old, pgdata.upgrade becomes pgdata;
//  5. the new server starts, the spine's epoch is raised, statistics are made, the traces are removed.
//
// Every start looks for these traces first and goes back (before 3) or forward.
func (p *place) upgradeDir() string  { return p.pgdata + ".upgrade" }
func (p *place) upgradeMark() string { return p.pgdata + ".upgraded" }
func (p *place) oldDir() string      { return p.pgdata + ".old" }
func (p *place) control() string     { return filepath.Join(p.pgdata, "global", "pg_control") }

// UpgradeMajor moves the cluster of a data directory, whose hub is stopped, to the newest installed major version (or
// that of BinDir). It needs the programs of both versions, and pg_upgrade among the new ones. Files are linked, not
// copied, so it takes seconds and no space; there is no way back but a backup.
func UpgradeMajor(ctx context.Context, o ServerOptions) error {
	s, err := newServer(ctx, o)
	if err != nil {
		return err
	}
	defer func() { s.hubLock.Release() }()
	if _, err := s.place.finishUpgrade(s.log); err != nil {
		return err
	}
	major, err := cluster.WrittenBy(s.place.pgdata)
	if err != nil {
		return err
	}
	if major == 0 {
		return errs.New(errs.NotFound, "there is no database in %s yet", s.place.home)
	}
	all := cluster.FindAll(ctx, "", s.place.dataDir)
	if o.BinDir != "" {
		all = append(cluster.FindAll(ctx, o.BinDir, s.place.dataDir), all...)
	}
	from, to, err := choose(all, major, o.BinDir)
	if err != nil {
		return err
	}
	return s.upgrade(ctx, from, to)
}

// choose picks the two installations, or says what to install.
func choose(all []cluster.Binaries, major int, binDir string) (from, to cluster.Binaries, err error) {
	for _, b := range all {
		if b.Major == major && from.Dir == "" {
			from = b
		}
		// Of the same major the one with pg_upgrade; npm's packages have none.
		if binDir == "" && (b.Major > to.Major || b.Major == to.Major && !to.Has("pg_upgrade") && b.Has("pg_upgrade")) {
			to = b
		}
		if binDir != "" && b.Dir == binDir {
			to = b
		}
	}
	switch {
	case to.Major <= major:
		return from, to, errs.New(errs.Conflict, "the database is of PostgreSQL %d and no newer one is installed: install the new major version beside it (apt-get install postgresql-%d), then try again", major, major+1)
	case from.Dir == "":
		return from, to, errs.New(errs.Unavailable, "the programs of PostgreSQL %d, which wrote the database, are not installed: install them beside %d (apt-get install postgresql-%d), then try again", major, to.Major, major)
	}
	var missing []string
	for _, need := range []struct {
		in   cluster.Binaries
		name []string
	}{
		{from, []string{"pg_ctl", "pg_controldata", "pg_resetwal"}},
		{to, []string{"pg_upgrade", "pg_ctl", "pg_controldata", "pg_resetwal", "pg_dump", "pg_dumpall", "pg_restore", "psql"}},
	} {
		for _, n := range need.name {
			if !need.in.Has(n) {
				missing = append(missing, need.in.Program(n))
			}
		}
	}
	if len(missing) > 0 {
		return from, to, errs.New(errs.Unavailable, "these programs are missing: %s. Install the system's packages of PostgreSQL %d and %d (apt-get install postgresql-%d postgresql-%d; the npm packages come without them), or take a backup with the old version and restore it into a new data directory",
			strings.Join(missing, ", "), major, to.Major, major, to.Major)
	}
	return from, to, nil
}

func (s *Server) upgrade(ctx context.Context, from, to cluster.Binaries) error {
	checksums, err := s.settle(ctx, from)
	if err != nil {
		return fmt.Errorf("shut the old database down properly: %w", err)
	}
	if err := s.pgUpgrade(ctx, from, to, checksums); err != nil {
		return errors.Join(err, s.place.rollBack(s.log))
	}
	if err := writeFile(s.place.upgradeMark(), fmt.Sprintf("%d to %d\n", from.Major, to.Major)); err != nil {
		return errors.Join(fmt.Errorf("mark the upgrade as done: %w", err), s.place.rollBack(s.log))
	}
	if err := s.start(ctx, to.Dir); err != nil {
		return fmt.Errorf("start the upgraded database: %w", err)
	}
	s.log.InfoContext(ctx, "database upgraded", "from", from.Major, "to", to.Major)
	return s.Stop(ctx)
}

// settle runs the old server once and stops it: a cluster that was not shut down properly cannot be upgraded.
func (s *Server) settle(ctx context.Context, from cluster.Binaries) (checksums bool, err error) {
	s.bin = from
	if err := s.place.own(); err != nil {
		return false, err
	}
	p, err := s.launch(ctx)
	if err != nil {
		return false, err
	}
	conn, err := pgx.Connect(ctx, s.adminURL())
	if err == nil {
		err = conn.QueryRow(ctx, `SELECT current_setting('data_checksums')::boolean`).Scan(&checksums)
		err = errors.Join(err, conn.Close(ctx))
	}
	return checksums, errors.Join(err, p.stop(context.WithoutCancel(ctx)))
}

// pgUpgrade fills pgdata.upgrade. The programs it runs hold the server's lock, so that no hub starts beside one that
// outlived us.
func (s *Server) pgUpgrade(ctx context.Context, from, to cluster.Binaries, checksums bool) error {
	lock, err := cluster.TryLock(s.place.lock)
	if err != nil {
		return fmt.Errorf("lock the database: %w", err)
	}
	if lock == nil {
		return errs.New(errs.Unavailable, "the old database server is still running")
	}
	defer lock.Release()
	var extra []string
	switch { // both clusters must agree; the default changed with 18
	case checksums:
		extra = []string{"--data-checksums"}
	case to.Major >= 18:
		extra = []string{"--no-data-checksums"}
	}
	if err := cluster.InitAt(ctx, to, s.place.user, s.place.upgradeDir(), extra...); err != nil {
		return err
	}
	c := s.place.user.Command(s.place.upgradeDir(), to.Program("pg_upgrade"), "--link",
		"-b", from.Dir, "-B", to.Dir, "-d", s.place.pgdata, "-D", s.place.upgradeDir(),
		"-s", s.place.socketDir, "-p", "5432", "-P", "5432", "-U", cluster.Superuser)
	c.ExtraFiles = []*os.File{lock.File()}
	if out, err := cluster.Run(ctx, c); err != nil {
		return fmt.Errorf("pg_upgrade: %w: %s", err, cluster.LastLines(string(out), 20))
	}
	return nil
}

// finishUpgrade completes or undoes an upgrade that was interrupted, and reports whether the cluster is a new one whose
// first start must raise the epoch.
func (p *place) finishUpgrade(log *slog.Logger) (upgraded bool, err error) {
	_, markErr := os.Stat(p.upgradeMark())
	_, dirErr := os.Stat(p.upgradeDir())
	if markErr != nil && dirErr != nil {
		return false, nil
	}
	lock, err := cluster.TryLock(p.lock)
	if err != nil {
		return false, fmt.Errorf("lock the database: %w", err)
	}
	if lock == nil && dirErr == nil {
		return false, errs.New(errs.Unavailable, "an upgrade of the database in %s is still running: wait for its end", p.home)
	}
	defer lock.Release()
	if markErr != nil {
		return false, p.rollBack(log)
	}
	if dirErr == nil {
		if err := p.putAside(); err != nil {
			return false, fmt.Errorf("put the old database aside: %w", err)
		}
		if err := os.Rename(p.upgradeDir(), p.pgdata); err != nil {
			return false, fmt.Errorf("put the new database in its place: %w", err)
		}
		if err := cluster.SyncDir(p.home); err != nil {
			return false, fmt.Errorf("put the new database in its place: %w", err)
		}
	}
	return true, nil
}

// putAside renames the old cluster; what an earlier upgrade has not managed to remove goes first.
func (p *place) putAside() error {
	if _, err := os.Stat(p.pgdata); errors.Is(err, fs.ErrNotExist) {
		return nil // done before the interruption
	}
	if err := os.RemoveAll(p.oldDir()); err != nil {
		return err
	}
	return os.Rename(p.pgdata, p.oldDir())
}

// rollBack gives the old cluster back what pg_upgrade took while it linked, and removes the unfinished new one.
func (p *place) rollBack(log *slog.Logger) error {
	if err := os.Rename(p.control()+".old", p.control()); err == nil {
		log.Warn("an unfinished upgrade of the database is undone", "dir", p.pgdata)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("undo the upgrade: %w", err)
	}
	if err := os.RemoveAll(p.upgradeDir()); err != nil {
		return fmt.Errorf("remove the unfinished upgrade: %w", err)
	}
	return nil
}

// afterUpgrade does what the new cluster needs before it serves. It is repeated when it was interrupted: an epoch too
// many does no harm.
func (s *Server) afterUpgrade(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, cluster.URL(cluster.Superuser, database, s.place.socketDir))
	if err != nil {
		return fmt.Errorf("connect to the upgraded database: %w", err)
	}
	defer conn.Close(ctx)
	var spine bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('spine') IS NOT NULL`).Scan(&spine); err != nil {
		return fmt.Errorf("look for the spine: %w", err)
	}
	if spine {
		epoch, err := BumpEpoch(ctx, conn)
		if err != nil {
			return err
		}
		s.log.InfoContext(ctx, "the spine has a new epoch", "epoch", epoch)
	}
	if _, err := conn.Exec(ctx, `ANALYZE`); err != nil {
		return fmt.Errorf("make statistics: %w", err)
	}
	if err := os.Remove(s.place.upgradeMark()); err != nil {
		return fmt.Errorf("end the upgrade: %w", err)
	}
	if err := os.RemoveAll(s.place.oldDir()); err != nil {
		return fmt.Errorf("remove the old database: %w", err)
	}
	return nil
}
