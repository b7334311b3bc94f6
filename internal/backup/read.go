package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
)

// reader goes through a stream once. next is the entry that comes, nil at the end.
type reader struct {
	tar   *tar.Reader
	next  *tar.Header
	head  header
	proof manifest // as read
	seen  manifest // as it was found
}

// open reads up to the end of the header.
func open(r io.Reader) (*reader, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, &errs.E{Code: errs.Invalid, Msg: "this is no backup of Parley", Err: err}
	}
	b := &reader{tar: tar.NewReader(zip), seen: manifest{Tables: map[string]tableProof{}}}
	if err := b.advance(); err != nil {
		return nil, err
	}
	if b.next == nil || b.next.Name != headerName {
		return nil, errs.New(errs.Invalid, "this is no backup of Parley")
	}
	content, err := b.whole()
	if err != nil {
		return nil, err
	}
	if err := readJSON(content, &b.head); err != nil {
		return nil, err
	}
	b.seen.Header = sum(content)
	return b, b.head.check()
}

func (b *reader) advance() (err error) {
	b.next, err = b.tar.Next()
	if errors.Is(err, io.EOF) {
		b.next = nil
		return nil
	}
	return cut(err)
}

// cut says what an early end means.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &errs.E{Code: errs.Invalid, Err: errCutOff, Msg: "the backup is damaged"}
	}
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, tar.ErrHeader) {
		return &errs.E{Code: errs.Invalid, Err: err, Msg: "the backup is damaged"}
	}
	return err
}

// whole reads the entry at hand into memory, and goes to the next.
func (b *reader) whole() ([]byte, error) {
	if b.next.Size > headerLimit {
		return nil, broken("%s is larger than %d MB", b.next.Name, headerLimit>>20)
	}
	content, err := io.ReadAll(b.tar)
	if err != nil {
		return nil, cut(err)
	}
	return content, b.advance()
}

// table is the name of the table that the entry at hand is a piece of, "" when it is none.
func (b *reader) table() string {
	if b.next == nil {
		return ""
	}
	rest, ok := strings.CutPrefix(b.next.Name, tableDir)
	name, _, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return ""
	}
	return name
}

// joined reads the pieces of one table as one.
type joined struct {
	*reader
	name  string
	bytes int64
	hash  hash.Hash
}

func (b *reader) join(name string) *joined { return &joined{reader: b, name: name, hash: sha256.New()} }

func (j *joined) Read(p []byte) (int, error) {
	for j.table() == j.name {
		n, err := j.tar.Read(p)
		j.bytes += int64(n)
		j.hash.Write(p[:n])
		if errors.Is(err, io.EOF) {
			err = j.advance()
		}
		if n > 0 || err != nil {
			return n, cut(err)
		}
	}
	return 0, io.EOF
}

func (j *joined) proofOf(rows int64) tableProof {
	return tableProof{Rows: rows, Bytes: j.bytes, SHA256: hex.EncodeToString(j.hash.Sum(nil))}
}

// files puts the contents into the store, each under the name that its bytes have.
func (b *reader) files(ctx context.Context, store blob.Store) error {
	for b.next != nil && strings.HasPrefix(b.next.Name, fileDir) {
		want := strings.TrimPrefix(b.next.Name, fileDir)
		key, size, err := store.Put(ctx, b.tar, b.next.Size)
		if err != nil {
			return fmt.Errorf("restore file %s: %w", want, cut(err))
		}
		if key != want {
			return errors.Join(broken("file %s has other bytes", want), store.Delete(ctx, key))
		}
		b.seen.Files++
		b.seen.FileBytes += size
		if err := b.advance(); err != nil {
			return err
		}
	}
	return nil
}

// finish reads the manifest and compares.
func (b *reader) finish() error {
	if b.next == nil {
		return &errs.E{Code: errs.Invalid, Err: errCutOff, Msg: "the backup is damaged"}
	}
	if b.next.Name != manifestName {
		return broken("%s is where the manifest should be", b.next.Name)
	}
	content, err := b.whole()
	if err != nil {
		return err
	}
	if err := readJSON(content, &b.proof); err != nil {
		return err
	}
	if b.seen.Header != b.proof.Header {
		return broken("the header was changed")
	}
	for _, t := range b.head.Tables {
		if b.seen.Tables[t.Name] != b.proof.Tables[t.Name] && b.proof.Tables[t.Name].Rows+b.seen.Tables[t.Name].Rows > 0 {
			return broken("table %s has %d rows (%.12s), the manifest says %d (%.12s)", t.Name, b.seen.Tables[t.Name].Rows,
				b.seen.Tables[t.Name].SHA256, b.proof.Tables[t.Name].Rows, b.proof.Tables[t.Name].SHA256)
		}
	}
	if b.seen.Files != b.proof.Files || b.seen.FileBytes != b.proof.FileBytes {
		return broken("%d files are inside, the manifest says %d", b.seen.Files, b.proof.Files)
	}
	return nil
}
