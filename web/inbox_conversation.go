package web

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
)

type conversationListIn struct {
	Page
	View     string `query:"view" maxLength:"40" doc:"mine, unassigned, all, waiting, snoozed, closed, mentions, team: with an id, or saved: with an id"`
	Team     ids.ID `query:"team"`
	Assignee string `query:"assignee" maxLength:"20" doc:"an agent's id, me or none"`
	Status   string `query:"status" enum:"open,waiting,snoozed,closed,"`
	Channel  ids.ID `query:"channel"`
	Tag      string `query:"tag" maxLength:"200"`
	Search   string `query:"q" maxLength:"800" doc:"a piece of the contact's name or address; phone numbers in any spelling"`
}

func (s *Server) conversationList(ctx context.Context, in *conversationListIn) (*listed[inbox.Conversation], error) {
	return listedWith(s.deps.Desk.Conversations(ctx, CallerFrom(ctx), inbox.ListQuery{
		View: in.View, Team: in.Team, Assignee: in.Assignee, Status: inbox.Status(in.Status), Channel: in.Channel, Tag: in.Tag,
		Search: in.Search, Limit: in.Limit, Cursor: in.Cursor,
	}))
}

func (s *Server) conversationShow(ctx context.Context, in *idIn) (*one[inbox.Conversation], error) {
	return answer(s.deps.Desk.Conversation(ctx, CallerFrom(ctx), in.ID))
}

type conversationUpdateIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		Version      *int       `json:"version,omitempty" minimum:"1" doc:"refuse the change when the conversation is newer"`
		Status       *string    `json:"status,omitempty" enum:"open,waiting,snoozed,closed"`
		SnoozedUntil *time.Time `json:"snoozed_until,omitempty" nullable:"true"`
		AssigneeID   ids.Patch  `json:"assignee_id,omitempty" doc:"empty = nobody; oneself without version = take it if nobody has it"`
		TeamID       ids.Patch  `json:"team_id,omitempty"`
		Priority     *int       `json:"priority,omitempty" minimum:"0" maximum:"3"`
		Tags         *[]string  `json:"tags,omitempty" maxItems:"100"`
	}
}

func (s *Server) conversationUpdate(ctx context.Context, in *conversationUpdateIn) (*one[inbox.Conversation], error) {
	b := in.Body
	return answer(s.deps.Desk.UpdateConversation(ctx, CallerFrom(ctx), in.ID, inbox.ConversationPatch{
		Version: b.Version, Status: (*inbox.Status)(b.Status), SnoozedUntil: b.SnoozedUntil, Assignee: b.AssigneeID, Team: b.TeamID,
		Priority: b.Priority, Tags: b.Tags,
	}))
}

type conversationReadIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		MessageID uuid.UUID `json:"message_id" doc:"the newest item that was read"`
	}
}

func (s *Server) conversationRead(ctx context.Context, in *conversationReadIn) (*nothing, error) {
	return done(s.deps.Desk.MarkRead(ctx, CallerFrom(ctx), in.ID, in.Body.MessageID))
}

func (s *Server) counts(ctx context.Context, _ *struct{}) (*one[inbox.Counts], error) {
	if s.deps.Sidebar == nil {
		return nil, errs.New(errs.Unavailable, "The counts are not running.")
	}
	return answer(s.deps.Sidebar.Counts(CallerFrom(ctx)), nil)
}

func (s *Server) tagList(ctx context.Context, _ *struct{}) (*listed[inbox.Tag], error) {
	return whole(s.deps.Desk.Tags(ctx))
}
