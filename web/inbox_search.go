package web

import (
	"context"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/errs"
)

type searchIn struct {
	Text   string   `query:"q" maxLength:"800" doc:"words, \"words in a row\", -word, from: channel: in: has: before: after:"`
	Kinds  []string `query:"kinds" maxItems:"3" enum:"people,messages,files" doc:"none = all"`
	Limit  int      `query:"limit" minimum:"1" maximum:"50" default:"20" doc:"of each kind"`
	Cursor string   `query:"cursor" maxLength:"200" doc:"with one kind: what comes after"`
	Zone   string   `query:"zone" maxLength:"64" doc:"the time zone of days, as Europe/Berlin"`
}

func (s *Server) search(ctx context.Context, in *searchIn) (*one[inbox.Found], error) {
	if s.deps.Finder == nil {
		return nil, errs.New(errs.Unavailable, "The search is not running.")
	}
	return answer(s.deps.Finder.Search(ctx, CallerFrom(ctx), inbox.SearchQuery{
		Text: in.Text, Kinds: in.Kinds, Limit: in.Limit, Cursor: in.Cursor, Zone: in.Zone,
	}))
}
