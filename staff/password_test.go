package staff

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/parley-hub/parley/internal/errs"
)

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	s := New(Config{}, nil, &quietBus{}, slog.New(slog.DiscardHandler))
	if n := len(s.banned); n < 3000 {
		t.Errorf("the block list has %d entries, want at least 3000", n)
	}
	for _, c := range []struct {
		password string
		least    int
		ok       bool
	}{
		{goodPassword, 12, true},
		{"short1!", 8, false},
		{"eight-ch", 0, true}, // the floor holds whatever the setting says
		{"seven-c", 0, false},
		{strings.Repeat("long enough 😀 ", 12), 12, true},
		{strings.Repeat("xyzzy7", 50), 12, false}, // over 256 bytes
		{"пароль от сейфа номер семь", 12, true},
		{"password1234!", 12, false},
		{"P@ssw0rd2026!", 12, false},
		{"Summer2026!", 8, false},
		{"aaaaaaaaaaaaaaaa", 12, false},
		{"abcabcabcabc", 12, false},
		{"123456789012", 12, false},
		{"qwertyuiop[]", 12, false},
		{"йцукенгшщзхъ", 12, false},
		{"letmeinletmein", 12, false},
		{"parleyparley1", 12, false},
		{"anna.berg@acme", 12, false},
		{"acmecorp2026!", 12, false},
		{"Anna likes seven green lamps", 12, true},
		{"with\x00null in the middle", 12, false},
		{"broken \xff\xfe utf-8 here", 12, false},
	} {
		err := s.checkPassword("password", c.password, Settings{PasswordMin: c.least, WorkspaceName: "Acme Corp"}, "anna.berg@acme.example", "Anna Berg")
		if (err == nil) != c.ok {
			t.Errorf("%.40q: got %v, want ok=%v", c.password, err, c.ok)
		}
		if err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%.40q: %v is no field error", c.password, err)
		}
	}
}

func TestHasher(t *testing.T) {
	t.Parallel()
	h := newHasher()
	ctx := t.Context()
	enc, err := h.hash(ctx, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(enc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s", enc)
	}
	for _, c := range []struct {
		enc, password string
		ok            bool
	}{{enc, goodPassword, true}, {enc, goodPassword + "x", false}, {enc, "", false}, {"", goodPassword, false}, {"", "", false}} {
		ok, stale, err := h.verify(ctx, c.enc, c.password)
		if err != nil || ok != c.ok || stale {
			t.Errorf("verify %q: %v %v %v", c.password, ok, stale, err)
		}
	}
	if n := h.runs.Load(); n != 6 {
		t.Errorf("argon2 ran %d times, want 6: one for the hash and one for each check, unknown users too", n)
	}
	weak := strings.Replace(enc, "t=2", "t=1", 1)
	if _, stale, err := h.verify(ctx, weak, goodPassword); err != nil || !stale {
		t.Errorf("other parameters are not seen as stale: %v", err)
	}
	for _, bad := range []string{"x", "$argon2id$v=19$m=99999999,t=2,p=1$AAAA$AAAA", "$2a$10$abc", "$argon2id$v=1$m=1,t=1,p=1$AA$AA"} {
		if _, _, err := h.verify(ctx, bad, goodPassword); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestHasherRefusesAFlood(t *testing.T) {
	t.Parallel()
	h := newHasher()
	for range hashesAtOnce {
		h.slots <- struct{}{}
	}
	errc := make(chan error, hashesWaiting+1)
	for range hashesWaiting + 1 {
		go func() { _, err := h.hash(t.Context(), "x"); errc <- err }()
	}
	if err := <-errc; !errs.Is(err, errs.Unavailable) { // the only one that can end while the slots are taken
		t.Errorf("got %v", err)
	}
	for range hashesAtOnce {
		<-h.slots
	}
	for range hashesWaiting {
		if err := <-errc; err != nil {
			t.Error(err)
		}
	}
}
