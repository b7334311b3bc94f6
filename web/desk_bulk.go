package web

import (
	"context"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/ids"
)

type bulkIn struct {
	Body struct {
		IDs    []ids.ID         `json:"ids,omitempty" nullable:"false" maxItems:"10000" doc:"these conversations"`
		View   string           `json:"view,omitempty" maxLength:"40" doc:"or all that a view lists, at most 10,000"`
		Change inbox.BulkChange `json:"change"`
	}
}

func (s *Server) bulkStart(ctx context.Context, in *bulkIn) (*one[inbox.Bulk], error) {
	return answer(s.deps.Desk.StartBulk(ctx, CallerFrom(ctx), in.Body.IDs, in.Body.View, in.Body.Change))
}

func (s *Server) bulkList(ctx context.Context, _ *struct{}) (*listed[inbox.Bulk], error) {
	return whole(s.deps.Desk.Bulks(ctx, CallerFrom(ctx)))
}

func (s *Server) bulkUndo(ctx context.Context, in *idIn) (*one[inbox.Bulk], error) {
	return answer(s.deps.Desk.UndoBulk(ctx, CallerFrom(ctx), in.ID))
}

type bulkFailuresIn struct {
	ID ids.ID `path:"id"`
	Page
}

func (s *Server) bulkFailures(ctx context.Context, in *bulkFailuresIn) (*listed[inbox.BulkFailure], error) {
	var after int
	if err := in.after(&after); err != nil {
		return nil, err
	}
	rows, err := s.deps.Desk.BulkFailures(ctx, CallerFrom(ctx), in.ID, after, in.Limit+1)
	return list(rows, err, in.Page, func(f inbox.BulkFailure) any { return f.No })
}
