package inbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

func (p *post) files() *Files {
	return NewFiles(p.pool, p.bus, p.out.blobs, slog.New(slog.DiscardHandler))
}

func (p *post) upload(f *Files, a staff.Access, name, content string) Attachment {
	p.t.Helper()
	up, err := f.Upload(p.ctx, a, name, strings.NewReader(content))
	if err != nil {
		p.t.Fatal(err)
	}
	return up
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	_, err := f.Upload(p.ctx, p.me, "big", io.LimitReader(zeros{}, MaxUpload+1))
	wantCode(t, err, errs.Invalid, "too large")
	_, err = f.Upload(p.ctx, p.me, "empty", strings.NewReader(""))
	wantCode(t, err, errs.Invalid, "empty")
	_, err = f.Upload(p.ctx, p.agent(staff.Auditor, staff.ScopeAll), "a", strings.NewReader("a"))
	wantCode(t, err, errs.Forbidden, "an auditor")
	if up := p.upload(f, p.me, "../../etc/pass\x00wd\u202e.txt", "x"); up.Name != "passwd.txt" {
		t.Errorf("got name %q", up.Name)
	}
	if n := p.id(`SELECT count(*) FROM attachment`); n != 1 {
		t.Errorf("got %d rows, want 1", n)
	}
}

func TestUploadBelongsToItsUploaderAndToOneMessage(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	other := p.agent(staff.Member, staff.ScopeOwn)
	up := p.upload(f, p.me, "a.txt", "secret")
	_, err := f.Open(p.ctx, other, up.ID, false)
	wantCode(t, err, errs.NotFound, "somebody else's upload")
	theirs := p.open(Open, 0, other.AgentID)
	_, err = p.Post(p.ctx, other, theirs, Draft{ID: uuid.New(), Attachments: []uuid.UUID{up.ID}})
	wantCode(t, err, errs.Invalid, "sending somebody else's upload")
	if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Attachments: []uuid.UUID{up.ID}}); err != nil {
		t.Fatal(err)
	}
	_, err = p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Attachments: []uuid.UUID{up.ID}})
	wantCode(t, err, errs.Invalid, "sending it twice")
	_, err = f.Open(p.ctx, other, up.ID, false)
	wantCode(t, err, errs.NotFound, "a file of a conversation that he does not see")
	s, err := f.Open(p.ctx, p.me, up.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if b, err := io.ReadAll(s); string(b) != "secret" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestWhatABrowserWouldRunIsText(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	for _, content := range []string{
		"<!DOCTYPE html><script>alert(1)</script>", "<html><body>", "<script>alert(1)</script>",
		`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>`,
	} {
		if up := p.upload(f, p.me, "photo.png", content); up.Type != "text/plain" || up.Kind != "document" || up.PreviewURL != nil {
			t.Errorf("%.30s is %s, %s", content, up.Type, up.Kind)
		}
	}
	for _, claimed := range []string{"text/html", "image/svg+xml", "application/xhtml+xml", "application/javascript"} {
		if got := sniff([]byte{0, 1, 2, 3}, claimed, "x.html"); got != "application/octet-stream" {
			t.Errorf("claimed %s is believed: %s", claimed, got)
		}
	}
}

// bomb is the header of a PNG of 50,000 x 50,000 pixels in a few bytes.
func bomb() []byte {
	ihdr := append([]byte("IHDR"), make([]byte, 13)...)
	binary.BigEndian.PutUint32(ihdr[4:], 50_000)
	binary.BigEndian.PutUint32(ihdr[8:], 50_000)
	ihdr[12] = 8
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(ihdr))
}

func TestPicturesArePreviewedAndBombsAreNot(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	up := p.upload(f, p.me, "a.png", string(picture(t, 1300, 650)))
	if up.Kind != "photo" || up.Width != 1300 || up.Height != 650 || up.PreviewURL == nil {
		t.Fatalf("got %+v", up)
	}
	s, err := f.Open(p.ctx, p.me, up.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if conf, _, err := image.DecodeConfig(s); err != nil || conf.Width != previewSide || s.Type != previewType {
		t.Errorf("preview is %d wide, %s, %v", conf.Width, s.Type, err)
	}
	if up := p.upload(f, p.me, "bomb.png", string(bomb())); up.Kind != "document" || up.PreviewURL != nil {
		t.Errorf("bomb: got %+v", up)
	}
	if up := p.upload(f, p.me, "cut.png", string(picture(t, 90, 90)[:60])); up.Kind != "document" {
		t.Errorf("cut: got %+v", up)
	}
}

// brokenPicture lets a decoder panic.
type brokenPicture struct{ *bytes.Reader }

func (brokenPicture) Read([]byte) (int, error) { panic("index out of range") }

func TestPanicOfADecoderIsAnError(t *testing.T) {
	t.Parallel()
	if _, _, _, err := shrink(brokenPicture{bytes.NewReader(nil)}); err == nil {
		t.Error("no error")
	}
}

// comes stores a customer's message that carries a file.
func (p *post) comes(kind string, ref json.RawMessage) uuid.UUID {
	p.t.Helper()
	k, id := p.hear(p.conv, "look"), uuid.New()
	p.exec(`INSERT INTO attachment (id, channel_id, conversation_id, message_at, message_id, kind, ref) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, p.channel, int64(p.conv), k.At, k.ID, kind, string(ref))
	return id
}

type mistyped struct {
	channels.Adapter
	info channels.MediaInfo
}

func (m mistyped) FetchMedia(ctx context.Context, ref json.RawMessage, w io.Writer) (channels.MediaInfo, error) {
	_, err := m.Adapter.FetchMedia(ctx, ref, w)
	return m.info, err
}

func TestFetchedMedia(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	photo := p.comes("photo", p.remote.PutMedia("a.png", picture(t, 20, 10)))
	gone := p.comes("photo", json.RawMessage(`{"key":"gone"}`))
	broken := p.comes("photo", json.RawMessage(`[]`))
	tired := p.comes("photo", json.RawMessage(`[]`))
	large := p.comes("document", p.remote.PutMedia("large", make([]byte, maxFetch+1)))
	p.exec(`UPDATE attachment SET attempts = $2 WHERE id = $1`, tired, fetchAttempts-1)
	ctx, cancel := context.WithCancel(p.ctx)
	done := make(chan struct{})
	go func() { defer close(done); f.Fetch(ctx, p.channel, p.remote.Adapter(p.channel)) }()
	const is = `SELECT count(*) FROM attachment WHERE id = $1 AND state = $2 AND kind = $3`
	p.until(1, is, photo, "ok", "photo")
	p.until(1, is, gone, "expired", "photo")
	p.until(1, is, tired, "failed", "photo")
	p.until(1, is, large, "failed", "document")
	p.until(1, is+` AND attempts > 0 AND not_before > now() - interval '1 minute'`, broken, "pending", "photo")
	cancel()
	<-done
	p.until(1, `SELECT count(*) FROM attachment WHERE id = $1 AND width = 20 AND height = 10 AND type = 'image/png' AND preview <> ''`, photo)
	p.until(4, `SELECT count(*) FROM event WHERE kind = 'message.updated'`)
	_, err := f.Open(p.ctx, p.me, broken, false)
	wantCode(t, err, errs.Unavailable, "pending file")
	_, err = f.Open(p.ctx, p.me, gone, false)
	wantCode(t, err, errs.NotFound, "expired file")
}

// stuck gives one file out only when it is let.
type stuck struct {
	channels.Adapter
	ref  string
	free chan struct{}
}

func (s stuck) FetchMedia(ctx context.Context, ref json.RawMessage, w io.Writer) (channels.MediaInfo, error) {
	if string(ref) == s.ref {
		select {
		case <-s.free:
		case <-ctx.Done():
			return channels.MediaInfo{}, ctx.Err()
		}
	}
	return s.Adapter.FetchMedia(ctx, ref, w)
}

func TestASlowFileHoldsNoOtherBack(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	slow := p.comes("document", p.remote.PutMedia("slow", []byte("slow")))
	var ref string
	if err := p.pool.QueryRow(p.ctx, `SELECT ref::text FROM attachment WHERE id = $1`, slow).Scan(&ref); err != nil {
		t.Fatal(err)
	}
	var quick []uuid.UUID
	for i := range 3 * fetchAtOnce {
		quick = append(quick, p.comes("document", p.remote.PutMedia(fmt.Sprint("quick", i), []byte("quick"))))
	}
	a := stuck{p.remote.Adapter(p.channel), ref, make(chan struct{})}
	ctx, cancel := context.WithCancel(p.ctx)
	done := make(chan struct{})
	go func() { defer close(done); f.Fetch(ctx, p.channel, a) }()
	p.until(int64(len(quick)), `SELECT count(*) FROM attachment WHERE state = 'ok' AND id <> $1`, slow)
	close(a.free)
	p.until(1, `SELECT count(*) FROM attachment WHERE state = 'ok' AND id = $1`, slow)
	cancel()
	<-done
}

// What the provider says about a file may be rubbish; the file comes all the same, once.
func TestFetchedMediaWithRubbishType(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	id := p.comes("document", p.remote.PutMedia("a", []byte{0, 1, 2, 3}))
	files, err := f.pending(p.ctx, p.channel, nil)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	f.fetchOne(p.ctx, p.channel, mistyped{p.remote.Adapter(p.channel), channels.MediaInfo{Type: "audio/\xff\x00" + strings.Repeat("x", 500)}}, files[0])
	p.until(1, `SELECT count(*) FROM attachment WHERE id = $1 AND state = 'ok'`, id)
}

// forgetful is a store that cannot be read for a moment.
type forgetful struct{ blob.Store }

func (forgetful) Open(context.Context, string) (io.ReadSeekCloser, int64, error) {
	return nil, 0, errs.New(errs.Unavailable, "The file store does not answer")
}

func TestPhotoStaysAPhotoWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	f := p.files()
	id := p.comes("photo", p.remote.PutMedia("a.png", picture(t, 20, 10)))
	files, err := f.pending(p.ctx, p.channel, nil)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	f.store = forgetful{p.out.blobs}
	f.fetchOne(p.ctx, p.channel, p.remote.Adapter(p.channel), files[0])
	p.until(1, `SELECT count(*) FROM attachment WHERE id = $1 AND state = 'pending' AND kind = 'photo' AND type <> ''`, id)
}

func TestSweepTakesOrphansOnly(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	dir := t.TempDir()
	store, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	p.out.blobs = store
	f := p.files()
	orphan, young, used := p.upload(f, p.me, "o", "orphan"), p.upload(f, p.me, "y", "young"), p.upload(f, p.me, "u", "used")
	if _, err := p.Post(p.ctx, p.me, p.conv, Draft{ID: uuid.New(), Attachments: []uuid.UUID{used.ID}}); err != nil {
		t.Fatal(err)
	}
	p.exec(`UPDATE attachment SET created_at = now() - interval '2 days' WHERE id = ANY ($1)`, []uuid.UUID{orphan.ID, used.ID})
	old := time.Now().Add(-2 * orphanAfter)
	if err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) == "young" {
			return err
		}
		return os.Chtimes(path, old, old)
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.Sweep(p.ctx); err != nil {
		t.Fatal(err)
	}
	left := 0
	_ = store.Walk(p.ctx, func(blob.Info) error { left++; return nil })
	if left != 2 {
		t.Errorf("%d contents are left, want the young and the used one", left)
	}
	_, err = f.Open(p.ctx, p.me, orphan.ID, false)
	wantCode(t, err, errs.NotFound, "orphan")
	for _, id := range []uuid.UUID{young.ID, used.ID} {
		s, err := f.Open(p.ctx, p.me, id, false)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	}
}
