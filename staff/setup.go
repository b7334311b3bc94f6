package staff

import (
	"context"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
)

// Setup is what the first admin types.
type Setup struct {
	Newcomer
	Email         string
	WorkspaceName string
}

const sqlSetupSweep = `DELETE FROM invitation WHERE kind = 'setup' AND (expires_at < now() OR used_at IS NOT NULL)`

const sqlSetupInsert = `
INSERT INTO invitation (kind, token_hash, role, scope, expires_at)
VALUES ('setup', $1, 'admin', 'all', now() + make_interval(secs => $2))`

const sqlSetupValid = `
SELECT NOT EXISTS (SELECT FROM agent),
	EXISTS (SELECT FROM invitation WHERE token_hash = $1 AND kind = 'setup' AND used_at IS NULL AND expires_at > now())`

// Nobody can insert an account while this lock is held, so that "there is none yet" stays true until the commit.
const sqlAgentTableLock = `LOCK TABLE agent IN SHARE ROW EXCLUSIVE MODE`

const sqlSetupUse = `
UPDATE invitation SET used_at = now() WHERE token_hash = $1 AND kind = 'setup' AND used_at IS NULL AND expires_at > now()`

const sqlSetupEnd = `DELETE FROM invitation WHERE kind = 'setup' AND used_at IS NULL`

// EnsureSetupLink makes a one-time link for the first admin while there is no account; needed is false afterwards. Each
// call makes another link (only hashes are kept), all of them die with the first admin or after a day.
func (s *Service) EnsureSetupLink(ctx context.Context) (link string, needed bool, err error) {
	token, hash := secret("")
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var exists bool
		if err := tx.QueryRow(ctx, sqlAgentExists).Scan(&exists); err != nil {
			return nil, fmt.Errorf("look for accounts: %w", err)
		}
		if needed = !exists; !needed {
			return nil, nil
		}
		if _, err := tx.Exec(ctx, sqlSetupSweep); err != nil {
			return nil, fmt.Errorf("remove old links: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlSetupInsert, hash, linkLife.Seconds()); err != nil {
			return nil, fmt.Errorf("insert link: %w", err)
		}
		return nil, nil
	})
	if err != nil || !needed {
		return "", false, err
	}
	return s.cfg.BaseURL + "/setup?token=" + url.QueryEscape(token), true, nil
}

// SetupState tells whether the first admin is missing, and whether the token is that of a living link.
func (s *Service) SetupState(ctx context.Context, token string) (needed, valid bool, err error) {
	hash := []byte{}
	if wellFormed("", token) {
		hash = hashSecret(token)
	}
	if err := s.pool.QueryRow(ctx, sqlSetupValid, hash).Scan(&needed, &valid); err != nil {
		return false, false, fmt.Errorf("read setup state: %w", err)
	}
	return needed, needed && valid, nil
}

// SetUp makes the first admin and opens his session. It works once in the life of an installation, whatever links are
// about.
func (s *Service) SetUp(ctx context.Context, token string, in Setup, from Client) (string, Access, error) {
	needed, valid, err := s.SetupState(ctx, token)
	switch {
	case err != nil:
		return "", Access{}, err
	case !needed:
		return "", Access{}, errSetUpDone()
	case !valid:
		return "", Access{}, errSetupLink()
	}
	cookie := ""
	err = s.firstAdmin(ctx, in, func(tx pgx.Tx, a Agent) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, sqlSetupUse, hashSecret(token))
		if err != nil {
			return nil, fmt.Errorf("use link: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, errSetupLink()
		}
		t, evs, err := openSession(ctx, tx, a.ID, from)
		cookie = t
		return evs, err
	})
	if err != nil {
		return "", Access{}, err
	}
	a, err := s.Authenticate(ctx, cookie)
	return cookie, a, err
}

// EnsureAdmin makes the first admin without a browser (PARLEY_ADMIN_EMAIL, PARLEY_ADMIN_PASSWORD); it does nothing and
// reports false when there is an account already.
func (s *Service) EnsureAdmin(ctx context.Context, email, password string) (created bool, err error) {
	needed, _, err := s.SetupState(ctx, "")
	if err != nil || !needed {
		return false, err
	}
	in := Setup{Email: email, Newcomer: Newcomer{Name: "Admin", Password: password}}
	err = s.firstAdmin(ctx, in, func(pgx.Tx, Agent) ([]events.Event, error) { return nil, nil })
	if errs.Is(err, errs.Conflict) {
		return false, nil // another node was first
	}
	return err == nil, err
}

// CreateAgent makes an account from the command line of the machine (parley user), with the same rules.
func (s *Service) CreateAgent(ctx context.Context, email, name, password string, role Role, scope Scope) (Agent, error) {
	email, err := cleanEmail("email", email)
	if err != nil {
		return Agent{}, err
	}
	if !validRole(role) || !validScope(scope) {
		return Agent{}, errs.Field("role", "must be a role and a scope")
	}
	n := Newcomer{Name: name, Password: password}
	hash, err := s.newcomer(ctx, &n, email)
	if err != nil {
		return Agent{}, err
	}
	var out Agent
	err = s.change(ctx, func(tx pgx.Tx) (evs []events.Event, err error) {
		out, evs, err = newAgent(ctx, tx, System(), Agent{Email: email, Name: n.Name, Role: role, Scope: scope}, n.Locale, hash)
		return evs, err
	})
	return out, err
}

func (s *Service) firstAdmin(ctx context.Context, in Setup, then func(pgx.Tx, Agent) ([]events.Event, error)) error {
	email, err := cleanEmail("email", in.Email)
	if err != nil {
		return err
	}
	var patch SettingsPatch
	if in.WorkspaceName != "" {
		patch.WorkspaceName = &in.WorkspaceName
	}
	if in.Locale != "" {
		patch.Locale = &in.Locale
	}
	if err := patch.check(); err != nil {
		return err
	}
	n := in.Newcomer
	hash, err := s.newcomer(ctx, &n, email)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		if _, err := tx.Exec(ctx, sqlAgentTableLock); err != nil {
			return nil, fmt.Errorf("lock accounts: %w", err)
		}
		var exists bool
		if err := tx.QueryRow(ctx, sqlAgentExists).Scan(&exists); err != nil {
			return nil, fmt.Errorf("look for accounts: %w", err)
		}
		if exists {
			return nil, errSetUpDone()
		}
		a, evs, err := newAgent(ctx, tx, System(), Agent{Email: email, Name: n.Name, Role: Admin, Scope: ScopeAll}, n.Locale, hash)
		if err != nil {
			return nil, err
		}
		more, err := putSettings(ctx, tx, System(), patch)
		if err != nil {
			return nil, err
		}
		evs = append(evs, more...)
		if more, err = then(tx, a); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, sqlSetupEnd); err != nil {
			return nil, fmt.Errorf("end links: %w", err)
		}
		return append(evs, more...), nil
	})
}

func errSetUpDone() error {
	return errs.New(errs.Conflict, "Parley is set up already. Sign in instead.")
}

func errSetupLink() error {
	return errs.New(errs.Forbidden, "This set-up link is not valid. Restart Parley to get a new one.")
}
