package web

import (
	"context"
	"net/http"
	"time"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// Me is the signed-in agent with what his screen needs first.
type Me struct {
	Agent       staff.Agent `json:"agent"`
	Locale      string      `json:"locale" enum:"en,ru,am"`
	Theme       string      `json:"theme" enum:"system,light,dark"`
	Permissions []string    `json:"permissions" nullable:"false"`
	Workspace   Workspace   `json:"workspace"`
	SessionID   *ids.ID     `json:"session_id" nullable:"true"`
	TOTP        bool        `json:"totp" doc:"there is a second factor"`
	// Must is what has to be done before anything else; until then every other route answers 403.
	Must []string `json:"must" nullable:"false" enum:"password,totp"`
	// PasswordUntil is set when the password has to be changed within two weeks.
	PasswordUntil *time.Time `json:"password_until" nullable:"true"`
}

// Workspace is the installation.
type Workspace struct {
	Name       string `json:"name"`
	BaseURL    string `json:"base_url"`
	Insecure   bool   `json:"insecure"` // plain http that others can reach
	SampleData bool   `json:"sample_data"`
	Version    string `json:"version"`
}

// signedInAs is the answer of everything that opens a session.
type signedInAs struct {
	SetCookie *http.Cookie `header:"Set-Cookie"`
	Body      Me
}

type bye struct {
	SetCookie *http.Cookie `header:"Set-Cookie"`
}

func (s *Server) readMe(ctx context.Context, by staff.Access) (Me, error) {
	p, err := s.deps.Staff.Profile(ctx, by)
	if err != nil {
		return Me{}, err
	}
	set, err := s.deps.Staff.Settings(ctx)
	if err != nil {
		return Me{}, err
	}
	sample := false
	if s.deps.SampleData != nil {
		if sample, err = s.deps.SampleData(ctx); err != nil {
			return Me{}, err
		}
	}
	if p.PasswordUntil != nil && time.Until(*p.PasswordUntil) > staff.PasswordWarning() {
		p.PasswordUntil = nil
	}
	return Me{
		TOTP: p.TOTP, Must: musts(by), PasswordUntil: p.PasswordUntil,
		Agent: p.Agent, Locale: p.Locale, Theme: p.Theme, Permissions: by.Permissions(), SessionID: ids.Ptr(by.SessionID),
		Workspace: Workspace{
			Name: set.WorkspaceName, BaseURL: s.cfg.BaseURL, Insecure: s.insecure(), SampleData: sample, Version: s.cfg.Version,
		},
	}, nil
}

func musts(by staff.Access) []string {
	out := []string{}
	if by.MustPassword {
		out = append(out, "password")
	}
	if by.MustTOTP {
		out = append(out, "totp")
	}
	return out
}

// open answers a request that opened a session.
func (s *Server) open(ctx context.Context, token string, by staff.Access, err error) (*signedInAs, error) {
	if err != nil {
		return nil, err
	}
	me, err := s.readMe(ctx, by)
	if err != nil {
		return nil, err
	}
	return &signedInAs{SetCookie: s.sessionCookie(token), Body: me}, nil
}

type loginIn struct {
	Plain  string `cookie:"parley" hidden:"true"`
	Secure string `cookie:"__Host-parley" hidden:"true"`
	Body   struct {
		Email    string `json:"email" maxLength:"1000"`
		Password string `json:"password" maxLength:"4096"`
		Totp     string `json:"totp,omitempty" maxLength:"40" doc:"code of the app, or a recovery code; asked for by 401 totp_required"`
	}
}

func (s *Server) login(ctx context.Context, in *loginIn) (*signedInAs, error) {
	old := in.Plain
	if s.https() {
		old = in.Secure
	}
	c := staff.Credentials{Email: in.Body.Email, Password: in.Body.Password, Code: in.Body.Totp}
	token, by, err := s.deps.Staff.Login(ctx, c, old, ClientFrom(ctx))
	return s.open(ctx, token, by, err)
}

type cookieIn struct {
	Plain  string `cookie:"parley" hidden:"true"`
	Secure string `cookie:"__Host-parley" hidden:"true"`
}

func (s *Server) logout(ctx context.Context, in *cookieIn) (*bye, error) {
	token := in.Plain
	if s.https() {
		token = in.Secure
	}
	if err := s.deps.Staff.Logout(ctx, token); err != nil {
		return nil, err
	}
	return &bye{SetCookie: s.sessionCookie("")}, nil
}

func (s *Server) sessionList(ctx context.Context, _ *struct{}) (*listed[staff.Session], error) {
	return whole(s.deps.Staff.Sessions(ctx, CallerFrom(ctx)))
}

func (s *Server) sessionEndAll(ctx context.Context, _ *struct{}) (*bye, error) {
	if err := s.deps.Staff.EndSessions(ctx, CallerFrom(ctx)); err != nil {
		return nil, err
	}
	return &bye{SetCookie: s.sessionCookie("")}, nil
}

type idIn struct {
	ID ids.ID `path:"id"`
}

func (s *Server) sessionEnd(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Staff.EndSession(ctx, CallerFrom(ctx), in.ID))
}

func (s *Server) me(ctx context.Context, _ *struct{}) (*one[Me], error) {
	return answer(s.readMe(ctx, CallerFrom(ctx)))
}

type meUpdateIn struct{ Body staff.ProfilePatch }

func (s *Server) meUpdate(ctx context.Context, in *meUpdateIn) (*one[Me], error) {
	if in.Body.Email != nil {
		if err := s.fresh(ctx); err != nil {
			return nil, err
		}
	}
	if _, err := s.deps.Staff.UpdateProfile(ctx, CallerFrom(ctx), in.Body); err != nil {
		return nil, err
	}
	return answer(s.readMe(ctx, CallerFrom(ctx)))
}

type passwordIn struct {
	Body struct {
		Current  string `json:"current" maxLength:"4096"`
		Password string `json:"password" maxLength:"4096"`
	}
}

func (s *Server) mePassword(ctx context.Context, in *passwordIn) (*nothing, error) {
	return done(s.deps.Staff.ChangePassword(ctx, CallerFrom(ctx), in.Body.Current, in.Body.Password, ClientFrom(ctx)))
}

type statusIn struct {
	Body struct {
		Status staff.Status `json:"status" enum:"online,busy,away,off"`
	}
}

func (s *Server) meStatus(ctx context.Context, in *statusIn) (*one[staff.Agent], error) {
	by := CallerFrom(ctx)
	if err := s.deps.Staff.SetStatus(ctx, by.AgentID, in.Body.Status); err != nil {
		return nil, err
	}
	return answer(s.deps.Staff.Agent(ctx, by.AgentID))
}

type tokenIn struct {
	Body struct {
		Name      string     `json:"name" maxLength:"400"`
		Scopes    []string   `json:"scopes" maxItems:"20" nullable:"false" doc:"read, write and permissions"`
		ExpiresAt *time.Time `json:"expires_at,omitempty"`
		Password  *string    `json:"password,omitempty" maxLength:"4096" doc:"needed when one proved oneself more than ten minutes ago"`
	}
}

func (s *Server) tokenList(ctx context.Context, in *struct{ BigPage }) (*listed[staff.Token], error) {
	return byID(in.BigPage, func(t staff.Token) ids.ID { return t.ID }, func(after ids.ID, n int) ([]staff.Token, error) {
		return s.deps.Staff.Tokens(ctx, CallerFrom(ctx), after, n)
	})
}

func (s *Server) tokenCreate(ctx context.Context, in *tokenIn) (*one[staff.Token], error) {
	if !CallerFrom(ctx).Can(staff.ManageTokens) {
		return nil, errs.New(errs.Forbidden, "You may not do this.")
	}
	if err := s.reauth(ctx, in.Body.Password); err != nil {
		return nil, err
	}
	return answer(s.deps.Staff.CreateToken(ctx, CallerFrom(ctx), in.Body.Name, in.Body.Scopes, in.Body.ExpiresAt))
}

func (s *Server) tokenRevoke(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Staff.RevokeToken(ctx, CallerFrom(ctx), in.ID))
}

// reauth asks for the password again before what must not be done from a desk left open.
func (s *Server) reauth(ctx context.Context, password *string) error {
	if by := CallerFrom(ctx); password != nil && !by.Fresh {
		return s.deps.Staff.Prove(ctx, by, *password, "", ClientFrom(ctx))
	}
	return s.fresh(ctx)
}

// fresh refuses a session whose owner has not proved himself in the last ten minutes: POST /api/me/proof, and again. A
// token is no desk that somebody left.
func (s *Server) fresh(ctx context.Context) error {
	if by := CallerFrom(ctx); by.Fresh || by.TokenID != 0 {
		return nil
	}
	return errReauth()
}
