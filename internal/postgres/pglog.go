package postgres

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	maxLog      = 16 << 20
	tailBytes   = 4 << 10
	tailLines   = 5
	oldLogAfter = ".1"
)

// rotateLog keeps the log of the previous run beside the new one.
func rotateLog(path string) error {
	if err := os.Rename(path, path+oldLogAfter); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotate the database's log: %w", err)
	}
	return nil
}

// trimLog keeps a log that has grown too long as the previous one and empties it. The server has it open for appending,
// so it goes on at the beginning; what it writes in between is lost.
func trimLog(path string) error {
	fi, err := os.Stat(path)
	if err != nil || fi.Size() < maxLog {
		return ignoreMissing(err)
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path+oldLogAfter, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.LimitReader(from, 2*maxLog))
	return errors.Join(err, to.Close(), os.Truncate(path, 0))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// logTail is the end of the log, where the reason of a failure stands.
func logTail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > tailBytes {
		if _, err := f.Seek(-tailBytes, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "; ")
}
