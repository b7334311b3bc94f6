package web

import (
	"context"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/ids"
)

func (s *Server) draftList(ctx context.Context, _ *struct{}) (*listed[inbox.SavedDraft], error) {
	return whole(s.deps.Desk.Drafts(ctx, CallerFrom(ctx)))
}

func (s *Server) draftShow(ctx context.Context, in *idIn) (*one[inbox.SavedDraft], error) {
	return answer(s.deps.Desk.DraftOf(ctx, CallerFrom(ctx), in.ID))
}

type draftSaveIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Version     int                `json:"version" minimum:"0" doc:"the newest that the caller knows, 0 = none; a newer one answers 409 with reason draft"`
		Text        string             `json:"text" maxLength:"400000"`
		HTML        string             `json:"html,omitempty" maxLength:"400000"`
		Note        bool               `json:"note,omitempty"`
		ChannelID   *ids.ID            `json:"channel_id,omitempty" nullable:"true"`
		ReplyTo     *uuid.UUID         `json:"reply_to,omitempty" nullable:"true"`
		Attachments []uuid.UUID        `json:"attachments,omitempty" nullable:"false" maxItems:"10" doc:"ids of uploads"`
		Mentions    []inbox.Mention    `json:"mentions,omitempty" nullable:"false" maxItems:"20"`
		Letter      *inbox.DraftLetter `json:"letter,omitempty"`
	}
}

func (s *Server) draftSave(ctx context.Context, in *draftSaveIn) (*one[inbox.SavedDraft], error) {
	b := in.Body
	return answer(s.deps.Desk.SaveDraft(ctx, CallerFrom(ctx), in.ID, b.Version, inbox.DraftText{
		Text: b.Text, HTML: b.HTML, Note: b.Note, ChannelID: b.ChannelID, ReplyTo: b.ReplyTo, Attachments: b.Attachments, Mentions: b.Mentions,
		Letter: b.Letter,
	}))
}

func (s *Server) mentionableList(ctx context.Context, in *idIn) (*listed[inbox.Mentionable], error) {
	return whole(s.deps.Desk.Mentionables(ctx, CallerFrom(ctx), in.ID))
}
