package e2e

import (
	"context"
	"os"
	"testing"

	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/internal/dbtest/testserver"
)

// cluster is a database server that can be crashed, in memory where there is room.
func cluster(t *testing.T, settings ...string) *rig.Postgres {
	t.Helper()
	parent := testserver.Memory()
	if parent == "" {
		parent = os.TempDir()
	}
	pg, err := rig.NewPostgres(t.Context(), parent, settings...)
	check(t, err)
	t.Cleanup(func() {
		if err := pg.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return pg
}

// The hub lives through crashes of its database: it says so, loses nothing that it acknowledged, and goes on by itself.
func TestDatabaseCrashes(t *testing.T) {
	t.Parallel()
	pg := cluster(t)
	cfg := config(t)
	cfg.DatabaseURL = must[string](t)(pg.Database(t.Context(), "parley"))
	w := world(t, cfg)
	telegram(t, w, nil)
	d := rig.Drill{Messages: pick(400, 6000), Kills: pick(4, 15), Users: 20, DB: cfg.DatabaseURL}
	r, err := w.CrashDatabase(t.Context(), pg, d)
	check(t, err)
	t.Logf("%+v", r)
	if !r.Good(d.Users) {
		t.Errorf("something that was acknowledged is gone: %+v", r)
	}
}
