package web

import (
	"context"

	"github.com/parley-hub/parley/inbox/notify"
	"github.com/parley-hub/parley/internal/ids"
)

func (s *Server) notificationList(ctx context.Context, in *Page) (*listed[notify.Notification], error) {
	var after notify.Key
	if err := in.after(&after); err != nil {
		return nil, err
	}
	rows, err := s.deps.Notify.List(ctx, CallerFrom(ctx), after, in.Limit+1)
	return list(rows, err, *in, func(n notify.Notification) any { return notify.Key{At: n.At, ID: n.ID} })
}

// Unread is how many notifications are unread; 100 means that or more.
type Unread struct {
	Unread int `json:"unread"`
}

func (s *Server) notificationUnread(ctx context.Context, _ *struct{}) (*one[Unread], error) {
	n, err := s.deps.Notify.Unread(ctx, CallerFrom(ctx))
	return answer(Unread{Unread: n}, err)
}

type notificationReadIn struct {
	Body struct {
		IDs            []ids.ID `json:"ids,omitempty" nullable:"false" maxItems:"200"`
		ConversationID *ids.ID  `json:"conversation_id,omitempty" nullable:"true"`
		All            bool     `json:"all,omitempty"`
	}
}

func (s *Server) notificationRead(ctx context.Context, in *notificationReadIn) (*nothing, error) {
	return done(s.deps.Notify.Read(ctx, CallerFrom(ctx), notify.ReadWhat{
		IDs: in.Body.IDs, Conversation: ids.Of(in.Body.ConversationID), All: in.Body.All,
	}))
}

func (s *Server) notifySettings(ctx context.Context, _ *struct{}) (*one[notify.Settings], error) {
	return answer(s.deps.Notify.Settings(ctx, CallerFrom(ctx)))
}

func (s *Server) notifySettingsPut(ctx context.Context, in *struct{ Body notify.Settings }) (*one[notify.Settings], error) {
	return answer(s.deps.Notify.SetSettings(ctx, CallerFrom(ctx), in.Body))
}

// PushKey is the hub's public key for push services.
type PushKey struct {
	Key string `json:"key" doc:"base64url, for applicationServerKey"`
}

func (s *Server) pushKey(ctx context.Context, _ *struct{}) (*one[PushKey], error) {
	key, err := s.deps.Notify.PublicKey(ctx)
	return answer(PushKey{Key: key}, err)
}

type pushSubscribeIn struct {
	UserAgent string `header:"User-Agent"`
	Body      struct {
		Endpoint string `json:"endpoint" maxLength:"2048"`
		Keys     struct {
			P256dh string `json:"p256dh" maxLength:"200"`
			Auth   string `json:"auth" maxLength:"100"`
		} `json:"keys"`
	}
}

// PushDevice is a device that is told.
type PushDevice struct {
	ID ids.ID `json:"id"`
}

func (s *Server) pushSubscribe(ctx context.Context, in *pushSubscribeIn) (*one[PushDevice], error) {
	id, err := s.deps.Notify.Subscribe(ctx, CallerFrom(ctx), notify.Subscription{
		Endpoint: in.Body.Endpoint, P256dh: in.Body.Keys.P256dh, Auth: in.Body.Keys.Auth, UserAgent: in.UserAgent,
	})
	return answer(PushDevice{ID: id}, err)
}

func (s *Server) pushUnsubscribe(ctx context.Context, in *idIn) (*nothing, error) {
	return done(s.deps.Notify.Unsubscribe(ctx, CallerFrom(ctx), in.ID))
}
