package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestServicesStopLastFirst(t *testing.T) {
	t.Parallel()
	s := newServices(slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	var stopped []string
	for _, name := range []string{"database", "spine", "web"} {
		s.start(t.Context(), name, func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			stopped = append(stopped, name)
			return ctx.Err()
		})
	}
	s.stop()
	if want := []string{"web", "spine", "database"}; !slices.Equal(stopped, want) {
		t.Errorf("stopped %v, want %v", stopped, want)
	}
	s.stop() // nothing is left to do
}

func TestServicesOutliveTheContextUntilStopped(t *testing.T) {
	t.Parallel()
	s := newServices(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	s.start(ctx, "database", func(ctx context.Context) error {
		<-ctx.Done()
		close(ended)
		return nil
	})
	cancel()
	if err := s.wait(ctx); err != nil {
		t.Errorf("wait = %v", err)
	}
	select {
	case <-ended:
		t.Error("the service ended before it was its turn")
	default:
	}
	s.stop()
	<-ended
}

func TestServiceThatEndsByItselfEndsTheProgram(t *testing.T) {
	t.Parallel()
	broken := errors.New("the socket is gone")
	for _, tt := range []struct{ err, want error }{{broken, broken}, {nil, nil}} {
		s := newServices(slog.New(slog.DiscardHandler))
		s.start(t.Context(), "web", func(context.Context) error { return tt.err })
		err := s.wait(t.Context())
		if err == nil || !strings.HasPrefix(err.Error(), "web: ") || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("wait = %v", err)
		}
		s.stop()
	}
}

func TestServiceThatHangsIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newServices(slog.New(slog.NewTextHandler(&log, nil)))
		release := make(chan struct{})
		told := false
		s.start(t.Context(), "database", func(ctx context.Context) error {
			<-ctx.Done()
			told = true
			return nil
		})
		s.start(t.Context(), "stuck", func(context.Context) error {
			<-release
			return nil
		})
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("stopping took %s", took)
		}
		synctest.Wait()
		if !told || !strings.Contains(log.String(), "service=stuck") {
			t.Errorf("the database was told to stop: %v; log: %s", told, log.String())
		}
		close(release)
	})
}
