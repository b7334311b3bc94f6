package staff

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// Profile is what only the agent himself sees and changes.
type Profile struct {
	Agent  Agent
	Locale string
	Theme  string
	TOTP   bool // he has a second factor
	// PasswordUntil is when the password has to be changed; nil = never.
	PasswordUntil *time.Time
}

// ProfilePatch changes one's own profile; nil leaves as it is.
type ProfilePatch struct {
	Name   *string `json:"name,omitempty" maxLength:"400"`
	Email  *string `json:"email,omitempty" maxLength:"1000"`
	Locale *string `json:"locale,omitempty" enum:"en,ru,am"`
	Theme  *string `json:"theme,omitempty" enum:"system,light,dark"`
}

const sqlProfile = `
SELECT locale, theme, password_at, EXISTS (SELECT FROM agent_totp t WHERE t.agent_id = a.id AND t.secret IS NOT NULL)
FROM agent a WHERE id = $1`

const sqlProfileUpdate = `
UPDATE agent SET version = version + 1, name = coalesce($2, name), locale = coalesce($3, locale), theme = coalesce($4, theme),
	email = coalesce($5, email)
WHERE id = $1`

const sqlResetsOf = `
DELETE FROM invitation i USING agent a
WHERE a.id = $1 AND a.email <> $2 AND i.email IN (a.email, $2) AND i.kind = 'reset' AND i.used_at IS NULL`

// Profile reads the caller's own.
func (s *Service) Profile(ctx context.Context, by Access) (Profile, error) {
	var p Profile
	var err error
	if p.Agent, err = agentByID(ctx, s.pool, by.AgentID); err != nil {
		return p, err
	}
	var since time.Time
	if err := s.pool.QueryRow(ctx, sqlProfile, by.AgentID).Scan(&p.Locale, &p.Theme, &since, &p.TOTP); err != nil {
		return p, fmt.Errorf("read profile: %w", err)
	}
	set, err := s.Settings(ctx)
	if err != nil {
		return p, err
	}
	if set.PasswordMaxDays > 0 {
		until := since.UTC().AddDate(0, 0, set.PasswordMaxDays)
		p.PasswordUntil = &until
	}
	return p, nil
}

// UpdateProfile changes the caller's own name, address, language and theme. With the address, links to choose a new
// password that were made for the old one are worthless.
func (s *Service) UpdateProfile(ctx context.Context, by Access, p ProfilePatch) (Profile, error) {
	if p.Name != nil {
		name, err := cleanName("name", *p.Name, 100)
		if err != nil {
			return Profile{}, err
		}
		p.Name = &name
	}
	if p.Email != nil {
		email, err := cleanEmail("email", *p.Email)
		if err != nil {
			return Profile{}, err
		}
		p.Email = &email
	}
	if p.Locale != nil && !validLocale(*p.Locale) {
		return Profile{}, errs.Field("locale", "must be en, ru or am")
	}
	if t := p.Theme; t != nil && *t != "system" && *t != "light" && *t != "dark" {
		return Profile{}, errs.Field("theme", "must be system, light or dark")
	}
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if p.Email != nil {
			if _, err := tx.Exec(ctx, sqlResetsOf, by.AgentID, *p.Email); err != nil {
				return nil, fmt.Errorf("end links: %w", err)
			}
		}
		if _, err := tx.Exec(ctx, sqlProfileUpdate, by.AgentID, p.Name, p.Locale, p.Theme, p.Email); err != nil {
			if isUnique(err, "agent_email_key") {
				e := errs.New(errs.Conflict, "There is an account with this address already.")
				e.Field = "email"
				return nil, e
			}
			return nil, fmt.Errorf("update profile: %w", err)
		}
		return agentEvents(ctx, tx, by.Actor(), []ids.ID{by.AgentID})
	})
	if err != nil {
		return Profile{}, err
	}
	return s.Profile(ctx, by)
}
