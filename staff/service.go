package staff

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/idem"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/internal/postgres"
	secretbox "github.com/parley-hub/parley/internal/secret"
)

// Config holds what differs between installations and is not a setting.
type Config struct {
	BaseURL string // public address without a slash at the end; links are made from it and never from a Host header
	// Box seals the secrets of second factors; without one nobody can set one up.
	Box *secretbox.Box
	// Now is the clock of one-time codes; nil = the machine's.
	Now clock.Now
	// SweepEvery is how often Run removes what has expired; 0 = a minute.
	SweepEvery time.Duration
}

// Service is the room's door. It is safe for concurrent use.
type Service struct {
	cfg    Config
	pool   *pgxpool.Pool
	bus    bus.Bus
	log    *slog.Logger
	hasher *hasher
	banned map[string]struct{} // common passwords
	now    clock.Now
}

// New makes the room on a migrated database.
func New(cfg Config, pool *pgxpool.Pool, b bus.Bus, log *slog.Logger) *Service {
	cfg.SweepEvery = cmp.Or(cfg.SweepEvery, time.Minute)
	if cfg.Now == nil {
		cfg.Now = clock.System
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	return &Service{
		cfg: cfg, pool: pool, bus: b, log: log.With("component", "staff"),
		hasher: newHasher(), banned: commonPasswords(), now: cfg.Now,
	}
}

// change runs fn in a transaction, marks the request's idempotency key there, appends the events it returns in the same one, and wakes the tailers after commit.
func (s *Service) change(ctx context.Context, fn func(tx pgx.Tx) ([]events.Event, error)) error {
	wake := false
	err := postgres.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		evs, err := fn(tx)
		if err != nil {
			return err
		}
		wake = len(evs) > 0
		if !wake {
			return nil
		}
		if err := idem.Done(ctx, tx); err != nil {
			return err
		}
		return events.Append(ctx, tx, evs...)
	})
	if err == nil && wake {
		events.Wake(s.bus)
	}
	return err
}

// event is an Event about something of staff.
func event(kind string, by events.Actor, subjectKind string, subject ids.ID, payload any) events.Event {
	return events.Event{Kind: kind, Actor: by, SubjectKind: subjectKind, SubjectID: subject.String(), Payload: payload}
}

// System is who acts when nobody does.
func System() events.Actor { return events.Actor{Kind: "system"} }

// cleanName refuses what would break a header, a mail or a screen line, and trims the rest.
func cleanName(field, s string, limit int) (string, error) {
	s = strings.TrimSpace(s)
	n := 0
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
			return "", errs.Field(field, "must not contain control characters")
		}
		n++
	}
	if n == 0 {
		return "", errs.Field(field, "must not be empty")
	}
	if n > limit {
		return "", errs.Field(field, "must have at most %d characters", limit)
	}
	return s, nil
}
