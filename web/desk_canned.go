package web

import (
	"context"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/ids"
)

// CannedBody is a canned answer as somebody writes it.
type CannedBody struct {
	Scope       string      `json:"scope" enum:"own,team,all"`
	TeamID      *ids.ID     `json:"team_id,omitempty" nullable:"true"`
	Shortcut    string      `json:"shortcut,omitempty" maxLength:"130"`
	Title       string      `json:"title" maxLength:"400"`
	Text        string      `json:"text,omitempty" maxLength:"80000" doc:"may hold {{contact.name}}, {{contact.first_name}}, {{agent.name}}, {{conversation.number}}"`
	Attachments []uuid.UUID `json:"attachments,omitempty" nullable:"false" maxItems:"10" doc:"files that it has, and new uploads"`
}

func (b CannedBody) input() inbox.CannedInput {
	return inbox.CannedInput{Scope: b.Scope, TeamID: b.TeamID, Shortcut: b.Shortcut, Title: b.Title, Text: b.Text, Attachments: b.Attachments}
}

func (s *Server) cannedList(ctx context.Context, _ *struct{}) (*listed[inbox.Canned], error) {
	return whole(s.deps.Desk.CannedAnswers(ctx, CallerFrom(ctx)))
}

func (s *Server) cannedCreate(ctx context.Context, in *struct{ Body CannedBody }) (*one[inbox.Canned], error) {
	return answer(s.deps.Desk.CreateCanned(ctx, CallerFrom(ctx), in.Body.input()))
}

type cannedUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		CannedBody
		Version int `json:"version" minimum:"1"`
	}
}

func (s *Server) cannedUpdate(ctx context.Context, in *cannedUpdateIn) (*one[inbox.Canned], error) {
	return answer(s.deps.Desk.UpdateCanned(ctx, CallerFrom(ctx), in.ID, in.Body.Version, in.Body.input()))
}

func (s *Server) cannedDelete(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Desk.DeleteCanned(ctx, CallerFrom(ctx), in.ID))
}

func (s *Server) cannedUse(ctx context.Context, in *idIn) (*listed[inbox.Attachment], error) {
	return whole(s.deps.Desk.UseCanned(ctx, CallerFrom(ctx), in.ID))
}
