package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

const (
	// elsewhere is where the cluster of a root hub goes when the server's user cannot reach the data directory.
	elsewhere = "/var/lib/parley"
	// pathFile in the data directory remembers that it went there.
	pathFile = "pgdata.path"
)

// place is where one hub's cluster lives and as whom it runs.
type place struct {
	dataDir   string // of the hub
	home      string // folder of the following; the data directory, or one below elsewhere
	pgdata    string
	socketDir string
	log       string
	lock      string // held by every process of the server
	user      cluster.User
}

// findPlace decides where the cluster is or will be. A cluster that exists is never moved.
func findPlace(dataDir string, log *slog.Logger) (*place, error) {
	home, err := remembered(dataDir)
	if err != nil {
		return nil, err
	}
	if home != "" {
		return newPlace(dataDir, home)
	}
	p, err := newPlace(dataDir, dataDir)
	if err != nil {
		return nil, err
	}
	closed, err := p.user.Closed(dataDir)
	if err != nil {
		return nil, fmt.Errorf("look at the way to the data directory: %w", err)
	}
	if closed == "" {
		return p, nil
	}
	if _, err := os.Stat(p.pgdata); err == nil {
		return nil, errs.New(errs.Conflict, "PostgreSQL refuses to run as root, and the user %s, as whom it has to run, may not enter %s on the way to %s: run Parley as the user it belongs to, or open %s to others (chmod o+x)", p.user.Name, closed, p.pgdata, closed)
	}
	home = filepath.Join(elsewhere, cluster.ShortHash(dataDir))
	if err := os.MkdirAll(home, 0o711); err != nil { //nolint:gosec // the server's user must pass
		return nil, fmt.Errorf("make a place for the database: %w", err)
	}
	for _, dir := range []string{elsewhere, home} { // whatever the umask is
		if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // as above
			return nil, fmt.Errorf("open %s to the database server: %w", dir, err)
		}
	}
	if err := writeFile(filepath.Join(dataDir, pathFile), home+"\n"); err != nil {
		return nil, fmt.Errorf("remember the place of the database: %w", err)
	}
	log.Info("the database is kept elsewhere, since PostgreSQL cannot run as root and its user may not enter the data directory",
		"dir", home, "data_dir", dataDir, "closed", closed, "user", p.user.Name)
	return newPlace(dataDir, home)
}

// Home is the directory of a hub's built-in database, which need not be there yet.
func Home(dataDir string) (string, error) {
	home, err := remembered(dataDir)
	if err != nil || home != "" {
		return home, err
	}
	return dataDir, nil
}

func remembered(dataDir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dataDir, pathFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the place of the database: %w", err)
	}
	home := strings.TrimSpace(string(raw))
	if fi, err := os.Stat(home); err != nil || !fi.IsDir() {
		return "", errs.New(errs.Conflict, "%s says that the database is in %q, which is not there: bring it back, or remove the file to begin with an empty database", filepath.Join(dataDir, pathFile), home)
	}
	return home, nil
}

func newPlace(dataDir, home string) (*place, error) {
	p := &place{
		dataDir: dataDir, home: home,
		pgdata: filepath.Join(home, "pgdata"),
		log:    filepath.Join(home, "pg.log"),
		lock:   filepath.Join(home, "pg.lock"),
	}
	var err error
	if p.user, err = cluster.PickUser(p.pgdata); err != nil {
		return nil, err
	}
	if err := p.checkOwner(); err != nil {
		return nil, err
	}
	if p.socketDir, err = cluster.SocketDir(p.user, filepath.Join(home, "pgsocket")); err != nil {
		return nil, err
	}
	return p, nil
}

// checkOwner says in words what the server would refuse with "data directory has wrong ownership".
func (p *place) checkOwner() error {
	fi, err := os.Stat(p.pgdata)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("look at the database: %w", err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == p.user.UID || os.Geteuid() == 0 {
		return nil // root gives the files to the server's user
	}
	return errs.New(errs.Conflict, "the database in %s belongs to user id %d, and Parley runs as %d: run it as that user (or as root), or give it the files (chown -R)", p.pgdata, st.Uid, p.user.UID)
}

// own gives the cluster's files to the server's user where a restore or a copy by root has left them to root.
func (p *place) own() error {
	fi, err := os.Stat(p.pgdata)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Uid == p.user.UID {
		return nil
	}
	if err := p.user.Own(p.pgdata); err != nil {
		return fmt.Errorf("give the database to its user: %w", err)
	}
	return nil
}

// writeFile replaces a small file so that it is whole after a power failure: the old one or the new one.
func writeFile(path, content string) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return cluster.SyncDir(filepath.Dir(path))
}
