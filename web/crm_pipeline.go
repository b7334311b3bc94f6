package web

import (
	"context"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/ids"
)

func (s *Server) pipelineList(ctx context.Context, _ *struct{}) (*listed[crm.Pipeline], error) {
	return whole(s.deps.CRM.Pipelines(ctx))
}

type stageIn struct {
	ID      *ids.ID `json:"id,omitempty" doc:"of a stage that is there; left out for a new one"`
	Name    string  `json:"name" maxLength:"400"`
	Kind    string  `json:"kind" enum:"incoming,open,won,lost"`
	RotDays int     `json:"rot_days,omitempty" minimum:"0" maximum:"3650"`
}

func stagesOf(list []stageIn) []crm.StageInput {
	if list == nil {
		return nil
	}
	out := make([]crm.StageInput, len(list))
	for i, s := range list {
		out[i] = crm.StageInput{ID: ids.Of(s.ID), Name: s.Name, Kind: s.Kind, RotDays: s.RotDays}
	}
	return out
}

type pipelineCreateIn struct {
	Body struct {
		Name     string    `json:"name" maxLength:"400"`
		Currency *string   `json:"currency,omitempty" maxLength:"3" doc:"ISO 4217; USD when it is left out"`
		Stages   []stageIn `json:"stages" maxItems:"20" nullable:"false"`
	}
}

func (s *Server) pipelineCreate(ctx context.Context, in *pipelineCreateIn) (*one[crm.Pipeline], error) {
	b := in.Body
	return answer(s.deps.CRM.CreatePipeline(ctx, CallerFrom(ctx).Actor(), crm.PipelineInput{Name: &b.Name, Currency: b.Currency, Stages: stagesOf(b.Stages)}))
}

type pipelineUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Version   int       `json:"version" minimum:"1"`
		Name      *string   `json:"name,omitempty" maxLength:"400"`
		Currency  *string   `json:"currency,omitempty" maxLength:"3"`
		IsDefault bool      `json:"is_default,omitempty" doc:"true makes it the default one; the other stops being it"`
		Stages    []stageIn `json:"stages,omitempty" maxItems:"20" nullable:"false" doc:"the whole list in its order"`
	}
}

func (s *Server) pipelineUpdate(ctx context.Context, in *pipelineUpdateIn) (*one[crm.Pipeline], error) {
	b := in.Body
	return answer(s.deps.CRM.UpdatePipeline(ctx, CallerFrom(ctx).Actor(), int64(in.ID), crm.PipelineInput{
		Version: b.Version, Name: b.Name, Currency: b.Currency, Default: b.IsDefault, Stages: stagesOf(b.Stages),
	}))
}
