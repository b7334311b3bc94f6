package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// tempMaxAge is how long a temporary file may be old before it counts as left behind by a crash. Uploads are bounded by
// the edge's time-outs, far below this.
const tempMaxAge = 24 * time.Hour

// Dir is a store in a directory: ab/cd/abcd..., 65,536 directories at most. os.Root keeps every path below it.
type Dir struct{ root *os.Root }

var _ Store = (*Dir)(nil)

// OpenDir opens a store, makes its directory (0700) if need be, and sweeps what crashes left behind.
func OpenDir(dir string) (*Dir, error) {
	if err := os.MkdirAll(path.Join(dir, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("open file store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open file store: %w", err)
	}
	d := &Dir{root: root}
	if err := d.sweep(time.Now().Add(-tempMaxAge)); err != nil {
		return nil, errors.Join(fmt.Errorf("open file store: %w", err), root.Close())
	}
	return d, nil
}

// Close releases the directory.
func (d *Dir) Close() error { return d.root.Close() }

func (d *Dir) sweep(before time.Time) error {
	entries, err := fs.ReadDir(d.root.FS(), "tmp")
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.ModTime().After(before) {
			continue // gone or in use
		}
		if err := d.root.Remove(path.Join("tmp", e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func fileOf(key string) string { return path.Join(key[:2], key[2:4], key) }

// Put implements Store.
func (d *Dir) Put(ctx context.Context, r io.Reader, limit int64) (key string, size int64, err error) {
	temp := path.Join("tmp", rand.Text())
	defer func() {
		if err == nil {
			return
		}
		_ = d.root.Remove(temp) // renamed already, never made, or swept later
		err = fmt.Errorf("store file: %w", received(err))
	}()

	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", 0, err
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, hash), &limited{ctx: ctx, r: r, left: limit})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, err
	}
	key = hex.EncodeToString(hash.Sum(nil))
	if err := d.publish(temp, key); err != nil {
		return "", 0, err
	}
	return key, size, nil
}

// publish gives a synced temporary file its name, and makes the name durable. It renames over an equal file rather than
// keep that one: the time of the file must say when it was last put.
func (d *Dir) publish(temp, key string) error {
	outer, inner := key[:2], path.Join(key[:2], key[2:4])
	if err := d.root.MkdirAll(inner, 0o700); err != nil {
		return err
	}
	if err := d.root.Rename(temp, fileOf(key)); err != nil {
		return err
	}
	// The parents as well: one of them may be new, or made by somebody who has not come to sync it yet.
	return errors.Join(d.syncDir(inner), d.syncDir(outer), d.syncDir("."))
}

func (d *Dir) syncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open implements Store.
func (d *Dir) Open(_ context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if !isKey(key) {
		return nil, 0, notFound(nil)
	}
	f, err := d.root.Open(fileOf(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, notFound(err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("open file: %w", err), f.Close())
	}
	return f, info.Size(), nil
}

// Delete implements Store.
func (d *Dir) Delete(_ context.Context, key string) error {
	if !isKey(key) {
		return nil
	}
	if err := d.root.Remove(fileOf(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete file: %w", err)
	}
	return nil
}

// Walk implements Store.
func (d *Dir) Walk(ctx context.Context, fn func(Info) error) error {
	return fs.WalkDir(d.root.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.IsDir() {
			if e.Name() == "tmp" {
				return fs.SkipDir
			}
			return nil
		}
		if !isKey(e.Name()) {
			return nil // not ours
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		return fn(Info{Key: e.Name(), Size: info.Size(), PutAt: info.ModTime()})
	})
}
