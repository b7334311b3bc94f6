package staff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/postgres"
)

// A sign-in is counted before the password is looked at, in one statement, so that parallel guesses cannot slip past
// the counter; a right password takes its count back. Per account and address: five are free, then 5 s, 10 s, 20 s ...
// up to 15 minutes. Per address: 30 are free (an office behind one address), then the same. There is no lock that a
// stranger could put on somebody else's account: the delay belongs to the address he comes from.
const (
	freePerAccount = 5
	freePerAddress = 30
	firstDelay     = 5 * time.Second
	longestDelay   = 15 * time.Minute
	forgetAfter    = time.Hour
)

const sqlAttempt = `
INSERT INTO login_attempt AS a (key, fails, last_at, until) VALUES ($1, 1, now(), now())
ON CONFLICT (key) DO UPDATE SET
	fails = CASE WHEN a.last_at < now() - make_interval(secs => $3) THEN 1 ELSE a.fails + 1 END,
	until = CASE WHEN a.last_at < now() - make_interval(secs => $3) OR a.fails + 1 < $2 THEN now()
		ELSE now() + make_interval(secs => least($5::float8, $4::float8 * power(2, least(a.fails + 1 - $2, 20)))) END,
	last_at = now()
WHERE a.until <= now()
RETURNING fails`

const sqlAttemptWait = `SELECT greatest(1, ceil(extract(epoch FROM until - now())))::int FROM login_attempt WHERE key = $1`

const sqlAttemptForget = `DELETE FROM login_attempt WHERE key = $1`

const sqlAttemptUndo = `UPDATE login_attempt SET fails = greatest(fails - 1, 0), until = now() WHERE key = $1`

const sqlAttemptSweep = `DELETE FROM login_attempt WHERE last_at < now() - make_interval(secs => $1) AND until < now()`

// attempt counts one guess under key and refuses it while a delay runs.
func attempt(ctx context.Context, db postgres.DB, key string, free int) error {
	tag, err := db.Exec(ctx, sqlAttempt, key, free, forgetAfter.Seconds(), firstDelay.Seconds(), longestDelay.Seconds())
	if err != nil {
		return fmt.Errorf("count a sign-in: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return nil
	}
	wait := 1
	// No row: it was forgotten between the two statements; a second is the honest answer then too.
	_ = db.QueryRow(ctx, sqlAttemptWait, key).Scan(&wait)
	e := errs.New(errs.TooMany, "Too many attempts. Try again in %s.", time.Duration(wait)*time.Second)
	e.Extra = map[string]any{"retry_after": wait}
	return e
}

func accountKey(email, ip string) string {
	sum := sha256.Sum256([]byte(email))
	return "account:" + hex.EncodeToString(sum[:16]) + ":" + network(ip)
}

func addressKey(ip string) string { return "address:" + network(ip) }

// network is what one attacker holds: an IPv4 address, or an IPv6 /64.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap()
	if a.Is4() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return "unknown"
	}
	return p.String()
}
