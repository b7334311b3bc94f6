package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/channels/webform"
	"github.com/parley-hub/parley/internal/errs"
)

// What follows lets rooms meet that must not know each other. There is no logic here.

// hooks is the supervisor as the web server needs it.
type hooks struct{ supervisor *channels.Supervisor }

// Hook implements web.Hooks.
func (h hooks) Hook(kind string, id int64) (http.Handler, error) {
	handler, err := h.supervisor.Hook(kind, id)
	if errors.Is(err, channels.ErrNoChannel) {
		return nil, &errs.E{Code: errs.NotFound, Msg: "There is no such channel.", Err: err}
	}
	return handler, err
}

// Form implements web.Forms.
func (h hooks) Form(key string) (http.Handler, error) {
	handler, err := h.supervisor.Keyed(webform.Name, key)
	if errors.Is(err, channels.ErrNoChannel) {
		return nil, &errs.E{Code: errs.NotFound, Msg: "There is no such form.", Err: err}
	}
	return handler, err
}

// together runs all fns until the last has returned. A panic in one ends the others and goes on to the caller, who knows
// what it means: the supervisor restarts the channel.
func together(ctx context.Context, fns ...func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	panics := make(chan string, len(fns))
	var wg sync.WaitGroup
	for _, fn := range fns {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					panics <- fmt.Sprintf("%v\n%s", p, debug.Stack())
					cancel()
				}
			}()
			fn(ctx)
		})
	}
	wg.Wait()
	select {
	case p := <-panics:
		panic(p)
	default:
	}
}
