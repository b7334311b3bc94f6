// Package blob keeps files by the SHA-256 of their content: attachments, pictures, recordings.
//
// Invariants. A key is returned only when the whole content stands on disk for good (written under a temporary name,
// synced, renamed, directory synced), so a row that names a key never points at half a file. The same content has one
// key, however often it is put. Names given by people are no part of a key.
//
// Failure. What breaks off leaves at most a temporary file, which is swept. A full disk is a temporary error with
// errs.Unavailable; a content over the limit is ErrTooLarge and leaves nothing.
//
// Sweeping. Whoever deletes files that no row names must leave young ones alone (an hour): a file is put before the row
// that names it is committed. Putting a content again makes its file young again.
package blob

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

// ErrTooLarge means that the content was longer than the limit.
var ErrTooLarge = errors.New("the content is longer than allowed")

// Store keeps files. All methods are safe for concurrent use, also by several processes.
type Store interface {
	// Put reads r to its end, at most limit bytes, and returns the key of the content.
	Put(ctx context.Context, r io.Reader, limit int64) (key string, size int64, err error)
	// Open gives the content; seeking is cheap, so a part of a recording can be served. errs.NotFound when it is gone.
	Open(ctx context.Context, key string) (content io.ReadSeekCloser, size int64, err error)
	// Delete removes a content; one that is not there is no error.
	Delete(ctx context.Context, key string) error
	// Walk calls fn for every content, in no order, until fn returns an error.
	Walk(ctx context.Context, fn func(Info) error) error
}

// Info is what Walk tells about a content.
type Info struct {
	Key   string
	Size  int64
	PutAt time.Time // last time that it was put
}

const keyLength = 64

// isKey lets only what Put makes near a path.
func isKey(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) == keyLength
}

func notFound(err error) error {
	return &errs.E{Code: errs.NotFound, Msg: "This file is not there any more", Err: err}
}

// limited reads at most limit bytes, and fails with ErrTooLarge where io.LimitReader would pretend an end. It also
// stops when ctx ends, since a reader fed by a slow peer knows nothing of ctx.
type limited struct {
	ctx  context.Context //nolint:containedctx // lives for one Put only
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}

// received says what to do about a content that did not come whole.
func received(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errs.Temporary(&errs.E{Code: errs.Unavailable, Msg: "The server's disk is full", Err: err})
	}
	return err
}
