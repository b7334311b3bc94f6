package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/parley-hub/parley/internal/config"
)

func configCommands() []command {
	return []command{
		{name: "config check", help: "say what is wrong with the settings", run: configCheck},
		{name: "config print", help: "print the settings in force, secrets hidden", run: func(_ context.Context, c call) error {
			return c.cfg.Print(c.out)
		}},
	}
}

func configCheck(_ context.Context, c call) error {
	problems := c.cfg.Check()
	for _, p := range problems {
		if _, err := fmt.Fprintln(c.out, p); err != nil {
			return err
		}
	}
	if config.Fatal(problems) {
		return errors.New("the settings are wrong")
	}
	_, err := fmt.Fprintln(c.out, "the settings are fine")
	return err
}
