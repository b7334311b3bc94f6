package e2e

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/internal/dbtest"
)

// From an empty directory to an answered customer, on the built-in database, through kill -9.
func TestNewcomer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := filepath.Join(dbtest.DataDir(t), "data")
	h, err := rig.NewHub(ctx, rig.Config{Binary: binary, DataDir: dir})
	check(t, err)
	t.Cleanup(func() { check(t, h.Close(context.Background())) })
	check(t, h.Start(ctx))

	// The link makes the first admin, once.
	var link []byte
	check(t, rig.Until(ctx, "the set-up link", rig.Patience, func() (bool, error) {
		link, err = os.ReadFile(filepath.Join(dir, "setup-url"))
		return err == nil && len(link) > 0, nil
	}))
	token, err := rig.TokenOf(string(link))
	check(t, err)
	if !strings.HasPrefix(string(link), h.URL+"/setup?token=") {
		t.Errorf("the link is %s, the hub at %s", link, h.URL)
	}
	admin := rig.NewClient(h.URL)
	t.Cleanup(admin.Close)
	setup := map[string]string{
		"token": token, "name": "Ann", "email": "ann@hub.test", "password": rig.Password, "workspace_name": "Shop", "locale": "en",
	}
	var me rig.Me
	check(t, admin.Post(ctx, "/api/setup", setup, &me))
	if me.Agent.Role != "admin" || me.Agent.Name != "Ann" {
		t.Errorf("the first account is %+v", me.Agent)
	}
	again := rig.NewClient(h.URL)
	t.Cleanup(again.Close)
	if err := again.Post(ctx, "/api/setup", setup, nil); err == nil {
		t.Error("the link worked twice")
	}
	if _, err := os.Stat(filepath.Join(dir, "setup-url")); err == nil {
		t.Error("setup-url is still there")
	}

	fake, err := tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(fake.Close)
	w := &rig.World{Hub: h, Admin: admin, Fake: fake}
	ch := telegram(t, w, nil)
	if ch.Settings["token"] != "" || !slices.Contains(ch.SettingsSet, "token") {
		t.Errorf("the channel's settings are %v, set %v", ch.Settings, ch.SettingsSet)
	}
	l := live(t, admin, "")
	check(t, l.Send(map[string]string{"type": "status", "status": "online"}))

	// A stranger writes.
	user := fake.NewUser("Sara Bekele", "am")
	user.Send("Is the blue one in stock?")
	ev, err := l.WaitEvent(ctx, "message.created", func(f rig.Frame) bool { return strings.Contains(string(f.Data), "blue one") })
	check(t, err)
	var item rig.Item
	check(t, json.Unmarshal(ev.Data, &item))
	if item.Direction != "in" || item.Text != "Is the blue one in stock?" || ev.ConversationID == nil || *ev.ConversationID != item.ConversationID {
		t.Errorf("the event shows %+v in %v", item, ev.ConversationID)
	}
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, admin, "Sara Bekele"))
	if conv.ID != item.ConversationID || conv.ChannelID != ch.ID || conv.Status != "open" || conv.Unread != 1 {
		t.Errorf("the conversation is %+v", conv)
	}
	var contact rig.Contact
	check(t, admin.Get(ctx, "/api/contacts/"+conv.Contact.ID, &contact))
	if len(contact.Leads) != 1 || contact.Leads[0].Source != "telegram" || len(contact.Identities) != 1 || contact.Identities[0].Kind != "telegram" {
		t.Errorf("the contact is %+v", contact)
	}

	// The agent answers.
	sent := must[rig.Item](t)(rig.Say(ctx, admin, conv.ID, "Yes, two of them.", nil))
	arrives(t, user, "Yes, two of them.")
	waitStatus(t, admin, sent, "sent")

	// All is there after a kill, and a second start does not make anything anew.
	before := must[[]rig.Item](t)(rig.Timeline(ctx, admin, conv.ID))
	check(t, h.Restart(ctx))
	t.Logf("second start took %s", h.Took.Round(time.Millisecond))
	after := must[[]rig.Item](t)(rig.Timeline(ctx, admin, conv.ID))
	if !slices.EqualFunc(before, after, func(a, b rig.Item) bool { return a.ID == b.ID && a.Text == b.Text && a.Status == b.Status }) {
		t.Errorf("the timeline was\n%+v\nand is\n%+v", before, after)
	}
	if strings.Count(h.Log(), "database cluster made") != 1 {
		t.Error("the second start made the database anew")
	}
	_ = must[rig.Channel](t)(w.ChannelUp(ctx, ch.ID))
	l2 := live(t, admin, l.Cursor())
	if l2.Greeting.Type != "ready" {
		t.Errorf("the socket was greeted with %s after the kill", l2.Greeting.Type)
	}
	user.Send("Thank you!")
	_, err = l2.WaitEvent(ctx, "message.created", func(f rig.Frame) bool { return strings.Contains(string(f.Data), "Thank you!") })
	check(t, err)
	check(t, h.Stop(ctx))
}

// arrives waits until the customer has got a text, once.
func arrives(t *testing.T, u *tgfake.User, text string) {
	t.Helper()
	check(t, rig.Until(t.Context(), "the customer gets "+text, rig.Patience, func() (bool, error) {
		return slices.Contains(u.Texts(), text), nil
	}))
	if n := count(u.Texts(), text); n != 1 {
		t.Errorf("the customer got %q %d times", text, n)
	}
}

func count[T comparable](list []T, v T) (n int) {
	for _, x := range list {
		if x == v {
			n++
		}
	}
	return n
}

// waitStatus waits until a message of ours has a status.
func waitStatus(t *testing.T, c *rig.Client, item rig.Item, status string) {
	t.Helper()
	var now rig.Item
	err := rig.Until(t.Context(), "the message is "+status, rig.Patience, func() (bool, error) {
		err := c.Get(t.Context(), "/api/conversations/"+item.ConversationID+"/messages/"+item.ID, &now)
		return now.Status == status, err
	})
	if err != nil {
		t.Fatalf("%v; it is %s %s", err, now.Status, now.Error)
	}
}
