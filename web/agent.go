package web

import (
	"context"
	"time"

	"github.com/parley-hub/parley/internal/ids"
	"github.com/parley-hub/parley/staff"
)

// BigPage is the page of short lists that a screen wants whole: people, teams, hours.
type BigPage struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"500"`
	Cursor string `query:"cursor" maxLength:"1000"`
}

// byID makes the answer of a list in order of id.
func byID[T any](p BigPage, id func(T) ids.ID, read func(after ids.ID, limit int) ([]T, error)) (*listed[T], error) {
	pg := Page(p)
	var after ids.ID
	if err := pg.after(&after); err != nil {
		return nil, err
	}
	rows, err := read(after, p.Limit+1)
	return list(rows, err, pg, func(v T) any { return id(v) })
}

func (s *Server) agentList(ctx context.Context, in *struct{ BigPage }) (*listed[staff.Agent], error) {
	return byID(in.BigPage, func(a staff.Agent) ids.ID { return a.ID }, func(after ids.ID, n int) ([]staff.Agent, error) {
		return s.deps.Staff.Agents(ctx, after, n)
	})
}

func (s *Server) agentShow(ctx context.Context, in *idIn) (*one[staff.Agent], error) {
	return answer(s.deps.Staff.Agent(ctx, in.ID))
}

type agentUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body staff.AgentPatch
}

func (s *Server) agentUpdate(ctx context.Context, in *agentUpdateIn) (*one[staff.Agent], error) {
	return answer(s.deps.Staff.UpdateAgent(ctx, CallerFrom(ctx), in.ID, in.Body))
}

func (s *Server) teamList(ctx context.Context, in *struct{ BigPage }) (*listed[staff.Team], error) {
	return byID(in.BigPage, func(t staff.Team) ids.ID { return t.ID }, func(after ids.ID, n int) ([]staff.Team, error) {
		return s.deps.Staff.Teams(ctx, after, n)
	})
}

type teamIn struct{ Body staff.TeamPatch }

func (s *Server) teamCreate(ctx context.Context, in *teamIn) (*one[staff.Team], error) {
	return answer(s.deps.Staff.CreateTeam(ctx, CallerFrom(ctx), in.Body))
}

type teamUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body staff.TeamPatch
}

func (s *Server) teamUpdate(ctx context.Context, in *teamUpdateIn) (*one[staff.Team], error) {
	return answer(s.deps.Staff.UpdateTeam(ctx, CallerFrom(ctx), in.ID, in.Body))
}

func (s *Server) teamDelete(ctx context.Context, in *idIn) (*nothing, error) {
	if err := s.deps.Desk.ReleaseTeam(ctx, CallerFrom(ctx), in.ID); err != nil {
		return nil, err
	}
	return done(s.deps.Staff.DeleteTeam(ctx, CallerFrom(ctx), in.ID))
}

func (s *Server) hoursList(ctx context.Context, in *struct{ BigPage }) (*listed[staff.Hours], error) {
	return byID(in.BigPage, func(h staff.Hours) ids.ID { return h.ID }, func(after ids.ID, n int) ([]staff.Hours, error) {
		return s.deps.Staff.Hours(ctx, after, n)
	})
}

type hoursIn struct{ Body staff.HoursPatch }

func (s *Server) hoursCreate(ctx context.Context, in *hoursIn) (*one[staff.Hours], error) {
	return answer(s.deps.Staff.CreateHours(ctx, CallerFrom(ctx), in.Body))
}

type hoursUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body staff.HoursPatch
}

func (s *Server) hoursUpdate(ctx context.Context, in *hoursUpdateIn) (*one[staff.Hours], error) {
	return answer(s.deps.Staff.UpdateHours(ctx, CallerFrom(ctx), in.ID, in.Body))
}

func (s *Server) hoursDelete(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Staff.DeleteHours(ctx, CallerFrom(ctx), in.ID))
}

type absenceListIn struct {
	BigPage
	Agent ids.ID `query:"agent"`
}

func (s *Server) absenceList(ctx context.Context, in *absenceListIn) (*listed[staff.Absence], error) {
	return byID(in.BigPage, func(a staff.Absence) ids.ID { return a.ID }, func(after ids.ID, n int) ([]staff.Absence, error) {
		return s.deps.Staff.Absences(ctx, CallerFrom(ctx), in.Agent, after, n)
	})
}

type absenceIn struct {
	Body struct {
		AgentID ids.ID    `json:"agent_id"`
		From    time.Time `json:"from"`
		To      time.Time `json:"to"`
		Reason  string    `json:"reason,omitempty" maxLength:"2000"`
	}
}

func (s *Server) absenceCreate(ctx context.Context, in *absenceIn) (*one[staff.Absence], error) {
	b := in.Body
	return answer(s.deps.Staff.CreateAbsence(ctx, CallerFrom(ctx),
		staff.Absence{AgentID: b.AgentID, From: b.From, To: b.To, Reason: b.Reason}))
}

func (s *Server) absenceDelete(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Staff.DeleteAbsence(ctx, CallerFrom(ctx), in.ID))
}

func (s *Server) settingsShow(ctx context.Context, _ *struct{}) (*one[staff.Settings], error) {
	set, err := s.deps.Staff.Settings(ctx)
	if !CallerFrom(ctx).Can(staff.ManageSettings) {
		set.PasswordWords, set.ClamdAddress = []string{}, "" // nobody's business
	}
	return answer(set, err)
}

type settingsIn struct{ Body staff.SettingsPatch }

func (s *Server) settingsUpdate(ctx context.Context, in *settingsIn) (*one[staff.Settings], error) {
	if in.Body.Guards() {
		if err := s.fresh(ctx); err != nil {
			return nil, err
		}
	}
	return answer(s.deps.Staff.UpdateSettings(ctx, CallerFrom(ctx), in.Body))
}
