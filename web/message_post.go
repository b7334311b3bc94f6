package web

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/ids"
)

type messagePostIn struct {
	ID   ids.ID `path:"id"`
	Body struct {
		ID           uuid.UUID       `json:"id" doc:"made by the client; the same id is the same message"`
		Text         string          `json:"text" maxLength:"400000"`
		HTML         string          `json:"html,omitempty" maxLength:"400000" doc:"formatted form: b i u s code pre a blockquote"`
		Attachments  []uuid.UUID     `json:"attachments,omitempty" nullable:"false" maxItems:"10" doc:"ids of uploads"`
		ChannelID    *ids.ID         `json:"channel_id,omitempty" doc:"another channel of the same person"`
		Note         bool            `json:"note,omitempty" doc:"for colleagues only"`
		ReplyTo      *uuid.UUID      `json:"reply_to,omitempty"`
		SendAt       *time.Time      `json:"send_at,omitempty"`
		Seen         *uuid.UUID      `json:"seen,omitempty" doc:"the newest item on the screen; something newer answers 409 with reason unseen"`
		Close        bool            `json:"close,omitempty" doc:"close the conversation with it"`
		Mentions     []inbox.Mention `json:"mentions,omitempty" nullable:"false" maxItems:"20" doc:"whom a note names"`
		DraftVersion int             `json:"draft_version,omitempty" minimum:"0" doc:"the newest version of the saved draft that the sender knows: it ends with the send"`
		MailFields
	}
}

// MailFields are what a message has on a channel with subject and recipients; others refuse them.
type MailFields struct {
	Subject   string     `json:"subject,omitempty" maxLength:"2000" doc:"none = the conversation's, as an answer"`
	To        []Mailbox  `json:"to,omitempty" nullable:"false" maxItems:"50" doc:"none at all = whoever is answered"`
	Cc        []Mailbox  `json:"cc,omitempty" nullable:"false" maxItems:"50"`
	Bcc       []Mailbox  `json:"bcc,omitempty" nullable:"false" maxItems:"50"`
	ForwardOf *uuid.UUID `json:"forward_of,omitempty" doc:"a message that is quoted below the text, with its files"`
}

// Mailbox is a name with an address.
type Mailbox struct {
	Name    string `json:"name,omitempty" maxLength:"800"`
	Address string `json:"address" maxLength:"320"`
}

func (f MailFields) put(d *inbox.Draft) {
	d.Subject, d.ForwardOf = f.Subject, f.ForwardOf
	d.To, d.Cc, d.Bcc = mailboxes(f.To), mailboxes(f.Cc), mailboxes(f.Bcc)
}

func mailboxes(list []Mailbox) []channels.Mailbox {
	var out []channels.Mailbox
	for _, b := range list {
		out = append(out, channels.Mailbox{Name: b.Name, Address: b.Address})
	}
	return out
}

func (s *Server) messagePost(ctx context.Context, in *messagePostIn) (*one[inbox.Item], error) {
	b := in.Body
	d := inbox.Draft{
		ID: b.ID, Text: b.Text, HTML: b.HTML, Attachments: b.Attachments, ChannelID: b.ChannelID, Note: b.Note, ReplyTo: b.ReplyTo,
		SendAt: b.SendAt, Seen: b.Seen, Close: b.Close,
		Mentions: b.Mentions, DraftVersion: b.DraftVersion,
	}
	b.put(&d)
	return answer(s.deps.Desk.Post(ctx, CallerFrom(ctx), in.ID, d))
}

type conversationStartIn struct {
	Body struct {
		ID          uuid.UUID   `json:"id" doc:"of the first message, made by the client; the same id is the same message"`
		ChannelID   ids.ID      `json:"channel_id"`
		ContactID   *ids.ID     `json:"contact_id,omitempty" doc:"whom to write to when no recipient is named"`
		Text        string      `json:"text" maxLength:"400000"`
		HTML        string      `json:"html,omitempty" maxLength:"400000"`
		Attachments []uuid.UUID `json:"attachments,omitempty" nullable:"false" maxItems:"10" doc:"ids of uploads"`
		SendAt      *time.Time  `json:"send_at,omitempty"`
		MailFields
	}
}

func (s *Server) conversationStart(ctx context.Context, in *conversationStartIn) (*one[inbox.Conversation], error) {
	b := in.Body
	n := inbox.NewTalk{Draft: inbox.Draft{ID: b.ID, Text: b.Text, HTML: b.HTML, Attachments: b.Attachments, ChannelID: &b.ChannelID, SendAt: b.SendAt}, ContactID: b.ContactID}
	b.put(&n.Draft)
	return answer(s.deps.Desk.Start(ctx, CallerFrom(ctx), n))
}

type sentIn struct {
	ID      ids.ID    `path:"id"`
	Message uuid.UUID `path:"message"`
}

type messageEditIn struct {
	ID      ids.ID    `path:"id"`
	Message uuid.UUID `path:"message"`
	Body    struct {
		Text string `json:"text" maxLength:"400000"`
		HTML string `json:"html,omitempty" maxLength:"400000"`
	}
}

func (s *Server) messageEdit(ctx context.Context, in *messageEditIn) (*one[inbox.Item], error) {
	return answer(s.deps.Desk.EditMessage(ctx, CallerFrom(ctx), in.ID, in.Message, in.Body.Text, in.Body.HTML))
}

func (s *Server) messageDelete(ctx context.Context, in *sentIn) (*one[inbox.Item], error) {
	return answer(s.deps.Desk.DeleteMessage(ctx, CallerFrom(ctx), in.ID, in.Message))
}

func (s *Server) messageCancel(ctx context.Context, in *sentIn) (*one[inbox.Item], error) {
	return answer(s.deps.Desk.Cancel(ctx, CallerFrom(ctx), in.ID, in.Message))
}

func (s *Server) messageRetry(ctx context.Context, in *sentIn) (*one[inbox.Item], error) {
	return answer(s.deps.Desk.Retry(ctx, CallerFrom(ctx), in.ID, in.Message))
}

type messageResolveIn struct {
	ID      ids.ID    `path:"id"`
	Message uuid.UUID `path:"message"`
	Body    struct {
		Sent bool `json:"sent" doc:"true: it arrived; false: send it again"`
	}
}

func (s *Server) messageResolve(ctx context.Context, in *messageResolveIn) (*one[inbox.Item], error) {
	return answer(s.deps.Desk.Resolve(ctx, CallerFrom(ctx), in.ID, in.Message, in.Body.Sent))
}

type messageReactIn struct {
	ID      ids.ID    `path:"id"`
	Message uuid.UUID `path:"message"`
	Body    struct {
		Emoji string `json:"emoji" maxLength:"64" doc:"\"\" takes it away"`
	}
}

func (s *Server) messageReact(ctx context.Context, in *messageReactIn) (*one[inbox.Item], error) {
	return answer(s.deps.Desk.React(ctx, CallerFrom(ctx), in.ID, in.Message, in.Body.Emoji))
}

type outboxIn struct {
	Page
	State string `query:"state" enum:"queued,failed,uncertain" default:"failed"`
}

func (s *Server) outboxList(ctx context.Context, in *outboxIn) (*listed[inbox.Trouble], error) {
	var before int64
	if err := in.after(&before); err != nil {
		return nil, err
	}
	rows, next, err := s.deps.Desk.Outbox(ctx, CallerFrom(ctx), in.State, before, in.Limit)
	if err != nil {
		return nil, err
	}
	if next == 0 {
		return listedWith(rows, "", nil)
	}
	return listedWith(rows, cursorOf(next), nil)
}
