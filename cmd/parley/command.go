package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/parley-hub/parley/internal/config"
)

// version is set by the linker (make build).
var version = "dev"

// shell is what a command sees of the outside.
type shell struct {
	args     []string
	environ  []string
	in       io.Reader
	out, err io.Writer
}

// command is one subcommand.
type command struct {
	name  string // one or two words
	args  string // what comes after the flags
	help  string
	flags func(fs *flag.FlagSet) // its own flags, besides the settings
	run   func(ctx context.Context, c call) error
}

// call is a command with its settings read and checked.
type call struct {
	shell
	cfg  config.Config
	fs   *flag.FlagSet
	args []string
	log  *slog.Logger
}

// flag returns the value of a flag of the command itself.
func (c call) flag(name string) string { return c.fs.Lookup(name).Value.String() }

func commands() []command {
	return slices.Concat(
		[]command{serveCommand(), demoCommand()},
		userCommands(), channelCommands(), backupCommands(), configCommands(),
		[]command{healthCommand(), doctorCommand(), migrateCommand(), upgradeCommand(), openapiCommand()},
	)
}

// errUsage means that the command line is wrong and that this was said.
var errUsage = errors.New("usage")

// run is the program: it finds the command, runs it and returns the exit code.
func run(ctx context.Context, sh shell) int {
	// A closed terminal does not end a server; the second interrupt does what it does to any program.
	signal.Ignore(syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	err := dispatch(ctx, sh)
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, context.Canceled): // asked to stop, also while it starts
		return 0
	case errors.Is(err, errUsage):
		return 2
	default:
		_, _ = fmt.Fprintln(sh.err, "parley:", err)
		return 1
	}
}

func dispatch(ctx context.Context, sh shell) error {
	all := commands()
	name := strings.Join(sh.args[:min(1, len(sh.args))], "")
	switch name {
	case "", "help", "-h", "-help", "--help":
		return usage(sh.out, all)
	case "version", "--version":
		_, err := fmt.Fprintln(sh.out, version)
		return err
	}
	for words := 2; words >= 1; words-- {
		if len(sh.args) < words {
			continue
		}
		i := slices.IndexFunc(all, func(c command) bool { return c.name == strings.Join(sh.args[:words], " ") })
		if i >= 0 {
			sh.args = sh.args[words:]
			return all[i].call(ctx, sh)
		}
	}
	_, _ = fmt.Fprintf(sh.err, "parley: there is no command %q\n", strings.Join(sh.args[:min(2, len(sh.args))], " "))
	return errors.Join(usage(sh.err, all), errUsage)
}

func usage(w io.Writer, all []command) error {
	var b strings.Builder
	b.WriteString("Parley brings what customers write and say into one inbox.\n\nusage: parley COMMAND [--setting value ...]\n\n")
	for _, c := range all {
		fmt.Fprintf(&b, "  %-22s %s\n", strings.TrimSpace(c.name+" "+c.args), c.help)
	}
	b.WriteString("\nparley COMMAND --help lists the settings; each is also an environment variable (--listen = PARLEY_LISTEN).\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// call reads the settings and runs the command.
func (cmd command) call(ctx context.Context, sh shell) error {
	fs := flag.NewFlagSet("parley "+cmd.name, flag.ContinueOnError)
	fs.SetOutput(sh.err)
	if cmd.flags != nil {
		cmd.flags(fs)
	}
	given := config.Flags(fs)
	if err := fs.Parse(sh.args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return errUsage // the flag set said what is wrong
	}
	if fs.NArg() > 0 && cmd.args == "" {
		_, _ = fmt.Fprintf(sh.err, "parley %s: unexpected %q\n", cmd.name, fs.Arg(0))
		return errUsage
	}
	cfg, err := config.Load(sh.environ, given)
	if err != nil {
		return err
	}
	return cmd.run(ctx, call{shell: sh, cfg: cfg, fs: fs, args: fs.Args(), log: newLogger(sh.err, cfg.LogLevel)})
}

// refuse says what is wrong with the settings; warnings are said and passed.
func (c call) refuse() error {
	problems := c.cfg.Check()
	for _, p := range problems {
		if p.Warning {
			c.log.Warn("setting", "name", p.Name, "problem", p.Text)
		}
	}
	if !config.Fatal(problems) {
		return nil
	}
	var lines []string
	for _, p := range problems {
		if !p.Warning {
			lines = append(lines, p.Name+": "+p.Text)
		}
	}
	return errors.New("the settings are wrong\n  " + strings.Join(lines, "\n  "))
}
