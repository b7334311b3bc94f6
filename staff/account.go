package staff

import (
	"context"
	"fmt"

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
}

// ProfilePatch changes one's own profile; nil leaves as it is.
type ProfilePatch struct {
	Name   *string `json:"name,omitempty" maxLength:"400"`
	Locale *string `json:"locale,omitempty" enum:"en,ru,am"`
	Theme  *string `json:"theme,omitempty" enum:"system,light,dark"`
}

const sqlProfile = `SELECT locale, theme FROM agent WHERE id = $1`

const sqlProfileUpdate = `
UPDATE agent SET version = version + 1, name = coalesce($2, name), locale = coalesce($3, locale), theme = coalesce($4, theme)
WHERE id = $1`

const sqlPassword = `SELECT password_hash, email, name FROM agent WHERE id = $1`

const sqlPasswordUpdate = `
UPDATE agent SET password_hash = $2, password_at = now() WHERE id = $1 AND password_hash = $3 AND disabled_at IS NULL`

// Profile reads the caller's own.
func (s *Service) Profile(ctx context.Context, by Access) (Profile, error) {
	var p Profile
	var err error
	if p.Agent, err = agentByID(ctx, s.pool, by.AgentID); err != nil {
		return p, err
	}
	if err := s.pool.QueryRow(ctx, sqlProfile, by.AgentID).Scan(&p.Locale, &p.Theme); err != nil {
		return p, fmt.Errorf("read profile: %w", err)
	}
	return p, nil
}

// UpdateProfile changes the caller's own name, language and theme.
func (s *Service) UpdateProfile(ctx context.Context, by Access, p ProfilePatch) (Profile, error) {
	if p.Name != nil {
		name, err := cleanName("name", *p.Name, 100)
		if err != nil {
			return Profile{}, err
		}
		p.Name = &name
	}
	if p.Locale != nil && !validLocale(*p.Locale) {
		return Profile{}, errs.Field("locale", "must be en, ru or am")
	}
	if t := p.Theme; t != nil && *t != "system" && *t != "light" && *t != "dark" {
		return Profile{}, errs.Field("theme", "must be system, light or dark")
	}
	err := s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if _, err := tx.Exec(ctx, sqlProfileUpdate, by.AgentID, p.Name, p.Locale, p.Theme); err != nil {
			return nil, fmt.Errorf("update profile: %w", err)
		}
		return agentEvents(ctx, tx, by.Actor(), []ids.ID{by.AgentID})
	})
	if err != nil {
		return Profile{}, err
	}
	return s.Profile(ctx, by)
}

// ChangePassword needs the current one and ends every other session of the caller.
func (s *Service) ChangePassword(ctx context.Context, by Access, current, next string, from Client) error {
	set, err := s.Settings(ctx)
	if err != nil {
		return err
	}
	encoded, email, name, err := s.prove(ctx, by, "current", current, from)
	if err != nil {
		return err
	}
	if next == current {
		return errs.Field("password", "must differ from the current one")
	}
	if err := s.checkPassword("password", next, set.PasswordMin, email, name, set.WorkspaceName); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, next)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, sqlPasswordUpdate, by.AgentID, hash, encoded)
		if err != nil {
			return nil, fmt.Errorf("store password: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, errs.New(errs.Conflict, "The password was changed in the meantime.")
		}
		evs := []events.Event{event("agent.password_changed", by.Actor(), "agent", by.AgentID, map[string]any{"agent_id": by.AgentID})}
		gone, err := collectIDs(ctx, tx, sqlSessionsDelete, by.AgentID, by.SessionID)
		if err != nil {
			return nil, fmt.Errorf("end other sessions: %w", err)
		}
		for _, id := range gone {
			evs = append(evs, sessionEnded(by.Actor(), by.AgentID, id))
		}
		return evs, nil
	})
}

// Prove checks the caller's password once more before something that must not be done from a desk left open (tokens,
// channel secrets). Guesses are throttled like sign-ins.
func (s *Service) Prove(ctx context.Context, by Access, password string, from Client) error {
	_, _, _, err := s.prove(ctx, by, "password", password, from)
	return err
}

func (s *Service) prove(ctx context.Context, by Access, field, password string, from Client) (encoded, email, name string, err error) {
	if len(password) > passwordMaxBytes {
		return "", "", "", errs.Field(field, "is wrong")
	}
	key := "prove:" + by.AgentID.String() + ":" + network(from.IP)
	if err := attempt(ctx, s.pool, key, freePerAccount); err != nil {
		return "", "", "", err
	}
	if err := s.pool.QueryRow(ctx, sqlPassword, by.AgentID).Scan(&encoded, &email, &name); err != nil {
		return "", "", "", fmt.Errorf("read account: %w", err)
	}
	ok, _, err := s.hasher.verify(ctx, encoded, password)
	if err != nil {
		return "", "", "", fmt.Errorf("check password: %w", err)
	}
	if !ok {
		if err := s.loginFailed(ctx, by.AgentID, from); err != nil {
			return "", "", "", err
		}
		return "", "", "", errs.Field(field, "is wrong")
	}
	if _, err := s.pool.Exec(ctx, sqlAttemptForget, key); err != nil {
		return "", "", "", fmt.Errorf("forget attempts: %w", err)
	}
	return encoded, email, name, nil
}
