package web

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

type timelineIn struct {
	ID     ids.ID `path:"id"`
	Before string `query:"before" maxLength:"100" doc:"a cursor: what is older"`
	After  string `query:"after" maxLength:"100" doc:"a cursor: what is newer"`
	Around string `query:"around" maxLength:"100" doc:"a cursor or a message's id"`
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
}

func (in *timelineIn) query() inbox.TimelineQuery {
	return inbox.TimelineQuery{Before: in.Before, After: in.After, Around: in.Around, Limit: in.Limit}
}

func (s *Server) conversationTimeline(ctx context.Context, in *timelineIn) (*one[inbox.Timeline], error) {
	return answer(s.deps.Desk.Timeline(ctx, CallerFrom(ctx), in.ID, in.query()))
}

// contactTimeline follows merges: the address of a contact that was merged shows the survivor's.
func (s *Server) contactTimeline(ctx context.Context, in *timelineIn) (*one[inbox.Timeline], error) {
	id, err := crm.Survivor(ctx, s.deps.Pool, int64(in.ID))
	if err != nil {
		return nil, err
	}
	return answer(s.deps.Desk.ContactTimeline(ctx, CallerFrom(ctx), ids.ID(id), in.query()))
}

func (s *Server) messageShow(ctx context.Context, in *sentIn) (*one[inbox.Item], error) {
	return answer(s.deps.Desk.Message(ctx, CallerFrom(ctx), in.ID, in.Message))
}

func (s *Server) messageRevisions(ctx context.Context, in *sentIn) (*listed[inbox.Revision], error) {
	return whole(s.deps.Desk.Revisions(ctx, CallerFrom(ctx), in.ID, in.Message))
}

// messageRaw gives out the provider's bytes as a file: what a stranger wrote is never shown as a page of ours.
func (s *Server) messageRaw(w http.ResponseWriter, r *http.Request) error {
	id, err := ids.Parse(r.PathValue("id"))
	if err != nil {
		return errs.Field("path.id", "is not an id")
	}
	message, err := uuid.Parse(r.PathValue("message"))
	if err != nil {
		return errs.Field("path.message", "is not an id")
	}
	b, err := s.deps.Desk.Raw(r.Context(), CallerFrom(r.Context()), id, message)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="message-`+message.String()+`.txt"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	_, err = w.Write(b)
	return err
}
