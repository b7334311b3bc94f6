package rig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
)

// The first admin of a World.
const (
	AdminEmail = "admin@hub.test"
	Password   = "correct horse battery staple"
)

// World is a hub with an admin, and a Bot API server beside it.
type World struct {
	Hub   *Hub
	Admin *Client
	Me    Agent
	Fake  *tgfake.Server

	clients []*Client
}

// NewWorld starts a hub that has its admin already and sends without the pause in which a message can be taken back.
func NewWorld(ctx context.Context, cfg Config) (w *World, err error) {
	cfg.Env = append([]string{"PARLEY_ADMIN_EMAIL=" + AdminEmail, "PARLEY_ADMIN_PASSWORD=" + Password}, cfg.Env...)
	w = &World{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close(context.WithoutCancel(ctx)))
			w = nil
		}
	}()
	if w.Fake, err = tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler)); err != nil {
		return w, err
	}
	w.Fake.WebhookRetry = 20 * time.Millisecond
	if w.Hub, err = NewHub(ctx, cfg); err != nil {
		return w, err
	}
	if err := w.Hub.Start(ctx); err != nil {
		return w, err
	}
	w.Admin = w.Client()
	if err := w.Admin.Login(ctx, AdminEmail, Password); err != nil {
		return w, err
	}
	var me Me
	if err := w.Admin.Get(ctx, "/api/me", &me); err != nil {
		return w, err
	}
	w.Me = me.Agent
	return w, w.Admin.Patch(ctx, "/api/settings", map[string]any{"undo_seconds": 0}, nil)
}

// Client is one more client of the hub, closed with the world.
func (w *World) Client() *Client {
	c := NewClient(w.Hub.URL)
	w.clients = append(w.clients, c)
	return c
}

// Close ends everything.
func (w *World) Close(ctx context.Context) error {
	for _, c := range w.clients {
		c.Close()
	}
	var err error
	if w.Hub != nil {
		err = w.Hub.Close(ctx)
	}
	if w.Fake != nil {
		w.Fake.Close()
	}
	return err
}

// Telegram makes a channel of the fake's first bot and waits until it is up. more are further fields of the channel.
func (w *World) Telegram(ctx context.Context, settings, more map[string]any) (Channel, error) {
	set := map[string]any{"token": tgfake.Token, "mode": "poll", "api_url": w.Fake.URL()}
	for k, v := range settings {
		set[k] = v
	}
	in := map[string]any{"kind": "telegram", "name": "Shop", "settings": set}
	for k, v := range more {
		in[k] = v
	}
	var ch Channel
	if err := w.Admin.Post(ctx, "/api/channels", in, &ch); err != nil {
		return ch, err
	}
	return w.ChannelUp(ctx, ch.ID)
}

// ChannelUp waits until a channel works.
func (w *World) ChannelUp(ctx context.Context, id string) (ch Channel, err error) {
	err = Until(ctx, "the channel is up", Patience, func() (bool, error) {
		err := w.Admin.Get(ctx, "/api/channels/"+id, &ch)
		return ch.State == "up", err
	})
	if err != nil {
		err = fmt.Errorf("%w (%s: %s)", err, ch.State, ch.Reason)
	}
	return ch, err
}

// Invite makes an agent who accepts at once, and returns him signed in.
func (w *World) Invite(ctx context.Context, name, role, scope string, teams ...string) (*Client, Agent, error) {
	email := strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@hub.test"
	var inv struct {
		Link string `json:"link"`
	}
	in := map[string]any{"email": email, "name": name, "role": role, "scope": scope, "team_ids": append([]string{}, teams...)}
	if err := w.Admin.Post(ctx, "/api/invitations", in, &inv); err != nil {
		return nil, Agent{}, err
	}
	token, err := TokenOf(inv.Link)
	if err != nil {
		return nil, Agent{}, err
	}
	c := w.Client()
	var me Me
	accept := map[string]string{"token": token, "name": name, "password": Password, "locale": "en"}
	if err := c.Post(ctx, "/api/invitations/accept", accept, &me); err != nil {
		return nil, Agent{}, err
	}
	return c, me.Agent, nil
}

// TokenOf is the token of a link.
func TokenOf(link string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(link))
	if err != nil {
		return "", err
	}
	if t := u.Query().Get("token"); t != "" {
		return t, nil
	}
	return "", fmt.Errorf("no token in %q", link)
}

// Say posts a message into a conversation under an id of its own and returns the item.
func Say(ctx context.Context, c *Client, conversation, text string, more map[string]any) (Item, error) {
	in := map[string]any{"id": uuid.NewString(), "text": text}
	for k, v := range more {
		in[k] = v
	}
	var item Item
	err := c.Post(ctx, "/api/conversations/"+conversation+"/messages", in, &item)
	return item, err
}

// ConversationOf waits for a contact's conversation by his name.
func ConversationOf(ctx context.Context, c *Client, name string) (conv Conversation, err error) {
	err = Until(ctx, "a conversation of "+name, Patience, func() (bool, error) {
		list, err := All[Conversation](ctx, c, "/api/conversations?view=all&q="+url.QueryEscape(name))
		if err != nil {
			return false, err
		}
		for _, k := range list {
			if k.Contact.Name == name {
				conv = k
				return true, nil
			}
		}
		return false, nil
	})
	return conv, err
}
