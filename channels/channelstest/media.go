package channelstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"runtime"
	"testing"

	"github.com/parley-hub/parley/channels"
)

const (
	large = 20 << 20
	// room is how much memory a file of 20 MB may take on its way: buffers, not the file.
	room = 6 << 20
)

// meter hashes what is written and looks at the memory in the middle.
type meter struct {
	hash  hash.Hash
	n     int64
	start uint64
	used  uint64
}

func newMeter() *meter { return &meter{hash: sha256.New(), start: heap()} }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (m *meter) Write(p []byte) (int, error) {
	before := m.n
	m.n += int64(len(p))
	for _, at := range []int64{large / 2, large * 9 / 10} {
		if before < at && m.n >= at {
			if now := heap(); now > m.start {
				m.used = max(m.used, now-m.start)
			}
		}
	}
	return m.hash.Write(p)
}

func largeIn(t *testing.T, p *Peer) {
	if p.WriteFile == nil {
		t.Skip("no files come in")
	}
	h, sink := up(t, p)
	content := p.WriteFile(large)
	m := sink.UntilMessages(t, 1)[0]
	if len(m.Media) != 1 || m.Media[0].TooBig != "" {
		t.Fatalf("got %+v", m.Media)
	}
	a := h.adapter(t, sink)
	w := newMeter()
	info, err := a.FetchMedia(t.Context(), m.Media[0].Ref, w)
	if err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	if _, err := io.Copy(want, content()); err != nil {
		t.Fatal(err)
	}
	if w.n != large || info.Size != large || !bytes.Equal(w.hash.Sum(nil), want.Sum(nil)) {
		t.Errorf("%d bytes came (told: %d), or they are not the ones sent", w.n, info.Size)
	}
	if w.used > room {
		t.Errorf("%d MB of memory were taken: the file is not streamed", w.used>>20)
	}
	// A writer that fails, as a full disk does, is the fetcher's trouble and not the provider's.
	full := errors.New("disk full")
	if _, err := a.FetchMedia(t.Context(), m.Media[0].Ref, writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) || errors.Is(err, channels.ErrMediaGone) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func largeOut(t *testing.T, p *Peer) {
	if p.ReceivedSize == nil {
		t.Skip("no files go out")
	}
	h, sink, m := met(t, p)
	w := newMeter()
	m.Files = []channels.File{{Kind: "document", Name: "plan.bin", Type: "application/octet-stream", Size: large, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.TeeReader(io.LimitReader(zeros{}, large), w)), nil
	}}}
	if _, err := h.adapter(t, sink).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := p.ReceivedSize(); got != large {
		t.Errorf("%d bytes arrived", got)
	}
	if w.used > 2*room { // the provider in the same process keeps a part of it
		t.Errorf("%d MB of memory were taken: the file is not streamed", w.used>>20)
	}
	// A file that breaks off is not sent.
	broken := errors.New("the store broke down")
	m.Files[0].Open = func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(io.LimitReader(zeros{}, large/2), failing{broken})), nil
	}
	before := len(p.Received())
	_, err := h.adapter(t, sink).Send(t.Context(), m)
	wantKind(t, err, channels.Temporary)
	if len(p.Received()) != before {
		t.Error("half a file was delivered")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func fileGone(t *testing.T, p *Peer) {
	if p.ForgetFiles == nil {
		t.Skip("files stay")
	}
	h, sink := up(t, p)
	p.WriteFile(1000)
	m := sink.UntilMessages(t, 1)[0]
	p.ForgetFiles()
	if _, err := h.adapter(t, sink).FetchMedia(t.Context(), m.Media[0].Ref, io.Discard); !errors.Is(err, channels.ErrMediaGone) {
		t.Errorf("got %v, want ErrMediaGone", err)
	}
}
