package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// benchCase is some work that is measured; its rows are named after it.
type benchCase struct {
	name string
	run  func(ctx context.Context, w *world) ([]row, error)
}

func cases() []benchCase {
	return []benchCase{
		{"contacts", contacts},
		{"ingest/http", ingestHTTP},
		{"ingest/latency", ingestLatency},
		{"live/fan-out", liveFanOut},
		{"live/burst", liveBurst},
		{"live/memory", liveMemory},
		{"live/slow", liveSlow},
		{"inbox/page", inboxPage},
		{"search", search},
		{"email/visible", emailVisible},
		{"email/idle", emailIdle},
		{"email/bulk", emailBulk},
		{"start", start},
		{"kill", kill},
		{"backup", backups},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errCounts is the failure that is none of speed.
var errCounts = errors.New("counts are wrong")

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	size, err := strconv.ParseFloat(orDefault(os.Getenv("SIZE"), "1"), 64)
	if err != nil || size <= 0 {
		return fmt.Errorf("SIZE=%s: a number above 0 is needed", os.Getenv("SIZE"))
	}
	flags.Float64Var(&size, "size", size, "how much data; 1 is whole, 0.1 quick")
	only := flags.String("case", os.Getenv("CASE"), "only the cases whose names begin so")
	file := flags.String("json", filepath.Join(os.TempDir(), "bench.json"), "where the results go besides")
	binary := flags.String("binary", "", "the program to measure; \"\" = build it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	w, err := newWorld(ctx, size, *binary)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(context.WithoutCancel(ctx))) }()
	r := report{At: began.UTC(), Size: size, LoadBefore: loadAverage()}
	var failed []error
	for _, c := range cases() {
		if !strings.HasPrefix(c.name, *only) || ctx.Err() != nil {
			continue
		}
		from := time.Now()
		rows, err := c.run(ctx, w)
		for i := range rows {
			rows[i].Case = c.name
		}
		r.Rows = append(r.Rows, rows...)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", c.name, err))
		}
		_, _ = fmt.Fprintf(progress, "%-16s %d rows in %s\n", c.name, len(rows), time.Since(from).Round(100*time.Millisecond))
	}
	r.Seconds, r.LoadAfter = time.Since(began).Seconds(), loadAverage()
	r.print(out)
	if err := r.write(*file); err != nil {
		failed = append(failed, err)
	}
	if r.wrong() {
		failed = append(failed, errCounts)
	}
	return errors.Join(append(failed, ctx.Err())...)
}

func orDefault(v, def string) string {
	if v == "" {
		return def
	}
	return v
}

// loadAverage is how busy the machine was in the last minute, "" where the system does not tell.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}
