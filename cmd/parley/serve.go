package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/parley-hub/parley/internal/events"
)

func serveCommand() command {
	return command{name: "serve", help: "run the server", run: func(ctx context.Context, c call) error {
		return serve(ctx, c, nil)
	}}
}

// serve runs the hub until ctx ends or a part of it fails. ready, when set, is called once it answers.
func serve(ctx context.Context, c call, ready func(ctx context.Context, h *hub) error) (err error) {
	began := time.Now()
	if err := c.refuse(); err != nil {
		return err
	}
	h, err := startHub(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		stopping := time.Now()
		h.services.stop()
		c.log.Info("stopped", "took", time.Since(stopping))
	}()
	c.log.InfoContext(ctx, "serving", "address", h.url, "version", version, "took", time.Since(began))
	if err := h.greet(ctx, c); err != nil {
		return err
	}
	if ready != nil {
		if err := ready(ctx, h); err != nil {
			return err
		}
	}
	return h.services.wait(ctx)
}

// firstAdmin makes the admin that the settings name, if there is none.
func (h *hub) firstAdmin(ctx context.Context, c call) error {
	if c.cfg.AdminEmail == "" {
		return nil
	}
	made, err := h.staff.EnsureAdmin(ctx, c.cfg.AdminEmail, c.cfg.AdminPassword)
	if err != nil {
		return fmt.Errorf("make the first admin: %w", err)
	}
	if made {
		c.log.InfoContext(ctx, "first admin made from the settings")
	}
	return nil
}

// greet prints where the hub is, and the link that makes the first admin where there is none.
func (h *hub) greet(ctx context.Context, c call) error {
	link, needed, err := h.staff.EnsureSetupLink(ctx)
	if err != nil {
		return fmt.Errorf("make the set-up link: %w", err)
	}
	file := setupFile(c.cfg.DataDir)
	if !needed {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_, err = fmt.Fprintf(c.out, "\n  Parley is at %s\n\n", h.url)
		return err
	}
	// A new file: one that is there may have been opened to others.
	_ = os.Remove(file)
	if err := os.WriteFile(file, []byte(link+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the set-up link: %w", err)
	}
	_, err = fmt.Fprintf(c.out, "\n  Parley is at %s\n\n  Nobody has an account yet. This link makes the first admin, once, within a day:\n  %s\n\n", h.url, link)
	return err
}

func setupFile(dataDir string) string { return filepath.Join(dataDir, "setup-url") }

// forgetSetup removes the file with the link as soon as there is an account, whichever node made it.
func forgetSetup(dataDir string) func([]events.Event) {
	return func(evs []events.Event) {
		for i := range evs {
			if evs[i].Kind == "agent.created" {
				_ = os.Remove(setupFile(dataDir)) // the link in it is dead; the next start removes it otherwise
				return
			}
		}
	}
}
