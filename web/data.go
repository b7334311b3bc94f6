package web

import (
	"context"
	"mime"
	"net/http"

	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

type contactHoldIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Hold bool `json:"hold"`
	}
}

func (s *Server) contactHold(ctx context.Context, in *contactHoldIn) (*one[crm.Contact], error) {
	return answer(s.deps.CRM.SetHold(ctx, CallerFrom(ctx).Actor(), int64(in.ID), in.Body.Hold))
}

func (s *Server) contactExport(ctx context.Context, in *idIn) (*one[inbox.Export], error) {
	return answer(s.deps.Exports.Ask(ctx, CallerFrom(ctx), in.ID))
}

func (s *Server) exportList(ctx context.Context, _ *struct{}) (*listed[inbox.Export], error) {
	return whole(s.deps.Exports.List(ctx, CallerFrom(ctx)))
}

// exportFile gives a finished export out, with Range.
func (s *Server) exportFile(w http.ResponseWriter, r *http.Request) error {
	id, err := ids.Parse(r.PathValue("id"))
	if err != nil {
		return errs.New(errs.NotFound, "There is no such export.")
	}
	f, err := s.deps.Exports.Open(r.Context(), CallerFrom(r.Context()), id)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	http.ServeContent(w, r, "", f.At, f)
	return nil
}

func (s *Server) retentionShow(ctx context.Context, in *idIn) (*one[inbox.Retention], error) {
	return answer(s.deps.Keeper.Retention(ctx, CallerFrom(ctx), in.ID))
}

type retentionIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Version     int `json:"version" minimum:"1" doc:"of the channel"`
		MessageDays int `json:"message_days" minimum:"0" maximum:"36500"`
		RawDays     int `json:"raw_days" minimum:"0" maximum:"36500"`
		FileDays    int `json:"file_days" minimum:"0" maximum:"36500"`
	}
}

func (s *Server) retentionUpdate(ctx context.Context, in *retentionIn) (*one[inbox.Retention], error) {
	b := in.Body
	return answer(s.deps.Keeper.SetRetention(ctx, CallerFrom(ctx), inbox.Retention{
		ChannelID: in.ID, Version: b.Version, MessageDays: b.MessageDays, RawDays: b.RawDays, FileDays: b.FileDays,
	}))
}
