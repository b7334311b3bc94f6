package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/internal/postgres"
)

// A backup goes into another cluster, whose transaction numbers start low: clients who have seen what came after the
// backup are told to read anew, and then everything goes on.
func TestRestoreIntoAnotherCluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	old := cluster(t)
	cfg := config(t)
	cfg.DatabaseURL = must[string](t)(old.Database(ctx, "parley"))
	w := world(t, cfg)
	ch := telegram(t, w, nil)
	user := w.Fake.NewUser("Sara Bekele", "am")
	user.Send("before the move")
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Bekele"))
	for range 300 { // the old cluster's numbers run ahead
		check(t, w.Admin.JSON(ctx, "PUT", "/api/me/status", map[string]string{"status": "away"}, nil))
		check(t, w.Admin.JSON(ctx, "PUT", "/api/me/status", map[string]string{"status": "online"}, nil))
	}
	dump := filepath.Join(old.Dir(), "dump")
	check(t, old.Tool(ctx, "pg_dump", "--format=custom", "--file="+dump, old.Admin("parley")))
	l := live(t, w.Admin, "")
	user.Send("lost with the old cluster")
	f, err := l.WaitEvent(ctx, "message.created", nil)
	check(t, err)
	check(t, w.Hub.Stop(ctx))

	fresh := cluster(t)
	url := must[string](t)(fresh.Database(ctx, "parley"))
	check(t, fresh.Tool(ctx, "pg_restore", "--exit-on-error", "--dbname="+fresh.Admin("parley"), dump))
	check(t, rig.WithConn(ctx, url, func(c *pgx.Conn) error {
		_, err := postgres.BumpEpoch(ctx, c)
		return err
	}))
	check(t, w.Hub.Move(url))
	check(t, w.Hub.Start(ctx))

	l = live(t, w.Admin, f.Cursor)
	if l.Greeting.Type != "snapshot" {
		t.Errorf("a cursor that the backup does not know was greeted with %s", l.Greeting.Type)
	}
	items := must[[]rig.Item](t)(rig.Timeline(ctx, w.Admin, conv.ID))
	if len(items) == 0 || items[0].Text != "before the move" {
		t.Errorf("the timeline is %+v", items)
	}
	_ = must[rig.Channel](t)(w.ChannelUp(ctx, ch.ID))
	user.Send("after the move")
	f, err = l.WaitEvent(ctx, "message.created", func(f rig.Frame) bool { return strings.Contains(string(f.Data), "after the move") })
	check(t, err)
	sent := must[rig.Item](t)(rig.Say(ctx, w.Admin, conv.ID, "welcome back", nil))
	arrives(t, user, "welcome back")
	waitStatus(t, w.Admin, sent, "sent")
	again := live(t, w.Admin, f.Cursor)
	if again.Greeting.Type != "ready" {
		t.Errorf("a cursor of the new cluster was greeted with %s", again.Greeting.Type)
	}
}
