package web

import (
	"context"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

type linkIn struct {
	Token string `query:"token" maxLength:"200"`
}

// SetupState tells the screen whether the first admin is missing.
type SetupState struct {
	Needed bool `json:"needed"`
	Valid  bool `json:"valid" doc:"the token is that of a living link"`
}

func (s *Server) setupState(ctx context.Context, in *linkIn) (*one[SetupState], error) {
	needed, valid, err := s.deps.Staff.SetupState(ctx, in.Token)
	return answer(SetupState{Needed: needed, Valid: valid}, err)
}

type setupIn struct {
	Body struct {
		Token         string `json:"token" maxLength:"200"`
		Name          string `json:"name" maxLength:"400"`
		Email         string `json:"email" maxLength:"1000"`
		Password      string `json:"password" maxLength:"4096"`
		WorkspaceName string `json:"workspace_name,omitempty" maxLength:"400"`
		Locale        string `json:"locale,omitempty" enum:"en,ru,am"`
	}
}

func (s *Server) setup(ctx context.Context, in *setupIn) (*signedInAs, error) {
	b := in.Body
	token, by, err := s.deps.Staff.SetUp(ctx, b.Token, staff.Setup{
		Newcomer: staff.Newcomer{Name: b.Name, Password: b.Password, Locale: b.Locale}, Email: b.Email, WorkspaceName: b.WorkspaceName,
	}, ClientFrom(ctx))
	return s.open(ctx, token, by, err)
}

// InvitationShown is what the holder of a link sees before he accepts.
type InvitationShown struct {
	Email string     `json:"email"`
	Name  string     `json:"name"`
	Role  staff.Role `json:"role"`
}

func (s *Server) invitationShow(ctx context.Context, in *linkIn) (*one[InvitationShown], error) {
	inv, err := s.deps.Staff.InvitationByToken(ctx, in.Token)
	return answer(InvitationShown{Email: inv.Email, Name: inv.Name, Role: inv.Role}, err)
}

type acceptIn struct {
	Body struct {
		Token    string `json:"token" maxLength:"200"`
		Name     string `json:"name,omitempty" maxLength:"400"`
		Password string `json:"password" maxLength:"4096"`
		Locale   string `json:"locale,omitempty" enum:"en,ru,am"`
		Totp     string `json:"totp,omitempty" maxLength:"40" doc:"as at sign-in, for a new password of an account with a second factor"`
	}
}

func (s *Server) invitationAccept(ctx context.Context, in *acceptIn) (*signedInAs, error) {
	b := in.Body
	token, by, err := s.deps.Staff.AcceptInvitation(ctx, b.Token,
		staff.Newcomer{Name: b.Name, Password: b.Password, Locale: b.Locale, Code: b.Totp}, ClientFrom(ctx))
	return s.open(ctx, token, by, err)
}

func (s *Server) invitationList(ctx context.Context, in *struct{ BigPage }) (*listed[staff.Invitation], error) {
	return byID(in.BigPage, func(i staff.Invitation) ids.ID { return i.ID }, func(after ids.ID, n int) ([]staff.Invitation, error) {
		return s.deps.Staff.Invitations(ctx, after, n)
	})
}

type inviteIn struct {
	Body struct {
		Email   string      `json:"email" maxLength:"1000"`
		Name    string      `json:"name,omitempty" maxLength:"400"`
		Role    staff.Role  `json:"role,omitempty" enum:"admin,supervisor,agent,auditor" default:"agent"`
		Scope   staff.Scope `json:"scope,omitempty" enum:"own,team,all" default:"team"`
		TeamIDs []ids.ID    `json:"team_ids,omitempty" maxItems:"1000"`
	}
}

func (s *Server) invitationCreate(ctx context.Context, in *inviteIn) (*one[staff.Invitation], error) {
	b := in.Body
	return answer(s.deps.Staff.Invite(ctx, CallerFrom(ctx),
		staff.Invitation{Email: b.Email, Name: b.Name, Role: b.Role, Scope: b.Scope, TeamIDs: b.TeamIDs}))
}

func (s *Server) invitationRevoke(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Staff.RevokeInvitation(ctx, CallerFrom(ctx), in.ID))
}
