package web

import (
	"context"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

type proofIn struct {
	Body struct {
		Password string `json:"password,omitempty" maxLength:"4096"`
		Totp     string `json:"totp,omitempty" maxLength:"40" doc:"instead of the password, for an account with a second factor"`
	}
}

func (s *Server) meProof(ctx context.Context, in *proofIn) (*nothing, error) {
	return done(s.deps.Staff.Prove(ctx, CallerFrom(ctx), in.Body.Password, in.Body.Totp, ClientFrom(ctx)))
}

func (s *Server) totpShow(ctx context.Context, _ *struct{}) (*one[staff.TOTPState], error) {
	return answer(s.deps.Staff.TOTP(ctx, CallerFrom(ctx)))
}

func (s *Server) totpBegin(ctx context.Context, _ *struct{}) (*one[staff.TOTPSetup], error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	return answer(s.deps.Staff.BeginTOTP(ctx, CallerFrom(ctx)))
}

type totpConfirmIn struct {
	Body struct {
		Code string `json:"code" maxLength:"40"`
	}
}

// RecoveryCodes stand in for the app that makes codes, each once. They are shown in this answer and never again.
type RecoveryCodes struct {
	Codes []string `json:"codes" nullable:"false"`
}

func (s *Server) totpConfirm(ctx context.Context, in *totpConfirmIn) (*one[RecoveryCodes], error) {
	codes, err := s.deps.Staff.ConfirmTOTP(ctx, CallerFrom(ctx), in.Body.Code)
	return answer(RecoveryCodes{Codes: codes}, err)
}

func (s *Server) totpCodes(ctx context.Context, _ *struct{}) (*one[RecoveryCodes], error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	codes, err := s.deps.Staff.NewRecoveryCodes(ctx, CallerFrom(ctx))
	return answer(RecoveryCodes{Codes: codes}, err)
}

func (s *Server) totpRemove(ctx context.Context, _ *struct{}) (*nothing, error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	return done(s.deps.Staff.RemoveTOTP(ctx, CallerFrom(ctx)))
}

func (s *Server) agentTOTPRemove(ctx context.Context, in *idIn) (*nothing, error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	return done(s.deps.Staff.RemoveAgentTOTP(ctx, CallerFrom(ctx), in.ID))
}

func (s *Server) agentPasswordExpire(ctx context.Context, in *idIn) (*nothing, error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	return done(s.deps.Staff.ExpirePassword(ctx, CallerFrom(ctx), in.ID))
}

// ResetLink leads a colleague to a page where he chooses a new password; it works once, for a day.
type ResetLink struct {
	Link string `json:"link"`
}

func (s *Server) agentResetLink(ctx context.Context, in *idIn) (*one[ResetLink], error) {
	if err := s.fresh(ctx); err != nil {
		return nil, err
	}
	link, err := s.deps.Staff.AgentResetLink(ctx, CallerFrom(ctx), in.ID)
	return answer(ResetLink{Link: link}, err)
}

// AgentSecurity is what an admin sees of a colleague's account.
type AgentSecurity struct {
	TOTP            bool `json:"totp"`
	PasswordExpired bool `json:"password_expired" doc:"a new password is asked for at the next sign-in"`
}

func (s *Server) agentSecurity(ctx context.Context, in *idIn) (*one[AgentSecurity], error) {
	totp, expired, err := s.deps.Staff.AgentSecurity(ctx, CallerFrom(ctx), in.ID)
	return answer(AgentSecurity{TOTP: totp, PasswordExpired: expired}, err)
}

func (s *Server) agentSessionList(ctx context.Context, in *idIn) (*listed[staff.Session], error) {
	return whole(s.deps.Staff.AgentSessions(ctx, CallerFrom(ctx), in.ID))
}

func (s *Server) agentSessionEndAll(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Staff.EndAgentSessions(ctx, CallerFrom(ctx), in.ID, 0))
}

type agentSessionIn struct {
	ID      ids.ID `path:"id"`
	Session ids.ID `path:"session"`
}

func (s *Server) agentSessionEnd(ctx context.Context, in *agentSessionIn) (*nothing, error) {
	if in.Session == 0 {
		return nil, errs.New(errs.NotFound, "There is no such session.")
	}
	return done(s.deps.Staff.EndAgentSessions(ctx, CallerFrom(ctx), in.ID, in.Session))
}
