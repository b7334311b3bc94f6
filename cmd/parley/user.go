package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/staff"
)

func userCommands() []command {
	return []command{
		{
			name: "user create", help: "make an account; the password is read from standard input", run: userCreate,
			flags: func(fs *flag.FlagSet) {
				fs.String("email", "", "address to sign in with")
				fs.String("name", "", "name that colleagues and customers see")
				fs.String("role", string(staff.Admin), "admin, supervisor, agent or auditor")
				fs.String("scope", string(staff.ScopeAll), "what the account sees: own, team or all")
			},
		},
		{name: "user list", help: "list the accounts", run: userList},
		{
			name: "user reset-password", help: "print a link that lets an account choose a new password", run: userReset,
			flags: func(fs *flag.FlagSet) { fs.String("email", "", "address of the account") },
		},
		{
			name: "user remove-second-factor", help: "let an account sign in by its password alone", run: userRemoveFactor,
			flags: func(fs *flag.FlagSet) { fs.String("email", "", "address of the account") },
		},
	}
}

// withStaff gives fn the room of the people who work, on the database of these settings.
func withStaff(ctx context.Context, c call, fn func(s *staff.Service) error) error {
	return withDatabase(ctx, c, func(pool *pgxpool.Pool) error {
		// A running server notices by itself within a second: this bus only reaches ourselves.
		b, err := bus.Embedded(c.log)
		if err != nil {
			return err
		}
		defer b.Close()
		return fn(staff.New(staff.Config{BaseURL: c.cfg.PublicURL("")}, pool, b, c.log))
	})
}

func userCreate(ctx context.Context, c call) error {
	if c.flag("email") == "" || c.flag("name") == "" {
		return errors.New("user create: --email and --name are needed")
	}
	// Never as a flag: the list of processes shows flags to everybody on the machine.
	password, err := bufio.NewReader(c.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the password: %w", err)
	}
	password = strings.TrimRight(password, "\r\n")
	if password == "" {
		return errors.New("user create: give the password as one line of standard input")
	}
	return withStaff(ctx, c, func(s *staff.Service) error {
		a, err := s.CreateAgent(ctx, c.flag("email"), c.flag("name"), password, staff.Role(c.flag("role")), staff.Scope(c.flag("scope")))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "made %s %s (%s, id %s)\n", a.Role, a.Email, a.Name, a.ID)
		return err
	})
}

func userList(ctx context.Context, c call) error {
	return withStaff(ctx, c, func(s *staff.Service) error {
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "ID\tE-MAIL\tNAME\tROLE\tSCOPE\tSTATE")
		for page, err := s.Agents(ctx, 0, 100); ; page, err = s.Agents(ctx, page[len(page)-1].ID, 100) {
			if err != nil {
				return err
			}
			for _, a := range page {
				state := string(a.Status)
				if a.Disabled {
					state = "disabled"
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.ID, a.Email, a.Name, a.Role, a.Scope, state)
			}
			if len(page) < 100 {
				return w.Flush()
			}
		}
	})
}

func userReset(ctx context.Context, c call) error {
	if c.flag("email") == "" {
		return errors.New("user reset-password: --email is needed")
	}
	return withStaff(ctx, c, func(s *staff.Service) error {
		link, err := s.ResetLink(ctx, c.flag("email"))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "works once, for a day, and ends every session of the account:\n%s\n", link)
		return err
	})
}

func userRemoveFactor(ctx context.Context, c call) error {
	if c.flag("email") == "" {
		return errors.New("user remove-second-factor: --email is needed")
	}
	return withStaff(ctx, c, func(s *staff.Service) error {
		if err := s.RemoveTOTPOf(ctx, c.flag("email")); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.out, "the second factor is removed, and every session of the account is over")
		return err
	})
}
