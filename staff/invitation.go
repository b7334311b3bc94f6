package staff

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// Invitation is a place that waits for somebody. Its link works once, for 24 hours.
type Invitation struct {
	ID        ids.ID    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Role      Role      `json:"role" enum:"admin,supervisor,agent,auditor"`
	Scope     Scope     `json:"scope" enum:"own,team,all"`
	TeamIDs   []ids.ID  `json:"team_ids" nullable:"false"`
	ExpiresAt time.Time `json:"expires_at"`
	Link      string    `json:"link,omitempty" db:"-" doc:"only in the answer to POST"`
}

// Newcomer is what somebody types who accepts an invitation or sets the installation up.
type Newcomer struct {
	Name     string
	Password string
	Locale   string
	Code     string // of the second factor, for a new password of an account that has one
}

const linkLife = 24 * time.Hour

const invitationColumns = `id, coalesce(email, '') AS email, name, role, scope, team_ids, expires_at`

const sqlInvitations = `SELECT ` + invitationColumns + `
FROM invitation WHERE kind = 'invite' AND used_at IS NULL AND expires_at > now() AND id > $1 ORDER BY id LIMIT $2`

const sqlEmailTaken = `SELECT EXISTS (SELECT FROM agent WHERE email = $1)`

const sqlInvitationReplace = `DELETE FROM invitation WHERE kind = 'invite' AND email = $1 AND used_at IS NULL RETURNING id`

const sqlInvitationInsert = `
INSERT INTO invitation (kind, token_hash, email, name, role, scope, team_ids, invited_by, expires_at)
VALUES ('invite', $1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8)) RETURNING ` + invitationColumns

const sqlInvitationRevoke = `
DELETE FROM invitation WHERE id = $1 AND kind = 'invite' AND used_at IS NULL RETURNING ` + invitationColumns

const sqlInvitationByToken = `SELECT ` + invitationColumns + `
FROM invitation WHERE token_hash = $1 AND kind IN ('invite', 'reset') AND used_at IS NULL AND expires_at > now()`

// One statement finds and uses it up: of two who come at once, one gets the row.
const sqlInvitationUse = `
UPDATE invitation SET used_at = now() WHERE token_hash = $1 AND kind IN ('invite', 'reset') AND used_at IS NULL AND expires_at > now()
RETURNING ` + invitationColumns

const sqlInvitationsOf = `
DELETE FROM invitation WHERE invited_by = $1 AND kind = 'invite' AND used_at IS NULL RETURNING ` + invitationColumns

const sqlInvitationSweep = `DELETE FROM invitation WHERE expires_at < now() - interval '7 days'`

// Invitations lists the open ones.
func (s *Service) Invitations(ctx context.Context, after ids.ID, limit int) ([]Invitation, error) {
	rows, err := s.pool.Query(ctx, sqlInvitations, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list invitations: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Invitation])
	if err != nil {
		return nil, fmt.Errorf("list invitations: %w", err)
	}
	return out, nil
}

// Invite makes an invitation (permission agents.manage). An open one for the same address is replaced: its link dies.
func (s *Service) Invite(ctx context.Context, by Access, inv Invitation) (Invitation, error) {
	if !by.Can(ManageAgents) {
		return Invitation{}, errForbidden()
	}
	var err error
	if inv.Email, err = cleanEmail("email", inv.Email); err != nil {
		return Invitation{}, err
	}
	if inv.Name != "" {
		if inv.Name, err = cleanName("name", inv.Name, 100); err != nil {
			return Invitation{}, err
		}
	}
	if !validRole(inv.Role) {
		return Invitation{}, errs.Field("role", "must be admin, supervisor, agent or auditor")
	}
	if !validScope(inv.Scope) {
		return Invitation{}, errs.Field("scope", "must be own, team or all")
	}
	if inv.TeamIDs == nil {
		inv.TeamIDs = []ids.ID{}
	}
	token, hash := secret("")
	var out Invitation
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var taken bool
		if err := tx.QueryRow(ctx, sqlEmailTaken, inv.Email).Scan(&taken); err != nil {
			return nil, fmt.Errorf("look for the account: %w", err)
		}
		if taken {
			e := errs.New(errs.Conflict, "There is an account with this address already.")
			e.Field = "email"
			return nil, e
		}
		if err := mustExist(ctx, tx, sqlTeamsCount, "team_ids", inv.TeamIDs); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, sqlInvitationReplace, inv.Email); err != nil {
			return nil, fmt.Errorf("replace invitation: %w", err)
		}
		rows, err := tx.Query(ctx, sqlInvitationInsert, hash, inv.Email, inv.Name, inv.Role, inv.Scope, inv.TeamIDs, by.AgentID, linkLife.Seconds())
		if err != nil {
			return nil, fmt.Errorf("insert invitation: %w", err)
		}
		if out, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Invitation]); err != nil {
			return nil, fmt.Errorf("insert invitation: %w", err)
		}
		return []events.Event{event("invitation.created", by.Actor(), "invitation", out.ID, out)}, nil
	})
	out.Link = s.cfg.BaseURL + "/invite?token=" + url.QueryEscape(token)
	return out, err
}

// RevokeInvitation makes the link worthless (permission agents.manage).
func (s *Service) RevokeInvitation(ctx context.Context, by Access, id ids.ID) error {
	if !by.Can(ManageAgents) {
		return errForbidden()
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		inv, err := oneInvitation(ctx, tx, sqlInvitationRevoke, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.New(errs.NotFound, "There is no such invitation.")
		}
		if err != nil {
			return nil, fmt.Errorf("revoke invitation %s: %w", id, err)
		}
		return []events.Event{event("invitation.revoked", by.Actor(), "invitation", id, inv)}, nil
	})
}

// InvitationByToken shows an invitation to whoever holds its link.
func (s *Service) InvitationByToken(ctx context.Context, token string) (Invitation, error) {
	if !wellFormed("", token) {
		return Invitation{}, errLink()
	}
	rows, err := s.pool.Query(ctx, sqlInvitationByToken, hashSecret(token))
	if err != nil {
		return Invitation{}, fmt.Errorf("read invitation: %w", err)
	}
	inv, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Invitation])
	if errors.Is(err, pgx.ErrNoRows) {
		return Invitation{}, errLink()
	}
	if err != nil {
		return Invitation{}, fmt.Errorf("read invitation: %w", err)
	}
	return inv, nil
}

// AcceptInvitation uses the link up, makes the account (or, for a link of ResetLink, changes its password) and opens its
// first session, all or nothing. A new password does not stand in for a second factor: n.Code is checked as at sign-in.
func (s *Service) AcceptInvitation(ctx context.Context, token string, n Newcomer, from Client) (string, Access, error) {
	inv, err := s.InvitationByToken(ctx, token)
	if err != nil {
		return "", Access{}, err
	}
	if n.Name == "" {
		n.Name = inv.Name
	}
	hash, err := s.newcomer(ctx, &n, inv.Email)
	if err != nil {
		return "", Access{}, err
	}
	code, err := s.beforeReset(ctx, inv, n, from)
	if err != nil {
		return "", Access{}, err
	}
	var cookie string
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		inv, err := oneInvitation(ctx, tx, sqlInvitationUse, hashSecret(token))
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errLink()
		}
		if err != nil {
			return nil, fmt.Errorf("use invitation: %w", err)
		}
		evs, err := code.use(ctx, tx)
		if err != nil {
			return nil, err
		}
		id, came, err := s.arrive(ctx, tx, inv, n, hash)
		if err != nil {
			return nil, err
		}
		evs = append(evs, came...)
		t, started, err := openSession(ctx, tx, id, from)
		cookie = t
		return append(evs, started...), err
	})
	if err != nil {
		return "", Access{}, err
	}
	a, err := s.Authenticate(ctx, cookie)
	return cookie, a, err
}

// arrive makes the account of an invitation, or gives an account that is there the new password.
func (s *Service) arrive(ctx context.Context, tx pgx.Tx, inv Invitation, n Newcomer, hash string) (ids.ID, []events.Event, error) {
	var reset bool
	if err := tx.QueryRow(ctx, sqlInvitationKind, inv.ID).Scan(&reset); err != nil {
		return 0, nil, fmt.Errorf("read invitation: %w", err)
	}
	if reset {
		return resetPassword(ctx, tx, inv.Email, hash)
	}
	a, evs, err := newAgent(ctx, tx, events.Actor{Kind: "agent"}, Agent{
		Email: inv.Email, Name: n.Name, Role: inv.Role, Scope: inv.Scope, TeamIDs: inv.TeamIDs,
	}, n.Locale, hash)
	if err != nil {
		return 0, nil, err
	}
	by := events.Actor{Kind: "agent", ID: int64(a.ID)}
	return a.ID, append(evs, event("invitation.accepted", by, "invitation", inv.ID, inv)), nil
}

// newcomer checks what somebody typed and hashes his password.
func (s *Service) newcomer(ctx context.Context, n *Newcomer, email string) (string, error) {
	set, err := s.Settings(ctx)
	if err != nil {
		return "", err
	}
	if n.Name, err = cleanName("name", n.Name, 100); err != nil {
		return "", err
	}
	if n.Locale == "" {
		n.Locale = set.Locale
	}
	if !validLocale(n.Locale) {
		return "", errs.Field("locale", "must be en, ru or am")
	}
	if err := s.checkPassword("password", n.Password, set, email, n.Name); err != nil {
		return "", err
	}
	hash, err := s.hasher.hash(ctx, n.Password)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

func oneInvitation(ctx context.Context, tx pgx.Tx, sql string, arg any) (Invitation, error) {
	rows, err := tx.Query(ctx, sql, arg)
	if err != nil {
		return Invitation{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Invitation])
}

// endAll takes everything away that an agent has open: sessions, tokens, the invitations he made, his status.
func endAll(ctx context.Context, tx pgx.Tx, by events.Actor, agent ids.ID) ([]events.Event, error) {
	if _, err := tx.Exec(ctx, sqlSessionsDelete, agent, 0); err != nil {
		return nil, fmt.Errorf("end sessions: %w", err)
	}
	evs := []events.Event{sessionEnded(by, agent, 0)}
	revoked, err := revokeAll(ctx, tx, by, agent)
	if err != nil {
		return nil, err
	}
	evs = append(evs, revoked...)
	rows, err := tx.Query(ctx, sqlInvitationsOf, agent)
	if err != nil {
		return nil, fmt.Errorf("revoke invitations: %w", err)
	}
	invs, err := pgx.CollectRows(rows, pgx.RowToStructByName[Invitation])
	if err != nil {
		return nil, fmt.Errorf("revoke invitations: %w", err)
	}
	for _, inv := range invs {
		evs = append(evs, event("invitation.revoked", by, "invitation", inv.ID, inv))
	}
	if _, err := tx.Exec(ctx, sqlStatusUpdate, agent, Off); err != nil {
		return nil, fmt.Errorf("set status: %w", err)
	}
	return evs, nil
}

func errLink() error {
	return errs.New(errs.NotFound, "This link is not valid: it was used, replaced, or it is older than a day. Ask for a new one.")
}
