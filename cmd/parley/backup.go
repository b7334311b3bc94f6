package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/backup"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
)

func backupCommands() []command {
	return []command{
		{
			name: "backup", args: "FILE|-", help: "write database and files into FILE, also while the server runs", run: takeBackup,
			flags: func(fs *flag.FlagSet) { fs.Bool("no-files", false, "leave attachments and pictures out") },
		},
		{
			name: "restore", args: "FILE|-", help: "fill an empty installation from a backup", run: restoreBackup,
			flags: func(fs *flag.FlagSet) {
				fs.Bool("into-empty-database", false, "also replace what a server that nobody uses yet has set up")
			},
		},
	}
}

// backupOptions is what the rooms say of their tables.
func backupOptions() backup.Options {
	return backup.Options{
		Program: version,
		// Whoever was signed out since must not be signed in again.
		Skip:     []string{"session", "login_attempt"},
		Files:    []string{inbox.FilesSQL},
		Settle:   append(inbox.SettleSQL(), jobs.SettleSQL),
		Occupied: []string{"agent", "contact", "channel", "conversation"},
	}
}

func takeBackup(ctx context.Context, c call) error {
	if len(c.args) != 1 {
		return errors.New("backup: name one file, or - for standard output")
	}
	began := time.Now()
	return withStores(ctx, c, func(pool *pgxpool.Pool, store blob.Store) error {
		o := backupOptions()
		o.NoFiles = c.flag("no-files") == "true"
		var s backup.Summary
		err := writeTo(c, func(w io.Writer) (err error) {
			s, err = backup.Write(ctx, pool, store, w, o)
			return err
		})
		if err != nil {
			return err
		}
		// On standard error, since standard output may be the backup.
		_, err = fmt.Fprintf(c.err, "backed up %d rows (%s) and %d files (%s) in %s\n", s.Rows, size(s.Bytes), s.Files, size(s.FileBytes), time.Since(began).Round(10*time.Millisecond))
		if s.Missing > 0 {
			_, _ = fmt.Fprintf(c.err, "%d files are named in the database but not in the store; they are not inside\n", s.Missing)
		}
		key, _ := c.cfg.SecretKeyPath()
		_, _ = fmt.Fprintf(c.err, "the key (%s) is NOT inside: keep a copy of it apart, without it the channels' credentials cannot be opened\n", key)
		return err
	})
}

// writeTo lets fn write the file that the command names. It gets its name when it is whole and on disk.
func writeTo(c call, fn func(w io.Writer) error) error {
	name := c.args[0]
	if name == "-" {
		return fn(c.out)
	}
	temp := name + ".part"
	_ = os.Remove(temp)                                                   // of a run that was killed; made anew, it is nobody else's to read
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	err = fn(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

func restoreBackup(ctx context.Context, c call) error {
	if len(c.args) != 1 {
		return errors.New("restore: name one file, or - for standard input")
	}
	if err := c.refuse(); err != nil {
		return err
	}
	var from io.Reader = c.in
	if c.args[0] != "-" {
		f, err := os.Open(c.args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	if c.cfg.DatabaseURL == "" {
		url, err := postgres.Attach(ctx, c.cfg.DataDir, c.log)
		if err != nil {
			return err
		}
		if url != "" {
			return fmt.Errorf("a Parley is running on %s: stop it first", c.cfg.DataDir)
		}
	}
	// Makes the data directory, as a first start would.
	if _, err := postgres.NodeID(c.cfg.DataDir); err != nil {
		return err
	}
	began := time.Now()
	return withStores(ctx, c, func(pool *pgxpool.Pool, store blob.Store) error {
		o := backupOptions()
		o.IntoEmpty = c.flag("into-empty-database") == "true"
		s, err := backup.Restore(ctx, pool, store, from, o)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "restored %d rows (%s) and %d files (%s), as of %s, in %s; the spine's epoch is %d\n",
			s.Rows, size(s.Bytes), s.Files, size(s.FileBytes), s.TakenAt.Format(time.RFC3339), time.Since(began).Round(10*time.Millisecond), s.Epoch)
		key, _ := c.cfg.SecretKeyPath()
		if _, missing := os.Stat(key); missing != nil {
			_, _ = fmt.Fprintf(c.out, "now put the old installation's key to %s before the first start: a backup never holds it\n", key)
		}
		_, _ = fmt.Fprintln(c.out, "everybody signs in again; messages that were on their way out are listed as uncertain, for people to decide")
		return err
	})
}

// withStores gives fn the database as it is, of whatever version, and the file store.
func withStores(ctx context.Context, c call, fn func(pool *pgxpool.Pool, store blob.Store) error) error {
	return withDatabaseAsIs(ctx, c, func(pool *pgxpool.Pool) error {
		h := &hub{services: newServices(slog.New(slog.DiscardHandler))}
		defer h.services.stop()
		store, err := h.openBlobs(ctx, c.cfg)
		if err != nil {
			return err
		}
		return fn(pool, store)
	})
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d kB", (n+1023)>>10)
}
