package inbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

// Files keeps what messages carry: uploads of agents, and media fetched from the channels, each with a preview where it
// is a picture. The bytes stand in the blob store under their hash, written and synced before a row names them.
type Files struct {
	pool  *pgxpool.Pool
	bus   bus.Bus
	store blob.Store
	log   *slog.Logger
	// previews are made one at a time: a hostile picture costs memory once.
	previewing chan struct{}
}

// NewFiles makes the file desk.
func NewFiles(pool *pgxpool.Pool, b bus.Bus, store blob.Store, log *slog.Logger) *Files {
	return &Files{pool: pool, bus: b, store: store, log: log.With("component", "files"), previewing: make(chan struct{}, 1)}
}

const (
	// MaxUpload is what an agent may upload at once, in bytes.
	MaxUpload = 25 << 20
	// maxFetch is what the hub fetches from a channel, in bytes.
	maxFetch = 64 << 20
	// orphanAfter: an upload that no message named for a day is removed.
	orphanAfter = 24 * time.Hour
)

const attachmentColumns = `id, kind, name, type, size, width, height, duration_ms, state, error, content_id, preview <> ''`

func scanAttachment(row pgx.Row) (Attachment, error) {
	var a Attachment
	var preview bool
	err := row.Scan(&a.ID, &a.Kind, &a.Name, &a.Type, &a.Size, &a.Width, &a.Height, &a.DurationMS, &a.State, &a.Error, &a.ContentID, &preview)
	a.URL = "/api/attachments/" + a.ID.String()
	if preview {
		url := a.URL + "/preview"
		a.PreviewURL = &url
	}
	return a, err
}

// Upload stores a file of an agent until one of his messages names it. The type is what the bytes say, not what the
// client claims.
func (f *Files) Upload(ctx context.Context, a staff.Access, name string, r io.Reader) (Attachment, error) {
	if err := may(a, staff.Reply, "upload files"); err != nil {
		return Attachment{}, err
	}
	key, size, err := f.store.Put(ctx, r, MaxUpload)
	if errors.Is(err, blob.ErrTooLarge) {
		return Attachment{}, errs.Field("file", "is larger than %d MB", MaxUpload>>20)
	}
	if err != nil {
		return Attachment{}, err
	}
	if size == 0 {
		return Attachment{}, errs.Field("file", "is empty")
	}
	if err := f.scanUpload(ctx, key); err != nil {
		return Attachment{}, err
	}
	look, err := f.look(ctx, key, "", name)
	if err != nil {
		return Attachment{}, err
	}
	return scanAttachment(f.pool.QueryRow(ctx, `
INSERT INTO attachment (id, uploader_id, kind, name, type, size, width, height, state, blob, preview)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'ok', $9, $10) RETURNING `+attachmentColumns,
		newMessageID(), int64(a.AgentID), look.kind, fileName(name), look.typ, size, look.width, look.height, key, look.preview))
}

// Stored is a file on its way to a browser.
type Stored struct {
	io.ReadSeekCloser
	Name string
	Type string
	Size int64
	Hash string
	At   time.Time
}

const openFileSQL = `
SELECT f.state, f.error, f.blob, f.preview, f.name, f.type, f.created_at FROM attachment f
LEFT JOIN conversation c ON c.id = f.conversation_id
WHERE f.id = $4 AND ((f.message_id IS NULL AND f.uploader_id = $5) OR (c.id IS NOT NULL AND ` + visibleSQL + `))`

// Open opens a file, or its preview, for somebody who sees the conversation (or uploaded it). What is still being
// fetched is errs.Unavailable; what cannot be had is errs.NotFound with the reason.
func (f *Files) Open(ctx context.Context, a staff.Access, id uuid.UUID, preview bool) (*Stored, error) {
	var state, reason, key, small string
	var s Stored
	err := f.pool.QueryRow(ctx, openFileSQL, who(a, id, int64(a.AgentID))...).Scan(&state, &reason, &key, &small, &s.Name, &s.Type, &s.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errs.New(errs.NotFound, "There is no such file, or you may not see it.")
	}
	if err != nil {
		return nil, fmt.Errorf("find file: %w", err)
	}
	if state == "pending" {
		return nil, errs.New(errs.Unavailable, "The file is still being fetched.")
	}
	if state != "ok" {
		return nil, errs.New(errs.NotFound, "The file cannot be had: %s", reason)
	}
	if preview {
		if small == "" {
			return nil, errs.New(errs.NotFound, "There is no preview of this file.")
		}
		key, s.Type = small, previewType
	}
	s.Hash = key
	s.ReadSeekCloser, s.Size, err = f.store.Open(ctx, key)
	return &s, err
}

// looked is what the bytes of a file tell.
type looked struct {
	kind, typ     string
	width, height int
	preview       string
}

// look reads the type from the bytes and makes the preview of a picture. claimed helps where bytes say nothing.
func (f *Files) look(ctx context.Context, key, claimed, name string) (looked, error) {
	r, _, err := f.store.Open(ctx, key)
	if err != nil {
		return looked{}, err
	}
	defer func() { _ = r.Close() }()
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return looked{}, err
	}
	l := looked{typ: sniff(head[:n], claimed, name)}
	l.kind = kindOf(l.typ)
	if l.kind != "photo" {
		return l, nil
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return l, err
	}
	select {
	case f.previewing <- struct{}{}:
		defer func() { <-f.previewing }()
	case <-ctx.Done():
		return l, ctx.Err()
	}
	small, w, h, err := shrink(r)
	if err != nil { // not a picture that we can show: it stays a document
		l.kind = "document"
		return l, nil //nolint:nilerr // the file itself is kept and can be downloaded
	}
	l.width, l.height = w, h
	l.preview, _, err = f.store.Put(ctx, bytes.NewReader(small), maxFetch)
	return l, err
}

// sniff is the type by the bytes. A claimed type is believed only where bytes are silent and it is harmless: a media
// type that a player needs, never one that a browser would run.
func sniff(head []byte, claimed, name string) string {
	typ, _, _ := strings.Cut(http.DetectContentType(head), ";")
	switch {
	case strings.HasPrefix(typ, "text/html"), strings.HasPrefix(typ, "text/xml"):
		return "text/plain"
	case typ == "application/ogg":
		return "audio/ogg"
	case typ != "application/octet-stream":
		return typ
	case bytes.HasPrefix(head, []byte("OggS")):
		return "audio/ogg"
	}
	claimed, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(claimed)), ";")
	if strings.HasPrefix(claimed, "audio/") || strings.HasPrefix(claimed, "video/") {
		return storable(claimed, 127)
	}
	if strings.HasSuffix(strings.ToLower(name), ".pdf") && bytes.HasPrefix(head, []byte("%PDF")) {
		return "application/pdf"
	}
	return "application/octet-stream"
}

func kindOf(typ string) string {
	switch {
	case typ == "image/png", typ == "image/jpeg", typ == "image/gif", typ == "image/webp":
		return "photo"
	case strings.HasPrefix(typ, "audio/"):
		return "audio"
	case strings.HasPrefix(typ, "video/"):
		return "video"
	}
	return "document"
}

// fileName keeps the last element of what the client calls the file, without anything that a file system or a header
// could misread.
func fileName(s string) string {
	s = storable(s, 1000)
	if i := strings.LastIndexAny(s, `/\`); i >= 0 {
		s = s[i+1:]
	}
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || strings.ContainsRune(`"<>|:*?`, r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, s)
	s = strings.Trim(s, ". ")
	if s == "" {
		s = "file"
	}
	return storable(s, 255)
}

const (
	// what a draft holds is not forgotten: it may be weeks until somebody finishes it
	sweepUploadsSQL = `DELETE FROM attachment f WHERE f.message_id IS NULL AND f.created_at < now() - make_interval(secs => $1)
	AND NOT EXISTS (SELECT 1 FROM draft d WHERE d.attachments @> ARRAY[f.id] AND d.attachments <> '{}')`
	blobUsedSQL = `SELECT EXISTS (SELECT 1 FROM attachment WHERE blob = $1 AND blob <> '') OR EXISTS (SELECT 1 FROM attachment WHERE preview = $1 AND preview <> '')
	OR EXISTS (SELECT 1 FROM canned_file WHERE blob = $1 OR preview = $1)
	OR EXISTS (SELECT 1 FROM contact_export WHERE blob = $1)`
)

// Sweep removes uploads that nobody used. The blobs of them go with the store's own sweep of what no row names.
func (f *Files) Sweep(ctx context.Context) error {
	_, err := f.pool.Exec(ctx, sweepUploadsSQL, orphanAfter.Seconds())
	if err != nil {
		return err
	}
	var failed error
	err = f.store.Walk(ctx, func(i blob.Info) error {
		if time.Since(i.PutAt) < orphanAfter {
			return nil
		}
		var used bool
		if err := f.pool.QueryRow(ctx, blobUsedSQL, i.Key).Scan(&used); err != nil {
			return err
		}
		if !used { // at once: the same content may be uploaded again while the walk goes on
			failed = errors.Join(failed, f.store.Delete(ctx, i.Key))
		}
		return nil
	})
	return errors.Join(err, failed)
}
