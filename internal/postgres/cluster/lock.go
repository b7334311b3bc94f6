package cluster

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock is an exclusive lock on a file. It belongs to the open file, so it can be handed to a child: it is held until
// the last process that has the file open is gone, however that ends. No process id is ever guessed.
type Lock struct{ f *os.File }

// TryLock takes the lock, or returns nil when another process has it.
func TryLock(path string) (*Lock, error) {
	return lock(path, syscall.LOCK_EX|syscall.LOCK_NB)
}

// WaitLock takes the lock and waits for whoever has it. Only for locks that are held for moments.
func WaitLock(path string) (*Lock, error) { return lock(path, syscall.LOCK_EX) }

func lock(path string, how int) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil {
		return &Lock{f: f}, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil //nolint:nilnil // "not taken" is an answer, not a failure
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// File is handed to a child (exec.Cmd.ExtraFiles) that shall keep the lock.
func (l *Lock) File() *os.File { return l.f }

// Release closes our hold; a child that has the file keeps the lock.
func (l *Lock) Release() {
	if l != nil && l.f != nil {
		_ = l.f.Close()
		l.f = nil
	}
}
