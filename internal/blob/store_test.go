package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/errs"
)

// stores are the two implementations; every behaviour below is asked of both.
func stores(t *testing.T) map[string]blob.Store {
	t.Helper()
	dir, err := blob.OpenDir(filepath.Join(t.TempDir(), "blob"))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := blob.OpenBucket(t.Context(), startS3(t), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(dir.Close(), bucket.Close()); err != nil {
			t.Error(err)
		}
	})
	return map[string]blob.Store{"directory": dir, "bucket": bucket}
}

func each(t *testing.T, check func(t *testing.T, s blob.Store)) {
	t.Helper()
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, s)
		})
	}
}

func content(t *testing.T, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func keys(t *testing.T, s blob.Store) []string {
	t.Helper()
	var list []string
	err := s.Walk(t.Context(), func(i blob.Info) error {
		if time.Since(i.PutAt) > time.Hour {
			t.Errorf("%s was put at %s", i.Key, i.PutAt)
		}
		list = append(list, i.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func TestPutOpenDelete(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s blob.Store) {
		var want []string
		for _, size := range []int{0, 1, 100_000, 3 << 20} {
			data := content(t, size)
			key, n, err := s.Put(t.Context(), iotest.HalfReader(bytes.NewReader(data)), int64(size))
			if err != nil || n != int64(size) {
				t.Fatalf("Put of %d = %d, %v", size, n, err)
			}
			if sum := sha256.Sum256(data); key != hex.EncodeToString(sum[:]) {
				t.Errorf("key %s is not the SHA-256", key)
			}
			r, n, err := s.Open(t.Context(), key)
			if err != nil || n != int64(size) {
				t.Fatalf("Open = %d, %v", n, err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("read %d bytes, %v; want the %d that were put", len(got), err, size)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			want = append(want, key)
		}
		slices.Sort(want)
		if d := cmp.Diff(want, keys(t, s)); d != "" {
			t.Errorf("Walk (-want +got):\n%s", d)
		}
		for range 2 { // the second time it is not there any more
			if err := s.Delete(t.Context(), want[0]); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.Open(t.Context(), want[0]); !errs.Is(err, errs.NotFound) {
			t.Errorf("Open after Delete: %v", err)
		}
	})
}

func TestSeek(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s blob.Store) {
		data := content(t, 1<<20)
		key, _, err := s.Put(t.Context(), bytes.NewReader(data), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		r, size, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		// what http.ServeContent does for a range in the middle
		if end, err := r.Seek(0, io.SeekEnd); err != nil || end != size {
			t.Fatalf("end at %d, %v", end, err)
		}
		for _, at := range []int64{700_000, 3, 0} {
			if _, err := r.Seek(at, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 1000)
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, data[at:at+1000]) {
				t.Errorf("other bytes at %d, %v", at, err)
			}
		}
	})
}

func TestSameContentHasOneKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s blob.Store) {
		data := content(t, 200_000)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := s.Put(t.Context(), bytes.NewReader(data), 1<<20); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if list := keys(t, s); len(list) != 1 {
			t.Errorf("keys %v", list)
		}
	})
}

func TestBrokenUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	cut := errors.New("connection reset")
	each(t, func(t *testing.T, s blob.Store) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for name, tt := range map[string]struct {
			ctx  context.Context
			r    io.Reader
			want error
		}{
			"cut":       {t.Context(), io.MultiReader(bytes.NewReader(content(t, 50_000)), iotest.ErrReader(cut)), cut},
			"too large": {t.Context(), bytes.NewReader(content(t, 100_001)), blob.ErrTooLarge},
			"cancelled": {gone, strings.NewReader("x"), context.Canceled},
		} {
			if key, _, err := s.Put(tt.ctx, tt.r, 100_000); !errors.Is(err, tt.want) || key != "" {
				t.Errorf("%s: %q, %v; want %v", name, key, err, tt.want)
			}
		}
		if list := keys(t, s); len(list) > 0 {
			t.Errorf("left behind: %v", list)
		}
	})
}

func TestStrangeKeysAreNotFound(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s blob.Store) {
		for _, key := range []string{"", "../../etc/passwd", strings.Repeat("../", 20) + "etcd", strings.Repeat("A", 64), strings.Repeat("0", 64)} {
			if _, _, err := s.Open(t.Context(), key); !errs.Is(err, errs.NotFound) {
				t.Errorf("Open(%q) = %v", key, err)
			}
			if err := s.Delete(t.Context(), key); err != nil {
				t.Errorf("Delete(%q) = %v", key, err)
			}
		}
	})
}

func TestDirSweepsOldTemporaries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := s.Put(t.Context(), strings.NewReader("kept"), 10)
	if err != nil {
		t.Fatal(err)
	}
	young, old := filepath.Join(dir, "tmp", "young"), filepath.Join(dir, "tmp", "old")
	for _, p := range []string{young, old} {
		if err := os.WriteFile(p, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-48 * time.Hour)
	if err := errors.Join(os.Chtimes(old, past, past), s.Close()); err != nil {
		t.Fatal(err)
	}

	s, err = blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("the old temporary file is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("the young temporary file is gone: somebody may be writing it")
	}
	if d := cmp.Diff([]string{key}, keys(t, s)); d != "" {
		t.Errorf("keys (-want +got):\n%s", d)
	}
}
