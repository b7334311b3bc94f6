package staff

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// Credentials are what somebody types to sign in; Code is of his second factor, if he has one.
type Credentials struct {
	Email, Password, Code string
}

// Session is one place where somebody is signed in.
type Session struct {
	ID         ids.ID    `json:"id"`
	CreatedAt  time.Time `json:"created_at"`
	LastSeenAt time.Time `json:"last_seen_at"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	Current    bool      `json:"current"`
}

// Client is where a request comes from.
type Client struct {
	IP        string
	UserAgent string
}

const sqlLogin = `SELECT id, password_hash, disabled_at IS NOT NULL FROM agent WHERE email = $1`

const sqlRehash = `UPDATE agent SET password_hash = $2 WHERE id = $1 AND password_hash = $3`

const sqlSessionInsert = `
INSERT INTO session (token_hash, agent_id, ip, user_agent, expires_at, must_password, must_totp)
SELECT $1, a.id, $3, $4, now() + make_interval(days => $5),
	a.password_expired OR ($6 > 0 AND a.password_at < now() - make_interval(days => $6)),
	a.role = ANY($7) AND NOT EXISTS (SELECT FROM agent_totp t WHERE t.agent_id = a.id AND t.secret IS NOT NULL)
FROM agent a WHERE a.id = $2 AND a.disabled_at IS NULL FOR SHARE
RETURNING id`

const sqlSessionOverflow = `
DELETE FROM session WHERE id IN (SELECT id FROM session WHERE agent_id = $1 ORDER BY last_seen_at DESC, id DESC OFFSET $2) RETURNING id`

const sqlSessionAccess = `
SELECT a.id, a.name, a.role, a.scope, ARRAY(SELECT m.team_id FROM team_member m WHERE m.agent_id = a.id ORDER BY m.team_id),
	s.id, s.proved_at > now() - interval '10 minutes', s.must_password, s.must_totp, s.last_seen_at < now() - interval '1 minute'
FROM session s JOIN agent a ON a.id = s.agent_id
WHERE s.token_hash = $1 AND a.disabled_at IS NULL AND s.expires_at > now() AND s.last_seen_at > now() - make_interval(
	hours => coalesce((SELECT (value #>> '{}')::int FROM setting WHERE key = 'session_idle_hours'), $2))`

const sqlSessionTouch = `UPDATE session SET last_seen_at = now() WHERE id = $1 AND last_seen_at < now() - interval '1 minute'`

const sqlSessions = `
SELECT id, created_at, last_seen_at, ip, user_agent, id = $2 AS current FROM session
WHERE agent_id = $1 AND expires_at > now() ORDER BY last_seen_at DESC, id DESC`

const sqlSessionDelete = `DELETE FROM session WHERE id = $1 AND agent_id = $2 RETURNING id`

const sqlSessionDeleteByToken = `DELETE FROM session WHERE token_hash = $1 RETURNING id, agent_id`

const sqlSessionsDelete = `DELETE FROM session WHERE agent_id = $1 AND id <> $2 RETURNING id`

const sqlSessionsExpired = `
DELETE FROM session WHERE expires_at <= now() OR last_seen_at <= now() - make_interval(
	hours => coalesce((SELECT (value #>> '{}')::int FROM setting WHERE key = 'session_idle_hours'), $1))
RETURNING id, agent_id`

// secret makes 256 bits in a form that fits cookies, headers and links, and the hash that is stored.
func secret(prefix string) (token string, hash []byte) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	token = prefix + base64.RawURLEncoding.EncodeToString(b)
	return token, hashSecret(token)
}

func hashSecret(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// wellFormed refuses at once what cannot be one of our secrets: nothing, blanks, something huge.
func wellFormed(prefix, token string) bool {
	rest, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	return err == nil && len(b) == 32
}

// Login checks a password and opens a session. old is the cookie that the browser sent, if any: it ends, so that a
// planted one is worth nothing. Unknown, disabled and wrong look the same and take the same time. Only after the right
// password an account with a second factor answers that it wants a code (Extra code totp_required, totp_wrong).
func (s *Service) Login(ctx context.Context, c Credentials, old string, from Client) (string, Access, error) {
	email, password := strings.ToLower(strings.TrimSpace(c.Email)), c.Password
	if len(password) > passwordMaxBytes || len(email) > 254 || strings.ContainsRune(email, 0) {
		return "", Access{}, errLogin()
	}
	if err := attempt(ctx, s.pool, addressKey(from.IP), freePerAddress); err != nil {
		return "", Access{}, err
	}
	if err := attempt(ctx, s.pool, accountKey(email, from.IP), freePerAccount); err != nil {
		return "", Access{}, err
	}
	var id ids.ID
	var encoded string
	var disabled bool
	if err := s.pool.QueryRow(ctx, sqlLogin, email).Scan(&id, &encoded, &disabled); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", Access{}, fmt.Errorf("read account: %w", err)
	}
	ok, weak, err := s.hasher.verify(ctx, encoded, password)
	if err != nil {
		return "", Access{}, fmt.Errorf("check password: %w", err)
	}
	if !ok || disabled {
		if err := s.loginFailed(ctx, id, from, false); err != nil {
			return "", Access{}, err
		}
		return "", Access{}, errLogin()
	}
	code, err := s.codeAtDoor(ctx, id, c.Code, from)
	if err != nil {
		return "", Access{}, err
	}
	rehash := ""
	if weak {
		if rehash, err = s.hasher.hash(ctx, password); err != nil {
			return "", Access{}, fmt.Errorf("hash password: %w", err)
		}
	}
	var token string
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if rehash != "" {
			if _, err := tx.Exec(ctx, sqlRehash, id, rehash, encoded); err != nil {
				return nil, fmt.Errorf("store password: %w", err)
			}
		}
		if _, err := tx.Exec(ctx, sqlAttemptForget, accountKey(email, from.IP)); err != nil {
			return nil, fmt.Errorf("forget attempts: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlAttemptUndo, addressKey(from.IP)); err != nil {
			return nil, fmt.Errorf("forget attempts: %w", err)
		}
		evs, err := code.use(ctx, tx)
		if err != nil {
			return nil, err
		}
		if wellFormed("", old) {
			ended, err := endByToken(ctx, tx, old)
			if err != nil {
				return nil, err
			}
			evs = append(evs, ended...)
		}
		t, started, err := openSession(ctx, tx, id, from)
		token = t
		return append(evs, started...), err
	})
	if err != nil {
		return "", Access{}, err
	}
	a, err := s.Authenticate(ctx, token)
	return token, a, err
}

// codeAtDoor checks the code of somebody who is not in yet, and tells the audit when it is wrong: his password was right.
func (s *Service) codeAtDoor(ctx context.Context, id ids.ID, code string, from Client) (proof, error) {
	p, err := s.checkCode(ctx, id, code)
	var e *errs.E
	if errors.As(err, &e) && e.Extra["code"] == "totp_wrong" {
		if err := s.loginFailed(ctx, id, from, true); err != nil {
			return proof{}, err
		}
	}
	return p, err
}

func (s *Service) loginFailed(ctx context.Context, id ids.ID, from Client, byCode bool) error {
	return s.change(ctx, func(pgx.Tx) ([]events.Event, error) {
		// The address that was typed is not kept: people type their passwords there.
		detail := map[string]any{"agent_id": ids.Ptr(id), "ip": from.IP}
		if byCode {
			detail["second_factor"] = true
		}
		return []events.Event{event("login.failed", System(), "agent", id, detail)}, nil
	})
}

// openSession stores a session and tells of it; sessions beyond the cap end.
func openSession(ctx context.Context, tx pgx.Tx, agent ids.ID, from Client) (string, []events.Event, error) {
	set, err := ReadSettings(ctx, tx)
	if err != nil {
		return "", nil, err
	}
	token, hash := secret("")
	var id ids.ID
	err = tx.QueryRow(ctx, sqlSessionInsert, hash, agent, clip(from.IP, 64), clip(from.UserAgent, 300), set.SessionMaxDays,
		set.PasswordMaxDays, set.TOTPRoles).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil, errLogin()
	}
	if err != nil {
		return "", nil, fmt.Errorf("insert session: %w", err)
	}
	over, err := collectIDs(ctx, tx, sqlSessionOverflow, agent, set.SessionsMax)
	if err != nil {
		return "", nil, fmt.Errorf("end the oldest session: %w", err)
	}
	by := events.Actor{Kind: "agent", ID: int64(agent)}
	evs := []events.Event{event("session.started", by, "agent", agent, map[string]any{
		"agent_id": agent, "session_id": id, "ip": clip(from.IP, 64), "user_agent": clip(from.UserAgent, 300),
	})}
	for _, o := range over {
		evs = append(evs, sessionEnded(by, agent, o))
	}
	return token, evs, nil
}

// Authenticate resolves the cookie of a session; errs.Unauthenticated when it is none or over.
func (s *Service) Authenticate(ctx context.Context, token string) (Access, error) {
	if !wellFormed("", token) {
		return Access{}, errSignIn()
	}
	var a Access
	var touch bool
	err := s.pool.QueryRow(ctx, sqlSessionAccess, hashSecret(token), DefaultSettings().SessionIdleHours).
		Scan(&a.AgentID, &a.Name, &a.Role, &a.Scope, &a.Teams, &a.SessionID, &a.Fresh, &a.MustPassword, &a.MustTOTP, &touch)
	if errors.Is(err, pgx.ErrNoRows) {
		return Access{}, errSignIn()
	}
	if err != nil {
		return Access{}, fmt.Errorf("read session: %w", err)
	}
	if touch {
		if _, err := s.pool.Exec(ctx, sqlSessionTouch, a.SessionID); err != nil {
			return Access{}, fmt.Errorf("touch session: %w", err)
		}
	}
	return a, nil
}

// Sessions lists where the caller is signed in.
func (s *Service) Sessions(ctx context.Context, by Access) ([]Session, error) {
	rows, err := s.pool.Query(ctx, sqlSessions, by.AgentID, by.SessionID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByName[Session])
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return out, nil
}

// EndSession ends one of the caller's sessions; anybody else's is not found.
func (s *Service) EndSession(ctx context.Context, by Access, id ids.ID) error {
	return s.endSession(ctx, by.Actor(), by.AgentID, id)
}

func (s *Service) endSession(ctx context.Context, by events.Actor, agent, id ids.ID) error {
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		gone, err := collectIDs(ctx, tx, sqlSessionDelete, id, agent)
		if err != nil {
			return nil, fmt.Errorf("end session %s: %w", id, err)
		}
		if len(gone) == 0 {
			return nil, errs.New(errs.NotFound, "There is no such session.")
		}
		return []events.Event{sessionEnded(by, agent, id)}, nil
	})
}

// Logout ends the session of a cookie; one that is over already is fine.
func (s *Service) Logout(ctx context.Context, token string) error {
	if !wellFormed("", token) {
		return nil
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) { return endByToken(ctx, tx, token) })
}

// EndSessions signs the caller out everywhere.
func (s *Service) EndSessions(ctx context.Context, by Access) error {
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if _, err := tx.Exec(ctx, sqlSessionsDelete, by.AgentID, 0); err != nil {
			return nil, fmt.Errorf("end sessions: %w", err)
		}
		return []events.Event{sessionEnded(by.Actor(), by.AgentID, 0)}, nil
	})
}

// AgentSessions lists where a colleague is signed in (permission agents.manage).
func (s *Service) AgentSessions(ctx context.Context, by Access, agent ids.ID) ([]Session, error) {
	if !by.Can(ManageAgents) {
		return nil, errForbidden()
	}
	if _, err := agentByID(ctx, s.pool, agent); err != nil {
		return nil, err
	}
	return s.Sessions(ctx, Access{AgentID: agent, SessionID: by.SessionID})
}

// EndAgentSessions ends one session of a colleague, or all of them (session 0; permission agents.manage).
func (s *Service) EndAgentSessions(ctx context.Context, by Access, agent, session ids.ID) error {
	if !by.Can(ManageAgents) {
		return errForbidden()
	}
	if session != 0 {
		return s.endSession(ctx, by.Actor(), agent, session)
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if _, err := agentByID(ctx, tx, agent); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, sqlSessionsDelete, agent, 0); err != nil {
			return nil, fmt.Errorf("end sessions: %w", err)
		}
		return []events.Event{sessionEnded(by.Actor(), agent, 0)}, nil
	})
}

// endOthers ends every session of the caller but this one.
func endOthers(ctx context.Context, tx pgx.Tx, by Access) ([]events.Event, error) {
	gone, err := collectIDs(ctx, tx, sqlSessionsDelete, by.AgentID, by.SessionID)
	if err != nil {
		return nil, fmt.Errorf("end other sessions: %w", err)
	}
	evs := make([]events.Event, 0, len(gone))
	for _, id := range gone {
		evs = append(evs, sessionEnded(by.Actor(), by.AgentID, id))
	}
	return evs, nil
}

func endByToken(ctx context.Context, tx pgx.Tx, token string) ([]events.Event, error) {
	var id, agent ids.ID
	err := tx.QueryRow(ctx, sqlSessionDeleteByToken, hashSecret(token)).Scan(&id, &agent)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("end session: %w", err)
	}
	return []events.Event{sessionEnded(events.Actor{Kind: "agent", ID: int64(agent)}, agent, id)}, nil
}

// sessionEnded tells the live feed to close the sockets of a session; session 0 = all of the agent's.
func sessionEnded(by events.Actor, agent, session ids.ID) events.Event {
	return event("session.ended", by, "agent", agent, map[string]any{"agent_id": agent, "session_id": ids.Ptr(session)})
}

func clip(s string, n int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "")
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

func errLogin() error {
	return errs.New(errs.Unauthenticated, "The address or the password is wrong.")
}

func errSignIn() error { return errs.New(errs.Unauthenticated, "Sign in first.") }
