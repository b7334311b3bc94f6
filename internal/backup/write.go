package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// Options say what the rooms know of their tables.
type Options struct {
	Program string
	// Skip names tables whose rows stay behind: what is worth nothing elsewhere, or must not come to life again.
	Skip []string
	// Files are queries that give keys of the file store, one column each.
	Files []string
	// NoFiles leaves the contents of the file store out.
	NoFiles bool
	// Settle are statements that run at the end of restoring, in its transaction: they put into the right state what
	// was under way when the backup was taken.
	Settle []string
	// Occupied names tables that hold nothing in an installation that nobody uses yet.
	Occupied []string
	// IntoEmpty allows a database that has been set up already, as long as nobody uses it: what is in it goes.
	IntoEmpty bool
}

// Write writes the installation to w. Writers go on meanwhile; the snapshot holds back only what vacuum may remove.
func Write(ctx context.Context, pool *pgxpool.Pool, store blob.Store, w io.Writer, o Options) (Summary, error) {
	conn, err := patient(ctx, pool.Config().ConnConfig)
	if err != nil {
		return Summary{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return Summary{}, err
	}
	b := &writer{tar: tar.NewWriter(zip), proof: manifest{Tables: map[string]tableProof{}, Missing: []string{}}}
	keys, err := b.rows(ctx, conn, o)
	if err != nil {
		return Summary{}, err
	}
	// The snapshot is given up here: files never change. One whose last row goes meanwhile may be swept, and is listed as
	// missing.
	if !o.NoFiles {
		if err := b.files(ctx, store, keys); err != nil {
			return Summary{}, err
		}
	}
	if err := b.json(manifestName, b.proof); err != nil {
		return Summary{}, err
	}
	if err := errors.Join(b.tar.Close(), zip.Close()); err != nil {
		return Summary{}, fmt.Errorf("write backup: %w", err)
	}
	return b.proof.summary(b.head), nil
}

type writer struct {
	tar   *tar.Writer
	head  header
	proof manifest
}

func (b *writer) entry(name string, content []byte) error {
	err := b.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: b.head.TakenAt})
	if err == nil {
		_, err = b.tar.Write(content)
	}
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}

func (b *writer) json(name string, v any) error {
	content, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	if name == headerName {
		b.proof.Header = sum(content)
	}
	return b.entry(name, content)
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// rows writes the header and every table of one snapshot, and returns the keys of the files that it names.
func (b *writer) rows(ctx context.Context, conn *pgx.Conn, o Options) (keys []string, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("take a snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if b.head, err = readHeader(ctx, tx, o); err != nil {
		return nil, err
	}
	if err := b.json(headerName, b.head); err != nil {
		return nil, err
	}
	for _, t := range b.head.Tables {
		if err := b.table(ctx, conn, t); err != nil {
			return nil, fmt.Errorf("back up table %s: %w", t.Name, err)
		}
	}
	// After the rows: a sequence knows no snapshot, and a value too high does no harm.
	if b.proof.Sequences, err = readSequences(ctx, tx); err != nil {
		return nil, err
	}
	for _, sql := range o.Files {
		rows, err := tx.Query(ctx, sql)
		if err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
		more, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
		keys = append(keys, more...)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

func readHeader(ctx context.Context, tx pgx.Tx, o Options) (h header, err error) {
	h = header{Format: format, Program: o.Program, NoFiles: o.NoFiles}
	if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&h.TakenAt); err != nil {
		return h, fmt.Errorf("take a snapshot: %w", err)
	}
	h.TakenAt = h.TakenAt.UTC().Truncate(time.Second)
	v, err := postgres.Versions(ctx, tx)
	if err != nil {
		return h, err
	}
	h.Schema, h.Jobs = v.Schema, v.Jobs
	if h.Schema == 0 {
		return h, errs.New(errs.NotFound, "there is nothing in this database yet")
	}
	all, err := readTables(ctx, tx)
	if err != nil {
		return h, err
	}
	for _, t := range all {
		if !slices.Contains(o.Skip, t.Name) && !slices.Contains(schemaTables, t.Name) {
			h.Tables = append(h.Tables, t)
		}
	}
	h.Parts, err = readPartitions(ctx, tx)
	return h, err
}

func (b *writer) table(ctx context.Context, conn *pgx.Conn, t table) error {
	p := &pieces{writer: b, name: t.Name, hash: sha256.New()}
	// A query, since COPY of a partitioned table itself gives nothing.
	tag, err := conn.PgConn().CopyTo(ctx, p, fmt.Sprintf("COPY (SELECT %s FROM %s) TO STDOUT", quoteAll(t.Columns), quote(t.Name)))
	if err == nil {
		err = p.flush()
	}
	if err != nil {
		return err
	}
	b.proof.Tables[t.Name] = tableProof{Rows: tag.RowsAffected(), Bytes: p.bytes, SHA256: hex.EncodeToString(p.hash.Sum(nil))}
	return nil
}

// pieces cuts what COPY gives into entries.
type pieces struct {
	*writer
	name  string
	buf   []byte
	no    int
	bytes int64
	hash  hash.Hash
}

func (p *pieces) Write(row []byte) (int, error) {
	if len(p.buf) > 0 && len(p.buf)+len(row) > piece {
		if err := p.flush(); err != nil {
			return 0, err
		}
	}
	p.buf = append(p.buf, row...)
	return len(row), nil
}

func (p *pieces) flush() error {
	if len(p.buf) == 0 {
		return nil
	}
	p.no++
	p.bytes += int64(len(p.buf))
	p.hash.Write(p.buf)
	err := p.entry(fmt.Sprintf("%s%s/%06d", tableDir, p.name, p.no), p.buf)
	p.buf = p.buf[:0]
	return err
}

func (b *writer) files(ctx context.Context, store blob.Store, keys []string) error {
	for _, key := range keys {
		if key == "" {
			continue
		}
		err := b.file(ctx, store, key)
		if errs.Is(err, errs.NotFound) {
			b.proof.Missing = append(b.proof.Missing, key)
			continue
		}
		if err != nil {
			return fmt.Errorf("back up file %s: %w", key, err)
		}
	}
	return nil
}

func (b *writer) file(ctx context.Context, store blob.Store, key string) error {
	f, size, err := store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := b.tar.WriteHeader(&tar.Header{Name: fileDir + key, Mode: 0o600, Size: size, ModTime: b.head.TakenAt}); err != nil {
		return err
	}
	if _, err := io.Copy(b.tar, f); err != nil {
		return err
	}
	b.proof.Files++
	b.proof.FileBytes += size
	return nil
}
