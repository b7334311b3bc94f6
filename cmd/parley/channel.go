package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/email"
	"github.com/parley-hub/parley/channels/telegram"
	"github.com/parley-hub/parley/channels/webform"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/config"
	"github.com/parley-hub/parley/internal/egress"
	"github.com/parley-hub/parley/staff"
)

// channelKinds are the ways in which customers reach the hub: the one place that names them.
func channelKinds(cfg config.Config) map[string]channels.Kind {
	kinds := map[string]channels.Kind{}
	for _, k := range []channels.Kind{telegram.Kind(), email.Kind(mailSettings(cfg)), webform.Kind()} {
		kinds[k.Name] = k
	}
	return kinds
}

// mailSettings finds the settings of a mail provider, at hosts that the address names: never in our own house.
func mailSettings(cfg config.Config) *email.Suggester {
	var g egress.Guard
	for _, s := range cfg.EgressAllow {
		if p, err := netip.ParsePrefix(strings.TrimSpace(s)); err == nil { // the settings were checked
			g.Allow = append(g.Allow, p)
		}
	}
	return &email.Suggester{Client: g.Client(10 * time.Second), DNS: net.DefaultResolver}
}

func channelCommands() []command {
	return []command{
		{name: "channel list", help: "list the channels with their state", run: channelList},
		{
			name: "channel add", help: "add a channel; its settings are read as JSON from standard input", run: channelAdd,
			flags: func(fs *flag.FlagSet) {
				fs.String("kind", "", "telegram, email or webform")
				fs.String("name", "", "name that colleagues see")
			},
		},
	}
}

// operator is whoever has a shell on this machine: he could change the database as well.
func operator() staff.Access {
	return staff.Access{Name: "operator", Role: staff.Admin, Scope: staff.ScopeAll, Fresh: true}
}

func withChannels(ctx context.Context, c call, fn func(ch *inbox.Channels) error) error {
	return withDatabase(ctx, c, func(pool *pgxpool.Pool) error {
		box, err := openBox(ctx, c.cfg, c.log)
		if err != nil {
			return err
		}
		// A running server looks for new channels by itself: this bus only reaches ourselves.
		b, err := bus.Embedded(c.log)
		if err != nil {
			return err
		}
		defer b.Close()
		return fn(inbox.NewChannels(pool, b, box, channelKinds(c.cfg), c.cfg.PublicURL(""), c.log))
	})
}

func channelList(ctx context.Context, c call) error {
	return withChannels(ctx, c, func(ch *inbox.Channels) error {
		list, err := ch.List(ctx, operator())
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "ID\tKIND\tNAME\tSTATE\tQUEUED\tFAILED\tUNCERTAIN\tQUARANTINED\tREASON")
		for _, x := range list {
			state := x.State
			if !x.Enabled {
				state = "disabled"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", x.ID, x.Kind, x.Name, state, x.Queued, x.Failed, x.Uncertain, x.Quarantined, x.Reason)
		}
		return w.Flush()
	})
}

func channelAdd(ctx context.Context, c call) error {
	if c.flag("kind") == "" || c.flag("name") == "" {
		return errors.New("channel add: --kind and --name are needed, and the settings as JSON on standard input")
	}
	var settings map[string]any
	// Never as flags: the list of processes shows flags to everybody on the machine.
	if err := json.NewDecoder(io.LimitReader(c.in, 1<<20)).Decode(&settings); err != nil {
		return fmt.Errorf("read the settings from standard input: %w", err)
	}
	return withChannels(ctx, c, func(ch *inbox.Channels) error {
		x, err := ch.Create(ctx, operator(), inbox.NewChannel{Kind: c.flag("kind"), Name: c.flag("name"), Settings: settings})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "added channel %s (%s, id %s); a running server connects it within seconds\n", x.Name, x.Kind, x.ID)
		return err
	})
}
