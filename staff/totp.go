package staff

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
)

// The second factor is RFC 6238 as every authenticator app does it: SHA-1, six digits, steps of 30 seconds. A code is
// taken one step early or late (clocks differ), once, and never after a later one.
const (
	totpStep   = 30 // seconds
	totpSkew   = 1  // steps
	totpSecret = 20 // bytes, RFC 4226's recommendation

	// Recovery codes have 50 bits each, and are stored as argon2id with one salt for the set.
	recoveryCodes = 8
	recoveryChars = 10
	// codeMax bounds what is looked at; a recovery code with its dash has 11 letters.
	codeMax = 20
	// freePerCode is how many wrong codes are free for an account, from wherever they come: only somebody who has the
	// password gets as far as the codes, so that the delay cannot be used by strangers.
	freePerCode = 5
)

const sqlFactor = `SELECT secret, last_step, salt FROM agent_totp WHERE agent_id = $1 AND secret IS NOT NULL`

const sqlFactorStep = `UPDATE agent_totp SET last_step = $2 WHERE agent_id = $1 AND secret IS NOT NULL AND last_step < $2`

const sqlRecoveryUse = `UPDATE recovery_code SET used_at = now() WHERE agent_id = $1 AND hash = $2 AND used_at IS NULL`

// factor is an agent's second factor as it stands in the database; secret nil = he has none.
type factor struct {
	agent    ids.ID
	secret   []byte
	lastStep int64
	salt     []byte
}

// proof is a code that was right; use marks it used, so that it is right only once.
type proof struct {
	agent    ids.ID
	step     int64
	recovery []byte
}

func readFactor(ctx context.Context, db postgres.DB, agent ids.ID) (factor, error) {
	f := factor{agent: agent}
	err := db.QueryRow(ctx, sqlFactor, agent).Scan(&f.secret, &f.lastStep, &f.salt)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return f, fmt.Errorf("read second factor: %w", err)
	}
	return f, nil
}

func (s *Service) aad(agent ids.ID) string { return "totp/" + agent.String() }

// checkCode looks at a code of the app or a recovery code. code "" answers that one is needed. The zero proof is that
// of an agent without a second factor, who needs no code.
func (s *Service) checkCode(ctx context.Context, agent ids.ID, code string) (proof, error) {
	f, err := readFactor(ctx, s.pool, agent)
	if err != nil || f.secret == nil {
		return proof{}, err
	}
	code = cleanCode(code)
	if code == "" {
		return proof{}, errCodeNeeded()
	}
	if err := attempt(ctx, s.pool, codeKey(agent), freePerCode); err != nil {
		return proof{}, err
	}
	p, ok, err := s.matchCode(ctx, f, code)
	if err != nil {
		return proof{}, err
	}
	if !ok {
		return proof{}, errCodeWrong()
	}
	return p, nil
}

func (s *Service) matchCode(ctx context.Context, f factor, code string) (proof, bool, error) {
	switch len(code) {
	case int(otp.DigitsSix):
		if s.cfg.Box == nil {
			return proof{}, false, errNoBox()
		}
		key, err := s.cfg.Box.Open(s.aad(f.agent), f.secret)
		if err != nil {
			return proof{}, false, fmt.Errorf("second factor of agent %s: %w", f.agent, err)
		}
		step, ok, err := matchStep(key, code, s.now())
		return proof{agent: f.agent, step: step}, ok && step > f.lastStep, err
	case recoveryChars:
		if f.salt == nil {
			return proof{}, false, nil
		}
		hash, err := s.hasher.derive(ctx, f.salt, code)
		return proof{agent: f.agent, recovery: hash}, err == nil, err
	}
	return proof{}, false, nil
}

// use marks the code used in the caller's transaction. Of two who bring the same code at once, one is refused.
func (p proof) use(ctx context.Context, tx pgx.Tx) ([]events.Event, error) {
	if p.agent == 0 {
		return nil, nil
	}
	sql, arg := sqlFactorStep, any(p.step)
	if p.recovery != nil {
		sql, arg = sqlRecoveryUse, p.recovery
	}
	tag, err := tx.Exec(ctx, sql, p.agent, arg)
	if err != nil {
		return nil, fmt.Errorf("use code: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return nil, errCodeWrong()
	}
	if _, err := tx.Exec(ctx, sqlAttemptForget, codeKey(p.agent)); err != nil {
		return nil, fmt.Errorf("forget attempts: %w", err)
	}
	if p.recovery == nil {
		return nil, nil
	}
	by := events.Actor{Kind: "agent", ID: int64(p.agent)}
	return []events.Event{event("audit.recovery_code_used", by, "agent", p.agent, map[string]any{"agent_id": p.agent})}, nil
}

// matchStep finds the step whose code this is.
func matchStep(key []byte, code string, at time.Time) (int64, bool, error) {
	now := at.Unix() / totpStep
	found, ok := int64(0), false
	for step := now - totpSkew; step <= now+totpSkew; step++ {
		want, err := hotp.GenerateCodeCustom(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key), uint64(step),
			hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("make code: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			found, ok = step, true
		}
	}
	return found, ok, nil
}

// recoveryAlphabet has no letter that is taken for another one.
const recoveryAlphabet = "abcdefghijkmnpqrstuvwxyz23456789"

// newRecoveryCode makes one as it is typed, without its dash. 32 letters: a byte's remainder is even.
func newRecoveryCode() string {
	b := make([]byte, recoveryChars)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = recoveryAlphabet[int(b[i])%len(recoveryAlphabet)]
	}
	return string(b)
}

// showCode puts the dash in that makes a recovery code readable.
func showCode(code string) string { return code[:recoveryChars/2] + "-" + code[recoveryChars/2:] }

// cleanCode takes out what people and apps put between the letters. What is too long is cut to something that is wrong.
func cleanCode(code string) string {
	if len(code) > codeMax {
		return "too long"
	}
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(code))
}

func codeKey(agent ids.ID) string { return "code:" + agent.String() }

func errCodeNeeded() error {
	e := errs.New(errs.Unauthenticated, "Type the code that your authenticator app shows, or a recovery code.")
	e.Extra = map[string]any{"code": "totp_required"}
	return e
}

func errCodeWrong() error {
	e := errs.New(errs.Unauthenticated, "This code is not right, or it was used already. Wait for the next one.")
	e.Extra = map[string]any{"code": "totp_wrong"}
	return e
}

func errNoBox() error {
	return errs.New(errs.Unavailable, "This program has no key file, without which a second factor cannot be kept.")
}
