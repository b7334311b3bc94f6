package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/parley-hub/parley/internal/config"
)

// newLogger writes text where a person reads and JSON where a program does. Ids go into the log; texts of messages,
// telephone numbers and secrets do not, at no level.
func newLogger(w io.Writer, level string) *slog.Logger {
	l, err := config.ParseLevel(level)
	if err != nil {
		l = slog.LevelInfo // the check of the settings says it
	}
	opts := &slog.HandlerOptions{Level: l}
	if terminal(w) {
		return slog.New(slog.NewTextHandler(w, opts))
	}
	return slog.New(slog.NewJSONHandler(w, opts))
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
