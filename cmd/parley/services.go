package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// stopAll is how long the whole of stopping may take; one service that hangs is left behind.
const stopAll = 9 * time.Second

// services are the parts of the program that go on until it stops. They are started one after another and stopped in
// the reverse order, each waited for, so that what takes things in ends before what works on them.
type services struct {
	log    *slog.Logger
	failed chan error // the first service that ended by itself
	list   []service
}

type service struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
}

func newServices(log *slog.Logger) *services {
	return &services{log: log, failed: make(chan error, 1)}
}

// start runs a service. Its context carries the values of ctx and ends when stop says so, not when ctx ends.
func (s *services) start(ctx context.Context, name string, run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	sv := service{name: name, cancel: cancel, done: make(chan struct{})}
	s.list = append(s.list, sv)
	go func() {
		defer close(sv.done)
		err := run(ctx)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				s.log.WarnContext(ctx, "service stopped with an error", "service", name, "err", err)
			}
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		select {
		case s.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	}()
}

// closer adds something that only needs to be closed, at its place in the order.
func (s *services) closer(ctx context.Context, name string, end func(ctx context.Context) error) {
	s.start(ctx, name, func(ctx context.Context) error {
		<-ctx.Done()
		return end(context.WithoutCancel(ctx))
	})
}

// wait returns when ctx ends (nil) or a service failed.
func (s *services) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// stop ends the services, last first.
func (s *services) stop() {
	late := time.After(stopAll)
	for _, sv := range slices.Backward(s.list) {
		sv.cancel()
		select {
		case <-sv.done:
		case <-late:
			s.log.Error("service does not stop and is left behind", "service", sv.name)
			late = time.After(0) // the others get their signal, but no more time
		}
	}
	s.list = nil
}
