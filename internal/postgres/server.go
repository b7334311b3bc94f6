package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres/cluster"
)

const (
	// database and owner are the names inside the private server; the owner is no superuser.
	database = "parley"
	owner    = "parley"

	// fastStop is how long a fast shutdown (SIGINT: transactions are rolled back, a checkpoint is written) may take
	// before the server is told to leave at once (SIGQUIT: it recovers at the next start). SIGKILL is never sent: it
	// could leave backends behind that still write.
	fastStop = 20 * time.Second
	quitStop = 10 * time.Second

	hubLockPatience = time.Second
)

// ServerOptions say where the private server's data is.
type ServerOptions struct {
	DataDir string // of the hub; made if missing
	BinDir  string // folder with initdb and postgres, "" = look for it
	Log     *slog.Logger
	Extra   []string // further settings of the server, as name=value
}

// Server is the private PostgreSQL of one hub. It is kept running until Stop: when it dies, it is started again.
type Server struct {
	URL     string // of the hub's database, as its owner
	Adopted bool   // it was still running from a hub that was killed

	place   *place
	bin     cluster.Binaries
	extra   []string
	log     *slog.Logger
	hubLock *cluster.Lock
	proc    *process // owned by keep once that runs

	stopKeep context.CancelFunc
	kept     chan struct{} // closed when keep has ended
	stopOnce sync.Once
	stopErr  error
}

// StartServer starts the private server for a data directory, or takes over the one that a killed hub left running. It
// makes the cluster, the role and the database when there are none. It refuses a directory that another hub uses, one
// that another major version wrote, and one that holds something else. The returned server's database has no schema
// yet: Migrate makes it.
func StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	s, err := newServer(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx, o.BinDir); err != nil {
		s.hubLock.Release()
		return nil, err
	}
	return s, nil
}

// newServer takes the hub's lock and finds the cluster's place; nothing runs yet.
func newServer(ctx context.Context, o ServerOptions) (*Server, error) {
	dir, err := filepath.Abs(o.DataDir)
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	if err := makeDataDir(dir); err != nil {
		return nil, err
	}
	s := &Server{extra: o.Extra, log: o.Log.With("component", "postgres")}
	if s.hubLock, err = lockHub(ctx, filepath.Join(dir, "parley.lock")); err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if s.hubLock == nil {
		return nil, errs.New(errs.Conflict, "another Parley is using %s: stop it first, or give this one a data directory of its own (PARLEY_DATA_DIR)", dir)
	}
	if s.place, err = findPlace(dir, s.log); err != nil {
		s.hubLock.Release()
		return nil, err
	}
	return s, nil
}

// lockHub returns nil when another hub keeps the lock. Commands that look for a running hub have it for an instant
// (Attach), and a hub that is being restarted ends in a moment; neither is a reason to refuse.
func lockHub(ctx context.Context, path string) (*cluster.Lock, error) {
	for deadline := time.Now().Add(hubLockPatience); ; pause(ctx, pollEvery) {
		lock, err := cluster.TryLock(path)
		if lock != nil || err != nil || time.Now().After(deadline) || ctx.Err() != nil {
			return lock, err
		}
	}
}

func (s *Server) start(ctx context.Context, binDir string) error {
	upgraded, err := s.place.finishUpgrade(s.log)
	if err != nil {
		return err
	}
	major, err := cluster.WrittenBy(s.place.pgdata)
	if err != nil {
		return err
	}
	if s.bin, err = cluster.Find(ctx, binDir, s.place.dataDir, major); err != nil {
		return err
	}
	if err := s.checkReach(); err != nil {
		return err
	}
	if major == 0 {
		if err := s.initdb(ctx); err != nil {
			return err
		}
	}
	if err := s.place.own(); err != nil {
		return err
	}
	if err := rotateLog(s.place.log); err != nil {
		return err
	}
	if s.proc, err = s.launch(ctx); err != nil {
		return err
	}
	s.Adopted = s.proc.adopted
	s.URL = cluster.URL(owner, database, s.place.socketDir)
	err = bootstrap(ctx, s.adminURL())
	if err == nil && upgraded {
		err = s.afterUpgrade(ctx)
	}
	if err != nil {
		return errors.Join(err, s.proc.stop(context.WithoutCancel(ctx)))
	}
	keepCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.stopKeep, s.kept = cancel, make(chan struct{})
	go s.keep(keepCtx)
	return nil
}

// checkReach says in words what would be a bare "permission denied": programs in a checkout below /root, for example.
func (s *Server) checkReach() error {
	closed, err := s.place.user.Closed(s.bin.Dir)
	if err != nil {
		return fmt.Errorf("look at the way to the database's programs: %w", err)
	}
	if closed == "" {
		return nil
	}
	return errs.New(errs.Unavailable, "PostgreSQL refuses to run as root, and the user %s, as whom it has to run, may not enter %s on the way to its programs in %s: install the system's packages (apt-get install postgresql), or open %s to others (chmod o+x)", s.place.user.Name, closed, s.bin.Dir, closed)
}

func (s *Server) initdb(ctx context.Context) error {
	began := time.Now()
	if err := cluster.Init(ctx, s.bin, s.place.user, s.place.pgdata); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "database cluster made", "dir", s.place.pgdata, "major", s.bin.Major, "took", time.Since(began))
	return nil
}

func (s *Server) adminURL() string {
	return cluster.URL(cluster.Superuser, "postgres", s.place.socketDir)
}

// Stop shuts the server down: at first so that it need not recover; if that takes 20 s or ctx ends, at once. The pools
// on it should be closed before. A second call does nothing.
func (s *Server) Stop(ctx context.Context) error {
	s.stopOnce.Do(func() {
		s.stopKeep()
		<-s.kept
		s.stopErr = s.proc.stop(ctx)
		s.hubLock.Release()
	})
	return s.stopErr
}

// makeDataDir makes the hub's directory. For root it can be entered by others, because the server runs as somebody
// else; what is in it is closed by itself.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // the way to the data, not the data
		return fmt.Errorf("make the data directory: %w", err)
	}
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}
