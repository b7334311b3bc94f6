// Package secret seals what must not be readable in the database or in a backup of it: the credentials of channels.
//
// Invariants. The keys stand in a file outside the database, readable by its owner alone. A sealed value names its key
// and is bound to the place that it was sealed for (aad, for example "channel/7"): copied to another row it does not
// open. The first key of the file seals, every key opens; so a key is rotated by putting a new line in front.
//
// Failure. Without its key a sealed value is lost for good, and Open says so: a backup is useless without the key file.
package secret

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrUnknownKey means that a value was sealed with a key that is not in the key file.
var ErrUnknownKey = errors.New("the key that this was sealed with is not in the key file")

const (
	version  = 1
	idSize   = 4
	overhead = 1 + idSize + chacha20poly1305.NonceSizeX
)

// Box seals and opens. It is safe for concurrent use.
type Box struct {
	first [idSize]byte
	keys  map[[idSize]byte]cipher.AEAD
	last  []byte // the oldest key, from which Derive makes its own
}

// Load reads a key file: one key a line, 32 bytes in base64; empty lines and lines with # are skipped.
func Load(path string) (*Box, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	b := &Box{keys: map[[idSize]byte]cipher.AEAD{}}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		// The error of the decoder would repeat a piece of the key.
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("key file %s:%d: not 32 bytes in base64", path, i+1)
		}
		if err := b.add(key); err != nil {
			return nil, fmt.Errorf("key file %s:%d: %w", path, i+1, err)
		}
	}
	if len(b.keys) == 0 {
		return nil, fmt.Errorf("key file %s has no key", path)
	}
	return b, nil
}

// LoadOrCreate is Load, but makes a file with a new key when there is none; created reports that it did.
func LoadOrCreate(path string) (box *Box, created bool, err error) {
	box, err = Load(path)
	if !errors.Is(err, os.ErrNotExist) {
		return box, false, err
	}
	if err := create(path); err != nil {
		return nil, false, fmt.Errorf("make key file: %w", err)
	}
	box, err = Load(path)
	return box, true, err
}

// create writes the file whole before it gets its name, and never over another one: two programs that start at once end
// up with one key, and a crash leaves no half of one.
func create(path string) error {
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key) // never fails: it ends the program instead
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString("# Seals the credentials in the database. Keep a copy apart from the backups.\n" +
		base64.StdEncoding.EncodeToString(key) + "\n")
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (b *Box) add(key []byte) error {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return err
	}
	b.last = key
	sum := sha256.Sum256(append([]byte("parley key id\x00"), key...))
	id := [idSize]byte(sum[:idSize])
	if len(b.keys) == 0 {
		b.first = id
	}
	b.keys[id] = aead
	return nil
}

// Derive makes a key for signing what the name stands for. It comes from the oldest key of the file, so that it stays the
// same when a key is put in front, and what was signed is still recognised.
func (b *Box) Derive(name string) []byte {
	mac := hmac.New(sha256.New, b.last)
	mac.Write([]byte("parley derive\x00" + name))
	return mac.Sum(nil)
}

// Seal encrypts plain for the place that aad names.
func (b *Box) Seal(aad string, plain []byte) ([]byte, error) {
	out := make([]byte, overhead, overhead+len(plain)+chacha20poly1305.Overhead)
	out[0] = version
	copy(out[1:], b.first[:])
	nonce := out[1+idSize : overhead]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return b.keys[b.first].Seal(out, nonce, plain, bind(out, aad)), nil
}

// Open decrypts what Seal made for the same aad.
func (b *Box) Open(aad string, sealed []byte) ([]byte, error) {
	if len(sealed) < overhead+chacha20poly1305.Overhead || sealed[0] != version {
		return nil, errors.New("open sealed value: not one of ours")
	}
	aead, ok := b.keys[[idSize]byte(sealed[1:1+idSize])]
	if !ok {
		return nil, fmt.Errorf("open sealed value: %w", ErrUnknownKey)
	}
	plain, err := aead.Open(nil, sealed[1+idSize:overhead], sealed[overhead:], bind(sealed, aad))
	if err != nil {
		return nil, fmt.Errorf("open sealed value of %s: it was changed, or belongs elsewhere", aad)
	}
	return plain, nil
}

// bind puts version and key id under the seal, too.
func bind(header []byte, aad string) []byte {
	return append(append([]byte{}, header[:1+idSize]...), aad...)
}
