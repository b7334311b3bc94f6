package web

import (
	"context"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/ids"
)

func (s *Server) viewList(ctx context.Context, _ *struct{}) (*listed[inbox.View], error) {
	return whole(s.deps.Desk.Views(ctx, CallerFrom(ctx)))
}

func (s *Server) viewCreate(ctx context.Context, in *struct{ Body inbox.ViewInput }) (*one[inbox.View], error) {
	return answer(s.deps.Desk.CreateView(ctx, CallerFrom(ctx), in.Body))
}

type viewUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		inbox.ViewInput
		Version int `json:"version" minimum:"1"`
	}
}

func (s *Server) viewUpdate(ctx context.Context, in *viewUpdateIn) (*one[inbox.View], error) {
	return answer(s.deps.Desk.UpdateView(ctx, CallerFrom(ctx), in.ID, in.Body.Version, in.Body.ViewInput))
}

func (s *Server) viewDelete(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Desk.DeleteView(ctx, CallerFrom(ctx), in.ID))
}
