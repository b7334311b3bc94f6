package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // the s3:// scheme
	"gocloud.dev/gcerrors"

	"github.com/parley-hub/parley/internal/errs"
)

// Bucket is a store in an object store. Contents are spooled to a local file first, since the key is known at the end
// only; an upload that breaks off leaves no object.
type Bucket struct {
	bucket *blob.Bucket
	spool  string
}

var _ Store = (*Bucket)(nil)

// OpenBucket opens s3://bucket?region=...; credentials come from the usual places (environment, instance role). Another
// server than Amazon's: s3://bucket?endpoint=https://...&use_path_style=true&region=us-east-1. The local directory spool
// holds a content while it is being received.
func OpenBucket(ctx context.Context, url, spool string) (*Bucket, error) {
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	b, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open object store: %w", err)
	}
	return &Bucket{bucket: b, spool: spool}, nil
}

// Close releases the connections.
func (b *Bucket) Close() error { return b.bucket.Close() }

// Put implements Store.
func (b *Bucket) Put(ctx context.Context, r io.Reader, limit int64) (key string, size int64, err error) {
	f, err := os.CreateTemp(b.spool, "put-*")
	if err != nil {
		return "", 0, fmt.Errorf("store file: %w", err)
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, hash), &limited{ctx: ctx, r: r, left: limit})
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return "", 0, fmt.Errorf("store file: %w", received(err))
	}
	key = hex.EncodeToString(hash.Sum(nil))
	if err := b.bucket.Upload(ctx, key, f, &blob.WriterOptions{ContentType: "application/octet-stream"}); err != nil {
		return "", 0, fmt.Errorf("store file: %w", unavailable(err))
	}
	return key, size, nil
}

// Open implements Store. Seeking asks the object store for the range from there on.
func (b *Bucket) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if !isKey(key) {
		return nil, 0, notFound(nil)
	}
	r, err := b.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, 0, notFound(err)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open file: %w", unavailable(err))
	}
	return r, r.Size(), nil
}

// Delete implements Store.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if !isKey(key) {
		return nil
	}
	if err := b.bucket.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete file: %w", unavailable(err))
	}
	return nil
}

// Walk implements Store.
func (b *Bucket) Walk(ctx context.Context, fn func(Info) error) error {
	for it := b.bucket.List(nil); ; {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("list files: %w", unavailable(err))
		}
		if o.IsDir || !isKey(o.Key) {
			continue
		}
		if err := fn(Info{Key: o.Key, Size: o.Size, PutAt: o.ModTime}); err != nil {
			return err
		}
	}
}

func unavailable(err error) error {
	return errs.Temporary(&errs.E{Code: errs.Unavailable, Msg: "The file store does not answer", Err: err})
}
