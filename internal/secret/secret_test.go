package secret_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/parley-hub/parley/internal/secret"
)

func newKey(t *testing.T) string {
	t.Helper()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(key)
}

func load(t *testing.T, lines ...string) *secret.Box {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret.key")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	box, err := secret.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	box := load(t, newKey(t))
	for _, plain := range [][]byte{{}, []byte("x"), bytes.Repeat([]byte("long"), 10_000)} {
		sealed, err := box.Seal("channel/7", plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := box.Open("channel/7", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open = %q, %v; want %q", got, err, plain)
		}
		if len(plain) > 1 && bytes.Contains(sealed, plain) {
			t.Error("the plain text is in the sealed one")
		}
	}
}

func TestSealedTwiceDiffers(t *testing.T) {
	t.Parallel()
	box := load(t, newKey(t))
	a, _ := box.Seal("x", []byte("same"))
	b, _ := box.Seal("x", []byte("same"))
	if bytes.Equal(a, b) {
		t.Error("two seals of one text are equal")
	}
}

func TestSealedIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	box := load(t, newKey(t))
	sealed, err := box.Seal("channel/7", []byte("token"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.Open("channel/8", sealed); err == nil {
		t.Error("opened for another row")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := box.Open("channel/7", changed); err == nil {
			t.Errorf("opened with byte %d changed", i)
		}
		if _, err := box.Open("channel/7", sealed[:i]); err == nil {
			t.Errorf("opened when cut at %d", i)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	older, newer := newKey(t), newKey(t)
	sealed, err := load(t, older).Seal("a", []byte("token"))
	if err != nil {
		t.Fatal(err)
	}
	both := load(t, "# new", newer, "", older)
	if got, err := both.Open("a", sealed); err != nil || string(got) != "token" {
		t.Fatalf("the old key no longer opens: %q, %v", got, err)
	}
	again, err := both.Seal("a", []byte("token"))
	if err != nil {
		t.Fatal(err)
	}
	only := load(t, newer)
	if _, err := only.Open("a", again); err != nil {
		t.Errorf("the first key of the file did not seal: %v", err)
	}
	if _, err := only.Open("a", sealed); !errors.Is(err, secret.ErrUnknownKey) {
		t.Errorf("err = %v, want ErrUnknownKey", err)
	}
}

func TestLoadOrCreate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret.key")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, _, err := secret.LoadOrCreate(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v; want 0600", info.Mode(), err)
	}
	first, created, err := secret.LoadOrCreate(path)
	if err != nil || created {
		t.Fatalf("created %v, %v; want the file that is there", created, err)
	}
	sealed, _ := first.Seal("a", []byte("x"))
	second, err := secret.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Open("a", sealed); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".secret-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	for name, content := range map[string]string{
		"empty":     "# nothing\n",
		"short":     base64.StdEncoding.EncodeToString([]byte("short")),
		"no base64": key[:20] + "!" + key[21:],
	} {
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.Load(path); err == nil || strings.Contains(err.Error(), key[:10]) {
			t.Errorf("%s: err = %v; want one that does not repeat the key", name, err)
		}
	}
}

// TestDerive: a derived key belongs to its name, and outlives the rotation of the sealing key.
func TestDerive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	box, _, err := secret.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	one, two := box.Derive("one"), box.Derive("two")
	if len(one) != 32 || bytes.Equal(one, two) {
		t.Errorf("derived %x and %x", one, two)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)) + "\n"
	if err := os.WriteFile(path, append([]byte(newer), old...), 0o600); err != nil {
		t.Fatal(err)
	}
	if box, err = secret.Load(path); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(box.Derive("one"), one) {
		t.Error("a new sealing key changes derived keys")
	}
}
