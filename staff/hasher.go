package staff

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/argon2"

	"github.com/parley-hub/parley/internal/errs"
)

// argon2id with 19 MiB, two passes, one lane: OWASP's minimum, 71 ms on the small machines Parley runs on.
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonSalt   = 16
	argonKey    = 32
	// hashesAtOnce bounds memory and CPU: a flood of sign-ins must not starve the inbox.
	hashesAtOnce = 2
	// hashesWaiting refuses the rest of a flood at once instead of letting it pile up.
	hashesWaiting = 64
)

// hasher turns passwords into PHC strings and checks them, a few at a time.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	runs    atomic.Int64 // how often argon2 ran; tests compare the work for known and unknown users
	dummy   func() string
}

func newHasher() *hasher {
	h := &hasher{slots: make(chan struct{}, hashesAtOnce)}
	// What the password of an unknown user is compared with, so that he costs the same time as a known one.
	h.dummy = sync.OnceValue(func() string {
		salt := make([]byte, argonSalt)
		_, _ = rand.Read(salt) // never fails
		return encodeHash(salt, make([]byte, argonKey))
	})
	return h
}

func (h *hasher) acquire(ctx context.Context) error {
	if h.waiting.Add(1) > hashesWaiting {
		h.waiting.Add(-1)
		return errs.New(errs.Unavailable, "Too many people are signing in right now. Try again in a moment.")
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hash makes the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails
	h.runs.Add(1)
	return encodeHash(salt, argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, argonKey)), nil
}

// verify checks a password. encoded "" stands for an unknown user: the same work, and never true. stale asks for a new
// hash because the parameters have changed since.
func (h *hasher) verify(ctx context.Context, encoded, password string) (ok, stale bool, err error) {
	known := encoded != ""
	if !known {
		encoded = h.dummy()
	}
	p, err := decodeHash(encoded)
	if err != nil {
		return false, false, err
	}
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-h.slots }()
	h.runs.Add(1)
	key := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.lanes, uint32(len(p.key)))
	same := subtle.ConstantTimeCompare(key, p.key) == 1
	stale = p.memory != argonMemory || p.time != argonTime || p.lanes != argonLanes
	return same && known, stale, nil
}

type hashParts struct {
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

func encodeHash(salt, key []byte) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		b.EncodeToString(salt), b.EncodeToString(key))
}

func decodeHash(s string) (hashParts, error) {
	var p hashParts
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return p, fmt.Errorf("password hash: not an argon2id string")
	}
	var version int
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return p, fmt.Errorf("password hash: unknown version %q", parts[2])
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.lanes); err != nil {
		return p, fmt.Errorf("password hash: parameters %q: %w", parts[3], err)
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return p, fmt.Errorf("password hash: salt: %w", err)
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return p, fmt.Errorf("password hash: key: %w", err)
	}
	// A row edited by hand must not make the process ask for gigabytes.
	if p.memory > 1<<20 || p.time > 20 || p.lanes == 0 || p.time == 0 || len(p.key) < 16 {
		return p, fmt.Errorf("password hash: parameters out of range")
	}
	return p, nil
}

// derive makes the hash of a short secret that is looked up by it; salt is common to a set of them.
func (h *hasher) derive(ctx context.Context, salt []byte, secret string) ([]byte, error) {
	if err := h.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { <-h.slots }()
	h.runs.Add(1)
	return argon2.IDKey([]byte(secret), salt, argonTime, argonMemory, argonLanes, argonKey), nil
}
