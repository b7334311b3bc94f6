package staff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// tokenPrefix lets secret scanners find a token that got into a repository.
const tokenPrefix = "prl_"

// tokensPerAgent bounds the list.
const tokensPerAgent = 50

// Token is a key for programs. It can do what its scopes say, and never more than its owner can at that moment.
type Token struct {
	ID         ids.ID     `json:"id"`
	Name       string     `json:"name"`
	Prefix     string     `json:"prefix"` // the first letters, to tell tokens apart
	Scopes     []string   `json:"scopes" nullable:"false"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	Secret     string     `json:"secret,omitempty" db:"-" doc:"the token itself; only in the answer to POST"`
}

const tokenColumns = `id, name, prefix, scopes, created_at, expires_at, last_used_at`

const sqlTokens = `SELECT ` + tokenColumns + `
FROM api_token WHERE agent_id = $1 AND revoked_at IS NULL AND id > $2 ORDER BY id LIMIT $3`

const sqlTokenInsert = `
INSERT INTO api_token (agent_id, name, prefix, token_hash, scopes, expires_at)
SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM api_token WHERE agent_id = $1 AND revoked_at IS NULL) < $7
RETURNING ` + tokenColumns

const sqlTokenAccess = `
SELECT a.id, a.name, a.role, a.scope, ARRAY(SELECT m.team_id FROM team_member m WHERE m.agent_id = a.id ORDER BY m.team_id),
	t.id, t.scopes, t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute'
FROM api_token t JOIN agent a ON a.id = t.agent_id
WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now()) AND a.disabled_at IS NULL`

const sqlTokenTouch = `UPDATE api_token SET last_used_at = now() WHERE id = $1`

const sqlTokenRevoke = `
UPDATE api_token SET revoked_at = now() WHERE id = $1 AND agent_id = $2 AND revoked_at IS NULL RETURNING ` + tokenColumns

const sqlTokensRevoke = `
UPDATE api_token SET revoked_at = now() WHERE agent_id = $1 AND revoked_at IS NULL RETURNING ` + tokenColumns

// Tokens lists the caller's tokens that are not revoked.
func (s *Service) Tokens(ctx context.Context, by Access, after ids.ID, limit int) ([]Token, error) {
	rows, err := s.pool.Query(ctx, sqlTokens, by.AgentID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Token])
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return out, nil
}

// CreateToken makes a token of the caller's (permission tokens.manage). The secret is in this answer and nowhere else.
func (s *Service) CreateToken(ctx context.Context, by Access, name string, scopes []string, expires *time.Time) (Token, error) {
	if !by.Can(ManageTokens) || by.TokenID != 0 {
		return Token{}, errForbidden()
	}
	name, err := cleanName("name", name, 100)
	if err != nil {
		return Token{}, err
	}
	if len(scopes) == 0 {
		return Token{}, errs.Field("scopes", "must name at least one of read, write and the permissions")
	}
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	for _, sc := range scopes {
		if !validTokenScope(sc) {
			return Token{}, errs.Field("scopes", "must be made of read, write and the permissions; %q is none", clip(sc, 50))
		}
		if sc != TokenRead && sc != TokenWrite && !by.Can(Permission(sc)) {
			return Token{}, errs.Field("scopes", "a token cannot do what you may not: %s", sc)
		}
	}
	if expires != nil && !expires.After(time.Now()) {
		return Token{}, errs.Field("expires_at", "must be in the future")
	}
	token, hash := secret(tokenPrefix)
	var out Token
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		rows, err := tx.Query(ctx, sqlTokenInsert, by.AgentID, name, token[:len(tokenPrefix)+6], hash, scopes, expires, tokensPerAgent)
		if err != nil {
			return nil, fmt.Errorf("insert token: %w", err)
		}
		out, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Token])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.New(errs.Conflict, "There are %d tokens already. Revoke one first.", tokensPerAgent)
		}
		if err != nil {
			return nil, fmt.Errorf("insert token: %w", err)
		}
		return []events.Event{event("token.created", by.Actor(), "token", out.ID, out)}, nil
	})
	out.Secret = token
	return out, err
}

// RevokeToken ends a token of the caller's at once.
func (s *Service) RevokeToken(ctx context.Context, by Access, id ids.ID) error {
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		rows, err := tx.Query(ctx, sqlTokenRevoke, id, by.AgentID)
		if err != nil {
			return nil, fmt.Errorf("revoke token %s: %w", id, err)
		}
		t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Token])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.New(errs.NotFound, "There is no such token.")
		}
		if err != nil {
			return nil, fmt.Errorf("revoke token %s: %w", id, err)
		}
		return []events.Event{event("token.revoked", by.Actor(), "token", id, t)}, nil
	})
}

// AuthenticateToken resolves a Bearer token; errs.Unauthenticated when it is none, over or revoked.
func (s *Service) AuthenticateToken(ctx context.Context, token string) (Access, error) {
	if !wellFormed(tokenPrefix, token) {
		return Access{}, errToken()
	}
	var a Access
	var touch bool
	err := s.pool.QueryRow(ctx, sqlTokenAccess, hashSecret(token)).
		Scan(&a.AgentID, &a.Name, &a.Role, &a.Scope, &a.Teams, &a.TokenID, &a.TokenScopes, &touch)
	if errors.Is(err, pgx.ErrNoRows) {
		return Access{}, errToken()
	}
	if err != nil {
		return Access{}, fmt.Errorf("read token: %w", err)
	}
	if touch {
		if _, err := s.pool.Exec(ctx, sqlTokenTouch, a.TokenID); err != nil {
			return Access{}, fmt.Errorf("touch token: %w", err)
		}
	}
	return a, nil
}

func revokeAll(ctx context.Context, tx pgx.Tx, by events.Actor, agent ids.ID) ([]events.Event, error) {
	rows, err := tx.Query(ctx, sqlTokensRevoke, agent)
	if err != nil {
		return nil, fmt.Errorf("revoke tokens: %w", err)
	}
	ts, err := pgx.CollectRows(rows, pgx.RowToStructByName[Token])
	if err != nil {
		return nil, fmt.Errorf("revoke tokens: %w", err)
	}
	evs := make([]events.Event, 0, len(ts))
	for _, t := range ts {
		evs = append(evs, event("token.revoked", by, "token", t.ID, t))
	}
	return evs, nil
}

func errToken() error { return errs.New(errs.Unauthenticated, "The token is not valid.") }
