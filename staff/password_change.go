package staff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

const sqlPassword = `SELECT password_hash, email, name FROM agent WHERE id = $1`

const sqlPasswordUpdate = `
UPDATE agent SET password_hash = $2, password_at = now(), password_expired = false
WHERE id = $1 AND password_hash = $3 AND disabled_at IS NULL`

const sqlPasswordExpire = `UPDATE agent SET password_expired = true WHERE id = $1 AND disabled_at IS NULL`

const sqlPasswordHistory = `SELECT password_hash FROM password_history WHERE agent_id = $1 ORDER BY id DESC LIMIT $2`

const sqlPasswordRemember = `INSERT INTO password_history (agent_id, password_hash) VALUES ($1, $2)`

const sqlPasswordForget = `
DELETE FROM password_history WHERE agent_id = $1
	AND id NOT IN (SELECT id FROM password_history WHERE agent_id = $1 ORDER BY id DESC LIMIT $2)`

const sqlSessionPasswordDone = `UPDATE session SET must_password = false, proved_at = now() WHERE id = $1`

const sqlAgentSecurity = `
SELECT EXISTS (SELECT FROM agent_totp t WHERE t.agent_id = a.id AND t.secret IS NOT NULL), a.password_expired
FROM agent a WHERE a.id = $1`

const sqlSessionProved = `UPDATE session SET proved_at = now() WHERE id = $1 AND agent_id = $2`

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
	if err := s.checkPassword("password", next, set, email, name); err != nil {
		return err
	}
	if err := s.checkHistory(ctx, "password", by.AgentID, encoded, next, set); err != nil {
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
		if err := remember(ctx, tx, by.AgentID, encoded, set); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, sqlSessionPasswordDone, by.SessionID); err != nil {
			return nil, fmt.Errorf("free session: %w", err)
		}
		evs := []events.Event{event("agent.password_changed", by.Actor(), "agent", by.AgentID, map[string]any{"agent_id": by.AgentID})}
		ended, err := endOthers(ctx, tx, by)
		return append(evs, ended...), err
	})
}

// checkHistory refuses the passwords of the last times, while passwords have an age: going back and forth between two
// would make the age worth nothing. encoded is the hash of the current one.
func (s *Service) checkHistory(ctx context.Context, field string, agent ids.ID, encoded, next string, set Settings) error {
	if set.PasswordMaxDays == 0 {
		return nil
	}
	rows, err := s.pool.Query(ctx, sqlPasswordHistory, agent, rotationHistory)
	if err != nil {
		return fmt.Errorf("read old passwords: %w", err)
	}
	old, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read old passwords: %w", err)
	}
	for _, o := range append(old, encoded) {
		same, _, err := s.hasher.verify(ctx, o, next)
		if err != nil {
			return fmt.Errorf("compare with old passwords: %w", err)
		}
		if same {
			return errs.Field(field, "was yours before; choose one that you did not have in the last %d changes", rotationHistory)
		}
	}
	return nil
}

// remember keeps the hash of a password that is replaced, as long as passwords have an age, and no longer.
func remember(ctx context.Context, tx pgx.Tx, agent ids.ID, encoded string, set Settings) error {
	keep := 0
	if set.PasswordMaxDays > 0 {
		keep = rotationHistory
		if _, err := tx.Exec(ctx, sqlPasswordRemember, agent, encoded); err != nil {
			return fmt.Errorf("keep old password: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, sqlPasswordForget, agent, keep); err != nil {
		return fmt.Errorf("forget old passwords: %w", err)
	}
	return nil
}

// ExpirePassword makes a colleague choose another password at his next sign-in, and ends his sessions (permission
// agents.manage). Where a stranger knows the password, a link (AgentResetLink) is the better cure: the stranger could
// choose the new one, too.
func (s *Service) ExpirePassword(ctx context.Context, by Access, agent ids.ID) error {
	if !by.Can(ManageAgents) {
		return errForbidden()
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, sqlPasswordExpire, agent)
		if err != nil {
			return nil, fmt.Errorf("expire password: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, errs.New(errs.NotFound, "There is no such account in use.")
		}
		if _, err := tx.Exec(ctx, sqlSessionsDelete, agent, 0); err != nil {
			return nil, fmt.Errorf("end sessions: %w", err)
		}
		return []events.Event{
			event("agent.password_expired", by.Actor(), "agent", agent, map[string]any{"agent_id": agent}),
			sessionEnded(by.Actor(), agent, 0),
		}, nil
	})
}

// AgentSecurity tells whether a colleague has a second factor, and whether he has to choose a new password (permission
// agents.manage).
func (s *Service) AgentSecurity(ctx context.Context, by Access, agent ids.ID) (totp, expired bool, err error) {
	if !by.Can(ManageAgents) {
		return false, false, errForbidden()
	}
	err = s.pool.QueryRow(ctx, sqlAgentSecurity, agent).Scan(&totp, &expired)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, false, errs.New(errs.NotFound, "There is no such agent.")
	}
	if err != nil {
		return false, false, fmt.Errorf("read account %s: %w", agent, err)
	}
	return totp, expired, nil
}

// PasswordWarning is how long before its end a password's age is told.
func PasswordWarning() time.Duration { return rotationWarning * 24 * time.Hour }

// Prove checks the caller's password, or a code of his second factor, once more before something that must not be done
// from a desk left open: the session is fresh for ten minutes. Guesses are throttled like sign-ins.
func (s *Service) Prove(ctx context.Context, by Access, password, code string, from Client) error {
	var p proof
	if code != "" {
		var err error
		if p, err = s.codeAtDoor(ctx, by.AgentID, code, from); err != nil {
			return asField(err, "totp")
		}
		if p.agent == 0 {
			return errs.Field("totp", "is not known here: you have no second factor")
		}
	} else if _, _, _, err := s.prove(ctx, by, "password", password, from); err != nil {
		return err
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		evs, err := p.use(ctx, tx)
		if err != nil {
			return nil, asField(err, "totp")
		}
		if _, err := tx.Exec(ctx, sqlSessionProved, by.SessionID, by.AgentID); err != nil {
			return nil, fmt.Errorf("mark session: %w", err)
		}
		return evs, nil
	})
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
		if err := s.loginFailed(ctx, by.AgentID, from, false); err != nil {
			return "", "", "", err
		}
		return "", "", "", errs.Field(field, "is wrong")
	}
	if _, err := s.pool.Exec(ctx, sqlAttemptForget, key); err != nil {
		return "", "", "", fmt.Errorf("forget attempts: %w", err)
	}
	return encoded, email, name, nil
}

// asField says about a field what the door would say: somebody who is in is not sent out because of a wrong code.
func asField(err error, field string) error {
	if errs.Is(err, errs.Unauthenticated) {
		return errs.Field(field, "is not right, or was used already; wait for the next one")
	}
	return err
}
