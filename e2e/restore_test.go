package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/internal/dbtest"
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

// A backup that is taken while everybody writes is whole: restored into another cluster it holds one moment, what the
// provider tells again completes it without doubling, and no customer gets an answer for the second time.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	old, fresh := cluster(t), cluster(t)
	cfg := config(t)
	cfg.DatabaseURL = must[string](t)(old.Database(ctx, "parley"))
	w := world(t, cfg)
	telegram(t, w, nil)
	const users = 20
	d := rig.Drill{Messages: 800, Users: users, DB: cfg.DatabaseURL}
	r, err := w.RestoreUnderLoad(ctx, d, must[string](t)(fresh.Database(ctx, "parley")))
	check(t, err)
	t.Logf("%+v", r)
	if !r.Good(users) {
		t.Errorf("the restored hub is not what it was: %+v", r)
	}
	if err := w.Admin.Get(ctx, "/api/me", nil); rig.StatusOf(err) != 401 {
		t.Errorf("a session came back with the backup: %v", err)
	}
	check(t, w.Admin.Login(ctx, rig.AdminEmail, rig.Password))
	if out, err := w.Hub.Run("restore", filepath.Join(filepath.Dir(w.Hub.LogFile), "backup.tar.gz")); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("a hub in use was overwritten: %s", out)
	}
}

// From the built-in database of one machine to that of another, files and key with it.
func TestBackupOfTheBuiltInDatabase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := dbtest.DataDir(t)
	w := world(t, rig.Config{Binary: binary, DataDir: filepath.Join(dir, "old")})
	telegram(t, w, nil)
	user := w.Fake.NewUser("Sara Bekele", "am")
	user.Send("keep this")
	conv := must[rig.Conversation](t)(rig.ConversationOf(ctx, w.Admin, "Sara Bekele"))
	up := must[rig.Attachment](t)(w.Admin.Upload(ctx, "note.txt", "text/plain", []byte("the file that came along")))
	item := must[rig.Item](t)(rig.Say(ctx, w.Admin, conv.ID, "see the file", map[string]any{"attachments": []string{up.ID}}))
	waitStatus(t, w.Admin, item, "sent")
	file := filepath.Join(dir, "backup")
	out := must[string](t)(w.Hub.Run("backup", file))
	if !strings.Contains(out, "1 files") || !strings.Contains(out, "NOT inside") {
		t.Errorf("backup said %s", out)
	}
	if out, err := w.Hub.Run("restore", file); err == nil || !strings.Contains(out, "is running") {
		t.Errorf("restore beside a running hub said %s", out)
	}

	key := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "old", "secret.key")))
	check(t, w.Hub.Stop(ctx))
	h := must[*rig.Hub](t)(rig.NewHub(ctx, rig.Config{Binary: binary, DataDir: filepath.Join(dir, "new")}))
	t.Cleanup(func() { check(t, h.Close(context.Background())) })
	out = must[string](t)(h.Run("restore", file))
	if !strings.Contains(out, "secret.key") {
		t.Errorf("restore did not ask for the key: %s", out)
	}
	check(t, os.WriteFile(filepath.Join(dir, "new", "secret.key"), key, 0o600))
	check(t, h.Start(ctx))
	c := rig.NewClient(h.URL)
	t.Cleanup(c.Close)
	check(t, c.Login(ctx, rig.AdminEmail, rig.Password))
	items := must[[]rig.Item](t)(rig.Timeline(ctx, c, conv.ID))
	var texts []string
	for _, i := range items {
		texts = append(texts, i.Text)
	}
	if !slices.Contains(texts, "keep this") || !slices.Contains(texts, "see the file") {
		t.Errorf("the timeline is %q", texts)
	}
	user.Send("and this") // the channel's token was opened with the key
	check(t, rig.Until(ctx, "the moved channel hears", rig.Patience, func() (bool, error) {
		items, err := rig.Timeline(ctx, c, conv.ID)
		return len(items) > len(texts), err
	}))
}
