package main

import (
	"context"

	"github.com/parley-hub/parley/web"
)

func openapiCommand() command {
	return command{name: "openapi", help: "print the description of the HTTP API", run: func(_ context.Context, c call) error {
		doc, err := web.OpenAPI()
		if err != nil {
			return err
		}
		_, err = c.out.Write(append(doc, '\n'))
		return err
	}}
}
