package e2e

import (
	"testing"

	"github.com/parley-hub/parley/e2e/rig"
)

// Whatever the moment of a kill: each message that a customer sent is stored, once, with one contact, one lead and one
// conversation for each customer.
func TestKillInbound(t *testing.T) {
	t.Parallel()
	for mode, settings := range map[string]map[string]any{
		"poll":    nil,
		"webhook": {"mode": "webhook", "webhook_secret": "canary_hook_secret"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			w := world(t, cfg)
			_ = must[rig.Channel](t)(w.Telegram(t.Context(), settings, nil))
			d := rig.Drill{Messages: pick(600, 10_000), Kills: pick(12, 100), Users: pick(20, 100), DB: cfg.DatabaseURL}
			r, err := w.KillInbound(t.Context(), d)
			check(t, err)
			t.Logf("%+v", r)
			if !r.Good(d.Users) {
				t.Errorf("messages went wrong: %+v", r)
			}
		})
	}
}

// Whatever the moment of a kill: an answer that the hub accepted arrives once, or is in the list of those of which
// nobody knows, from where somebody sends it or marks it sent.
func TestKillOutbound(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	w := world(t, cfg)
	telegram(t, w, nil)
	d := rig.Drill{Messages: pick(300, 3000), Kills: pick(12, 70), Users: 20, DB: cfg.DatabaseURL}
	r, err := w.KillOutbound(t.Context(), d)
	check(t, err)
	t.Logf("%+v", r)
	if !r.Good() {
		t.Errorf("answers went wrong: %+v", r)
	}
}
