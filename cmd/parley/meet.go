package main

import (
	"errors"
	"net/http"

	"github.com/parley-hub/parley/channels"
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
