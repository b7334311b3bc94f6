package web

import (
	"context"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/ids"
)

type leadListIn struct {
	Page
	Contact ids.ID `query:"contact"`
	Stage   ids.ID `query:"stage"`
}

func (s *Server) leadList(ctx context.Context, in *leadListIn) (*listed[crm.Lead], error) {
	var after crm.LeadKey
	if err := in.after(&after); err != nil {
		return nil, err
	}
	rows, err := s.deps.CRM.Leads(ctx, int64(in.Contact), int64(in.Stage), after, in.Limit+1)
	return list(rows, err, in.Page, func(l crm.Lead) any { return crm.LeadKey{At: l.UpdatedAt, ID: l.ID} })
}

type leadCreateIn struct {
	Body struct {
		ContactID  ids.ID  `json:"contact_id"`
		PipelineID *ids.ID `json:"pipeline_id,omitempty" doc:"the default one when it is left out"`
		Title      string  `json:"title,omitempty" maxLength:"800"`
		OwnerID    *ids.ID `json:"owner_id,omitempty"`
	}
}

func (s *Server) leadCreate(ctx context.Context, in *leadCreateIn) (*one[crm.Lead], error) {
	b := in.Body
	return answer(s.deps.CRM.CreateLead(ctx, CallerFrom(ctx).Actor(), crm.NewLead{
		Contact: b.ContactID, Pipeline: ids.Of(b.PipelineID), Title: b.Title, Owner: ids.Of(b.OwnerID),
	}))
}

type leadUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Version int       `json:"version" minimum:"1"`
		StageID *ids.ID   `json:"stage_id,omitempty"`
		OwnerID ids.Patch `json:"owner_id,omitempty"`
		Title   *string   `json:"title,omitempty" maxLength:"800"`
	}
}

func (s *Server) leadUpdate(ctx context.Context, in *leadUpdateIn) (*one[crm.Lead], error) {
	b := in.Body
	return answer(s.deps.CRM.UpdateLead(ctx, CallerFrom(ctx).Actor(), int64(in.ID), crm.LeadPatch{
		Version: b.Version, Stage: b.StageID, Owner: b.OwnerID, Title: b.Title,
	}))
}

func (s *Server) pipelineList(ctx context.Context, _ *struct{}) (*listed[crm.Pipeline], error) {
	return whole(s.deps.CRM.Pipelines(ctx))
}
