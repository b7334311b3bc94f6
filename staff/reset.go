package staff

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

const sqlResetAgent = `SELECT id, name, role, scope FROM agent WHERE email = $1 AND disabled_at IS NULL`

const sqlResetReplace = `DELETE FROM invitation WHERE kind = 'reset' AND email = $1 AND used_at IS NULL`

const sqlResetInsert = `
INSERT INTO invitation (kind, token_hash, email, name, role, scope, expires_at)
VALUES ('reset', $1, $2, $3, $4, $5, now() + make_interval(secs => $6))`

const sqlInvitationKind = `SELECT kind = 'reset' FROM invitation WHERE id = $1`

const sqlResetPassword = `
UPDATE agent SET password_hash = $2, password_at = now(), password_expired = false WHERE email = $1 AND disabled_at IS NULL RETURNING id`

const sqlResetRemember = `INSERT INTO password_history (agent_id, password_hash) SELECT id, password_hash FROM agent WHERE email = $1`

// ResetLink makes a link with which the holder of an account chooses a new password, for the operator of the machine
// (parley user reset-password). It leads to the same page as an invitation, works once and for a day, and replaces
// earlier ones. Nobody but the holder learns the password.
func (s *Service) ResetLink(ctx context.Context, email string) (link string, err error) {
	email, err = cleanEmail("email", email)
	if err != nil {
		return "", err
	}
	return s.resetLink(ctx, System(), email)
}

func (s *Service) resetLink(ctx context.Context, by events.Actor, email string) (link string, err error) {
	token, hash := secret("")
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var a Agent
		err := tx.QueryRow(ctx, sqlResetAgent, email).Scan(&a.ID, &a.Name, &a.Role, &a.Scope)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.New(errs.NotFound, "There is no account %s that is in use.", email)
		}
		if err != nil {
			return nil, fmt.Errorf("look for the account: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlResetReplace, email); err != nil {
			return nil, fmt.Errorf("replace link: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlResetInsert, hash, email, a.Name, a.Role, a.Scope, linkLife.Seconds()); err != nil {
			return nil, fmt.Errorf("insert link: %w", err)
		}
		return []events.Event{event("audit.password_link", by, "agent", a.ID, map[string]any{"agent_id": a.ID})}, nil
	})
	if err != nil {
		return "", err
	}
	return s.cfg.BaseURL + "/invite?token=" + url.QueryEscape(token), nil
}

// AgentResetLink is ResetLink for an admin and a colleague's account (permission agents.manage): he triggers the change
// and never sets the password. Its second factor stays.
func (s *Service) AgentResetLink(ctx context.Context, by Access, agent ids.ID) (link string, err error) {
	if !by.Can(ManageAgents) {
		return "", errForbidden()
	}
	a, err := agentByID(ctx, s.pool, agent)
	if err != nil {
		return "", err
	}
	return s.resetLink(ctx, by.Actor(), a.Email)
}

// beforeReset checks, before a link is used up, what the account of a new password asks for: the code of its second
// factor, and a password that it did not have before. A newcomer has neither.
func (s *Service) beforeReset(ctx context.Context, inv Invitation, n Newcomer, from Client) (proof, error) {
	var reset bool
	if err := s.pool.QueryRow(ctx, sqlInvitationKind, inv.ID).Scan(&reset); err != nil || !reset {
		return proof{}, err
	}
	var id ids.ID
	var encoded string
	var disabled bool
	err := s.pool.QueryRow(ctx, sqlLogin, inv.Email).Scan(&id, &encoded, &disabled)
	if errors.Is(err, pgx.ErrNoRows) || (err == nil && disabled) {
		return proof{}, errLink()
	}
	if err != nil {
		return proof{}, fmt.Errorf("read account: %w", err)
	}
	set, err := s.Settings(ctx)
	if err != nil {
		return proof{}, err
	}
	if err := s.checkHistory(ctx, "password", id, encoded, n.Password, set); err != nil {
		return proof{}, err
	}
	return s.codeAtDoor(ctx, id, n.Code, from)
}

// resetPassword ends what was open under the old password, and answers with the account.
func resetPassword(ctx context.Context, tx pgx.Tx, email, hash string) (ids.ID, []events.Event, error) {
	set, err := ReadSettings(ctx, tx)
	if err != nil {
		return 0, nil, err
	}
	if set.PasswordMaxDays > 0 {
		if _, err := tx.Exec(ctx, sqlResetRemember, email); err != nil {
			return 0, nil, fmt.Errorf("keep old password: %w", err)
		}
	}
	var id ids.ID
	err = tx.QueryRow(ctx, sqlResetPassword, email, hash).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, errLink() // disabled or renamed since
	}
	if err != nil {
		return 0, nil, fmt.Errorf("store password: %w", err)
	}
	by := events.Actor{Kind: "agent", ID: int64(id)}
	if _, err := tx.Exec(ctx, sqlSessionsDelete, id, 0); err != nil {
		return 0, nil, fmt.Errorf("end sessions: %w", err)
	}
	evs := []events.Event{
		event("agent.password_changed", by, "agent", id, map[string]any{"agent_id": id}),
		sessionEnded(by, id, 0),
	}
	revoked, err := revokeAll(ctx, tx, by, id)
	return id, append(evs, revoked...), err
}
