package e2e

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/parley-hub/parley/channels/telegram/tgfake"
	"github.com/parley-hub/parley/e2e/rig"
)

// TestBrowser runs the browser's tests (web/ui/e2e) against a new hub, which has nobody yet: they go through the set-up
// link, make the first account with the address and password below, and connect a channel to the fake Bot API.
//
//	PARLEY_E2E_URL                      the hub
//	PARLEY_E2E_SETUP_URL                the link that makes the first admin
//	PARLEY_E2E_EMAIL, _PASSWORD         what he is to be called
//	PARLEY_E2E_TELEGRAM_URL, _TOKEN     the fake Bot API, its customers under /control/, and its bot
//
// What they are told about mail stands at browserMail. PARLEY_E2E_SPECS, when set, is what is run of them: "inbox-axe screens:18".
//
// It is not parallel to the other tests: a browser on a busy machine would be too slow for its own deadlines.
func TestBrowser(t *testing.T) {
	root, err := rig.Root()
	check(t, err)
	ui := filepath.Join(root, "web", "ui")
	playwright := filepath.Join(ui, "node_modules", ".bin", "playwright")
	browser := cmp.Or(os.Getenv("PARLEY_E2E_CHROMIUM"), "/usr/bin/chromium")
	for _, needed := range []string{playwright, filepath.Join(ui, "dist", "index.html"), browser} {
		if _, err := os.Stat(needed); err != nil {
			t.Skipf("%v: make e2e builds the front end and fetches what its tests need", err)
		}
	}
	ctx := t.Context()
	cfg := config(t)
	h, err := rig.NewHub(ctx, cfg)
	check(t, err)
	t.Cleanup(func() { check(t, h.Close(context.Background())) })
	check(t, h.Start(ctx))
	fake, err := tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	check(t, err)
	t.Cleanup(fake.Close)
	var link []byte
	check(t, rig.Until(ctx, "the set-up link", rig.Patience, func() (bool, error) {
		link, err = os.ReadFile(filepath.Join(cfg.DataDir, "setup-url"))
		return err == nil && len(link) > 0, nil
	}))

	args := append([]string{"test"}, strings.Fields(os.Getenv("PARLEY_E2E_SPECS"))...)
	c := exec.Command(playwright, args...) //nolint:noctx // rig.Run ends it in good order
	c.Dir = ui
	c.Env = append(os.Environ(), "PARLEY_E2E_URL="+h.URL, "PARLEY_E2E_SETUP_URL="+strings.TrimSpace(string(link)),
		"PARLEY_E2E_EMAIL="+rig.AdminEmail, "PARLEY_E2E_PASSWORD="+rig.Password,
		"PARLEY_E2E_TELEGRAM_URL="+fake.URL(), "PARLEY_E2E_TELEGRAM_TOKEN="+tgfake.Token, "PARLEY_E2E_CHROMIUM="+browser, "CI=1", "FORCE_COLOR=0")
	c.Env = append(c.Env, browserMail(t)...)
	c.Stdout, c.Stderr = t.Output(), t.Output()
	if err := rig.Run(ctx, c); err != nil {
		t.Fatalf("playwright: %v\nthe hub printed:\n%s", err, h.LogTail())
	}
	// What the tests keep is named after the hub's address, which nobody meets again.
	mine := regexp.MustCompile(`\W+`).ReplaceAllString(h.URL, "_")
	check(t, os.RemoveAll(filepath.Join(ui, "test-results", mine)))
	check(t, os.RemoveAll(filepath.Join(ui, "e2e", ".state", mine+".json")))
}
