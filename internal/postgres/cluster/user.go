package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/parley-hub/parley/internal/errs"
)

// User is whom the server's programs run as. The zero value is whoever we are; PostgreSQL refuses root, so root picks
// somebody else.
type User struct {
	Name     string
	UID, GID uint32
	switched bool
}

// PickUser chooses the server's user. Root takes the owner of the data directory when that exists and is not root
// itself, else the first that exists of postgres, parley and nobody.
func PickUser(pgdata string) (User, error) {
	me := User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())} //nolint:gosec // ids are never negative on unix
	if me.UID != 0 {
		return me, nil
	}
	if fi, err := os.Stat(pgdata); err == nil {
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return User{Name: strconv.Itoa(int(st.Uid)), UID: st.Uid, GID: st.Gid, switched: true}, nil
		}
	}
	for _, name := range []string{"postgres", "parley", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return User{Name: name, UID: uint32(uid), GID: uint32(gid), switched: true}, nil
		}
	}
	return User{}, errs.New(errs.Unavailable, "Parley runs as root, PostgreSQL refuses to, and there is no user postgres, parley or nobody to run it as: make one (useradd --system parley), or run Parley as another user")
}

// Switched tells whether the server runs as somebody else than we do.
func (u User) Switched() bool { return u.switched }

// Command makes a command of the server's user in dir, without the PG* variables of our environment, which would
// redirect the programs.
func (u User) Command(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...) //nolint:gosec,noctx // a program of the installation that Find chose; ended by signals in the right order
	c.Dir = dir
	c.Env = []string{"LC_ALL=C", "TZ=UTC", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	for _, k := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"} {
		if v, ok := os.LookupEnv(k); ok {
			c.Env = append(c.Env, k+"="+v)
		}
	}
	// A group of its own: Ctrl-C in a terminal must reach only us; we stop the server when nothing uses it any more.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if u.switched {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: u.UID, Gid: u.GID}
	}
	return c
}

// MkdirPrivate makes dir for the server's user alone, or checks that it is so. The check matters in shared folders,
// where somebody else may have made it first.
func (u User) MkdirPrivate(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() || !u.mayTake(fi, filepath.Dir(dir)) {
		return errs.New(errs.Conflict, "%s belongs to somebody else", dir)
	}
	if u.switched {
		if err := os.Lchown(dir, int(u.UID), int(u.GID)); err != nil {
			return err
		}
	}
	return os.Chmod(dir, 0o700) //nolint:gosec // a directory needs x
}

// mayTake tells whether a folder that was there is ours to use. Root takes over what another user's server has left, but
// not in a folder where anybody may put something.
func (u User) mayTake(fi os.FileInfo, parent string) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	me := uint32(os.Geteuid()) //nolint:gosec // not negative
	if st.Uid == u.UID || st.Uid == me {
		return true
	}
	up, err := os.Stat(parent)
	return me == 0 && err == nil && up.Mode().Perm()&0o002 == 0
}

// Own gives a whole tree to the server's user; it does nothing when we are that user.
func (u User) Own(root string) error {
	if !u.switched {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(u.UID), int(u.GID))
	})
}

// Closed returns the first folder on the way to dir, dir included, that the server's user may not enter, "" when it
// can. Without this check the programs fail with a bare "permission denied".
func (u User) Closed(dir string) (string, error) {
	if !u.switched {
		return "", nil
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	var way []string
	for p := real; ; p = filepath.Dir(p) {
		way = append(way, p)
		if p == filepath.Dir(p) {
			break
		}
	}
	slices.Reverse(way)
	for _, p := range way {
		fi, err := os.Stat(p)
		if err != nil {
			return "", err
		}
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			return "", fmt.Errorf("no owner known of %s", p)
		}
		enter := fs.FileMode(0o001)
		switch {
		case st.Uid == u.UID:
			enter = 0o100
		case st.Gid == u.GID:
			enter = 0o010
		}
		if fi.Mode().Perm()&enter == 0 {
			return p, nil
		}
	}
	return "", nil
}
