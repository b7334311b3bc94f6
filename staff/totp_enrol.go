package staff

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pquerna/otp"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/ids"
)

// The picture that a telephone reads, in pixels.
const (
	qrSize   = 256
	qrBorder = 16
)

// TOTPState is what an agent sees of his own second factor.
type TOTPState struct {
	Enabled       bool       `json:"enabled"`
	Required      bool       `json:"required" doc:"the role asks for one"`
	Since         *time.Time `json:"since" nullable:"true"`
	RecoveryCodes int        `json:"recovery_codes" doc:"how many are left"`
}

// TOTPSetup is a secret that waits for its first code. It is shown once and not stored in the clear.
type TOTPSetup struct {
	Secret string `json:"secret" doc:"in base32, to be typed into an app"`
	URI    string `json:"uri"`
	QR     string `json:"qr" doc:"the uri as a picture, a data: URL"`
}

const sqlTOTPState = `
SELECT t.confirmed_at, (SELECT count(*) FROM recovery_code r WHERE r.agent_id = a.id AND r.used_at IS NULL), a.role, a.email
FROM agent a LEFT JOIN agent_totp t ON t.agent_id = a.id WHERE a.id = $1`

const sqlTOTPPending = `
INSERT INTO agent_totp (agent_id, pending) VALUES ($1, $2) ON CONFLICT (agent_id) DO UPDATE SET pending = excluded.pending`

const sqlTOTPReadPending = `SELECT pending FROM agent_totp WHERE agent_id = $1 AND pending IS NOT NULL FOR UPDATE`

const sqlTOTPConfirm = `
UPDATE agent_totp SET secret = pending, pending = NULL, confirmed_at = now(), last_step = $2, salt = $3 WHERE agent_id = $1`

const sqlTOTPSalt = `UPDATE agent_totp SET salt = $2 WHERE agent_id = $1 AND secret IS NOT NULL`

const sqlTOTPDelete = `DELETE FROM agent_totp WHERE agent_id = $1 AND secret IS NOT NULL`

const sqlRecoveryDelete = `DELETE FROM recovery_code WHERE agent_id = $1`

const sqlRecoveryInsert = `INSERT INTO recovery_code (agent_id, hash) SELECT $1, unnest($2::bytea[])`

const sqlSessionTOTPDone = `UPDATE session SET must_totp = false WHERE agent_id = $1 AND must_totp`

// TOTP tells the caller about his second factor.
func (s *Service) TOTP(ctx context.Context, by Access) (TOTPState, error) {
	out, _, err := s.totpState(ctx, by)
	return out, err
}

func (s *Service) totpState(ctx context.Context, by Access) (out TOTPState, email string, err error) {
	set, err := s.Settings(ctx)
	if err != nil {
		return out, "", err
	}
	var role Role
	err = s.pool.QueryRow(ctx, sqlTOTPState, by.AgentID).Scan(&out.Since, &out.RecoveryCodes, &role, &email)
	if err != nil {
		return out, "", fmt.Errorf("read second factor: %w", err)
	}
	out.Enabled = out.Since != nil
	out.Required = slices.Contains(set.TOTPRoles, role)
	return out, email, nil
}

// BeginTOTP makes a new secret for the caller, which counts only after ConfirmTOTP; a second factor that he has stays
// until then. The caller has proved himself just now.
func (s *Service) BeginTOTP(ctx context.Context, by Access) (TOTPSetup, error) {
	if s.cfg.Box == nil {
		return TOTPSetup{}, errNoBox()
	}
	_, email, err := s.totpState(ctx, by)
	if err != nil {
		return TOTPSetup{}, err
	}
	set, err := s.Settings(ctx)
	if err != nil {
		return TOTPSetup{}, err
	}
	key := make([]byte, totpSecret)
	_, _ = rand.Read(key) // never fails
	sealed, err := s.cfg.Box.Seal(s.aad(by.AgentID), key)
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("seal second factor: %w", err)
	}
	out, err := describeTOTP(key, set.WorkspaceName, email)
	if err != nil {
		return TOTPSetup{}, err
	}
	if _, err := s.pool.Exec(ctx, sqlTOTPPending, by.AgentID, sealed); err != nil {
		return TOTPSetup{}, fmt.Errorf("store second factor: %w", err)
	}
	return out, nil
}

// describeTOTP puts a secret into the forms that apps read.
func describeTOTP(key []byte, issuer, account string) (TOTPSetup, error) {
	issuer = strings.ReplaceAll(issuer, ":", " ") // the colon parts issuer and account
	out := TOTPSetup{Secret: base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)}
	u := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account, RawQuery: "secret=" + out.Secret +
		"&issuer=" + url.PathEscape(issuer) + "&digits=6&period=" + strconv.Itoa(totpStep)}
	out.URI = u.String()
	k, err := otp.NewKeyFromURL(out.URI)
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("address of second factor: %w", err)
	}
	code, err := k.Image(qrSize-2*qrBorder, qrSize-2*qrBorder)
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("picture of second factor: %w", err)
	}
	// Cameras want a quiet border, also on a dark screen.
	img := image.NewPaletted(image.Rect(0, 0, qrSize, qrSize), color.Palette{color.White, color.Black})
	draw.Draw(img, code.Bounds().Add(image.Pt(qrBorder, qrBorder)), code, image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return TOTPSetup{}, fmt.Errorf("picture of second factor: %w", err)
	}
	out.QR = "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
	return out, nil
}

// ConfirmTOTP takes the first code of the new secret, puts it in force, ends the caller's other sessions and answers
// with fresh recovery codes: the only time that they are seen.
func (s *Service) ConfirmTOTP(ctx context.Context, by Access, code string) ([]string, error) {
	if s.cfg.Box == nil {
		return nil, errNoBox()
	}
	if err := attempt(ctx, s.pool, codeKey(by.AgentID), freePerCode); err != nil {
		return nil, err
	}
	shown, salt, hashes, err := s.newRecovery(ctx)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		var sealed []byte
		err := tx.QueryRow(ctx, sqlTOTPReadPending, by.AgentID).Scan(&sealed)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, errs.New(errs.Conflict, "Nothing waits for a code. Begin again.")
		}
		if err != nil {
			return nil, fmt.Errorf("read second factor: %w", err)
		}
		key, err := s.cfg.Box.Open(s.aad(by.AgentID), sealed)
		if err != nil {
			return nil, fmt.Errorf("second factor of agent %s: %w", by.AgentID, err)
		}
		step, ok, err := matchStep(key, cleanCode(code), s.now())
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errs.Field("code", "is not the code that the app shows now; look whether the clocks agree")
		}
		if _, err := tx.Exec(ctx, sqlTOTPConfirm, by.AgentID, step, salt); err != nil {
			return nil, fmt.Errorf("store second factor: %w", err)
		}
		if err := putRecovery(ctx, tx, by.AgentID, hashes); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, sqlAttemptForget, codeKey(by.AgentID)); err != nil {
			return nil, fmt.Errorf("forget attempts: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlSessionTOTPDone, by.AgentID); err != nil {
			return nil, fmt.Errorf("free session: %w", err)
		}
		evs := []events.Event{event("agent.totp_enabled", by.Actor(), "agent", by.AgentID, map[string]any{"agent_id": by.AgentID})}
		ended, err := endOthers(ctx, tx, by)
		return append(evs, ended...), err
	})
	if err != nil {
		return nil, err
	}
	return shown, nil
}

// NewRecoveryCodes makes the old ones worthless and answers with new ones.
func (s *Service) NewRecoveryCodes(ctx context.Context, by Access) ([]string, error) {
	shown, salt, hashes, err := s.newRecovery(ctx)
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, sqlTOTPSalt, by.AgentID, salt)
		if err != nil {
			return nil, fmt.Errorf("store recovery codes: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, errs.New(errs.Conflict, "There is no second factor that they could stand in for.")
		}
		if err := putRecovery(ctx, tx, by.AgentID, hashes); err != nil {
			return nil, err
		}
		return []events.Event{event("audit.recovery_codes_made", by.Actor(), "agent", by.AgentID, map[string]any{"agent_id": by.AgentID})}, nil
	})
	if err != nil {
		return nil, err
	}
	return shown, nil
}

// RemoveTOTP takes the caller's own second factor away, unless his role asks for one.
func (s *Service) RemoveTOTP(ctx context.Context, by Access) error {
	state, _, err := s.totpState(ctx, by)
	if err != nil {
		return err
	}
	if state.Required {
		return errs.New(errs.Conflict, "Your role needs a second factor. You can set up another one in its place.")
	}
	return s.dropTOTP(ctx, by.Actor(), by.AgentID)
}

// RemoveAgentTOTP takes a colleague's second factor away, for one who lost it with his recovery codes (permission
// agents.manage). His sessions end: whoever holds them may not be he.
func (s *Service) RemoveAgentTOTP(ctx context.Context, by Access, agent ids.ID) error {
	if !by.Can(ManageAgents) {
		return errForbidden()
	}
	if agent == by.AgentID {
		return s.RemoveTOTP(ctx, by)
	}
	return s.dropTOTP(ctx, by.Actor(), agent)
}

// RemoveTOTPOf is RemoveAgentTOTP for the operator of the machine, who knows the address.
func (s *Service) RemoveTOTPOf(ctx context.Context, email string) error {
	email, err := cleanEmail("email", email)
	if err != nil {
		return err
	}
	var a Agent
	err = s.pool.QueryRow(ctx, sqlResetAgent, email).Scan(&a.ID, &a.Name, &a.Role, &a.Scope)
	if errors.Is(err, pgx.ErrNoRows) {
		return errs.New(errs.NotFound, "There is no account %s that is in use.", email)
	}
	if err != nil {
		return fmt.Errorf("look for the account: %w", err)
	}
	return s.dropTOTP(ctx, System(), a.ID)
}

func (s *Service) dropTOTP(ctx context.Context, by events.Actor, agent ids.ID) error {
	return s.change(ctx, func(tx pgx.Tx) ([]events.Event, error) {
		tag, err := tx.Exec(ctx, sqlTOTPDelete, agent)
		if err != nil {
			return nil, fmt.Errorf("remove second factor: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, errs.New(errs.NotFound, "There is no second factor.")
		}
		evs := []events.Event{event("agent.totp_removed", by, "agent", agent, map[string]any{"agent_id": agent})}
		if by.Kind == "agent" && by.ID == int64(agent) {
			return evs, nil
		}
		if _, err := tx.Exec(ctx, sqlSessionsDelete, agent, 0); err != nil {
			return nil, fmt.Errorf("end sessions: %w", err)
		}
		return append(evs, sessionEnded(by, agent, 0)), nil
	})
}

// newRecovery makes a set of codes as they are shown, and what is stored of them.
func (s *Service) newRecovery(ctx context.Context) (shown []string, salt []byte, hashes [][]byte, err error) {
	salt = make([]byte, argonSalt)
	_, _ = rand.Read(salt) // never fails
	for range recoveryCodes {
		code := newRecoveryCode()
		h, err := s.hasher.derive(ctx, salt, code)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("hash recovery code: %w", err)
		}
		shown, hashes = append(shown, showCode(code)), append(hashes, h)
	}
	return shown, salt, hashes, nil
}

func putRecovery(ctx context.Context, tx pgx.Tx, agent ids.ID, hashes [][]byte) error {
	if _, err := tx.Exec(ctx, sqlRecoveryDelete, agent); err != nil {
		return fmt.Errorf("remove recovery codes: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlRecoveryInsert, agent, hashes); err != nil {
		return fmt.Errorf("store recovery codes: %w", err)
	}
	return nil
}
