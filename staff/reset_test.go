package staff_test

import (
	"log/slog"
	"net/url"
	"testing"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/staff"
)

func TestResetLinkChangesThePasswordOnceAndEndsSessions(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Embedded(log)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s := staff.New(staff.Config{BaseURL: "http://hub.test"}, dbtest.DB(t), b, log)
	ctx, from := t.Context(), staff.Client{IP: "192.0.2.1"}
	if _, err := s.CreateAgent(ctx, "ann@hub.test", "Ann", "correct horse battery", staff.Admin, staff.ScopeAll); err != nil {
		t.Fatal(err)
	}
	old, _, err := s.Login(ctx, staff.Credentials{Email: "ann@hub.test", Password: "correct horse battery"}, "", from)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := s.ResetLink(ctx, "nobody@hub.test"); !errs.Is(err, errs.NotFound) {
		t.Errorf("a link for nobody: %v", err)
	}
	link, err := s.ResetLink(ctx, " Ann@hub.test ")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	token := u.Query().Get("token")
	if open, err := s.Invitations(ctx, 0, 10); err != nil || len(open) != 0 {
		t.Errorf("the link is listed as an invitation: %v, %v", open, err)
	}

	next := staff.Newcomer{Name: "Somebody else", Password: "another long password", Locale: "en"}
	_, access, err := s.AcceptInvitation(ctx, token, next, from)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := s.Agent(ctx, access.AgentID); err != nil || a.Email != "ann@hub.test" || a.Name != "Ann" {
		t.Errorf("signed in as %+v, %v; want Ann, unchanged", a, err)
	}
	if _, err := s.Authenticate(ctx, old); err == nil {
		t.Error("the old session is still open")
	}
	if _, _, err := s.Login(ctx, staff.Credentials{Email: "ann@hub.test", Password: "correct horse battery"}, "", from); err == nil {
		t.Error("the old password still works")
	}
	if _, _, err := s.Login(ctx, staff.Credentials{Email: "ann@hub.test", Password: next.Password}, "", from); err != nil {
		t.Errorf("the new password does not work: %v", err)
	}
	if _, _, err := s.AcceptInvitation(ctx, token, next, from); err == nil {
		t.Error("the link worked twice")
	}
}
