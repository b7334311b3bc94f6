package web

import (
	"context"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/ids"
)

// LeadFilterIn narrows leads, alike for the list and for the totals.
type LeadFilterIn struct {
	Pipeline ids.ID `query:"pipeline"`
	Owner    string `query:"owner" pattern:"^(none|[0-9]{1,18})?$" doc:"an agent's id, or none"`
	Source   string `query:"source" pattern:"^([a-z][a-z0-9_]{0,31})?$" doc:"kind of channel"`
	Q        string `query:"q" maxLength:"200" doc:"words in the title or the contact's name"`
}

func (in LeadFilterIn) filter() crm.LeadFilter {
	f := crm.LeadFilter{Pipeline: int64(in.Pipeline), Source: in.Source, Words: in.Q, Unowned: in.Owner == "none"}
	if owner, err := ids.Parse(in.Owner); err == nil {
		f.Owner = int64(owner)
	}
	return f
}

type leadListIn struct {
	Page
	LeadFilterIn
	Contact ids.ID `query:"contact"`
	Stage   ids.ID `query:"stage"`
}

func (s *Server) leadList(ctx context.Context, in *leadListIn) (*listed[crm.Lead], error) {
	var after crm.LeadKey
	if err := in.after(&after); err != nil {
		return nil, err
	}
	f := in.filter()
	f.Contact, f.Stage = int64(in.Contact), int64(in.Stage)
	rows, err := s.deps.CRM.Leads(ctx, f, after, in.Limit+1)
	return list(rows, err, in.Page, func(l crm.Lead) any { return crm.LeadKey{At: l.UpdatedAt, ID: l.ID} })
}

func (s *Server) leadTotals(ctx context.Context, in *LeadFilterIn) (*listed[crm.StageTotal], error) {
	return whole(s.deps.CRM.StageTotals(ctx, in.filter()))
}

type leadCreateIn struct {
	Body struct {
		ContactID  ids.ID  `json:"contact_id"`
		PipelineID *ids.ID `json:"pipeline_id,omitempty" doc:"the default one when it is left out"`
		Title      string  `json:"title,omitempty" maxLength:"800"`
		OwnerID    *ids.ID `json:"owner_id,omitempty"`
		Amount     int64   `json:"amount,omitempty" minimum:"0" maximum:"1000000000000" doc:"in hundredths of the pipeline's currency"`
	}
}

func (s *Server) leadCreate(ctx context.Context, in *leadCreateIn) (*one[crm.Lead], error) {
	b := in.Body
	return answer(s.deps.CRM.CreateLead(ctx, CallerFrom(ctx).Actor(), crm.NewLead{
		Contact: b.ContactID, Pipeline: ids.Of(b.PipelineID), Title: b.Title, Owner: ids.Of(b.OwnerID), Amount: b.Amount,
	}))
}

type leadUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Version int       `json:"version" minimum:"1"`
		StageID *ids.ID   `json:"stage_id,omitempty"`
		OwnerID ids.Patch `json:"owner_id,omitempty"`
		Title   *string   `json:"title,omitempty" maxLength:"800"`
		Amount  *int64    `json:"amount,omitempty" minimum:"0" maximum:"1000000000000" doc:"in hundredths of the pipeline's currency; 0 = not known"`
	}
}

func (s *Server) leadUpdate(ctx context.Context, in *leadUpdateIn) (*one[crm.Lead], error) {
	b := in.Body
	return answer(s.deps.CRM.UpdateLead(ctx, CallerFrom(ctx).Actor(), int64(in.ID), crm.LeadPatch{
		Version: b.Version, Stage: b.StageID, Owner: b.OwnerID, Title: b.Title, Amount: b.Amount,
	}))
}
