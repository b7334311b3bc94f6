package crm

import (
	"context"

	"github.com/parley-hub/parley/internal/events"
)

// UndoEither takes back one merge, or all that were asked for together, by the id that was given out: batches have odd
// numbers and merges even ones, so that an id says which it is. It answers a contact that stands alone again.
func (s *Service) UndoEither(ctx context.Context, by events.Actor, id int64) (int64, error) {
	if id%2 == 0 {
		return s.Undo(ctx, by, id)
	}
	alone, err := s.UndoBatch(ctx, by, id)
	if err != nil {
		return 0, err
	}
	return alone[len(alone)-1], nil
}
