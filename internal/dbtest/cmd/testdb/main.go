// Command testdb starts and stops the database server that a run of all tests uses.
//
//	testdb start        starts a server and prints the address for PARLEY_TEST_DATABASE_URL
//	testdb stop URL     stops that server and removes its data
//	testdb stop         stops the server that a plain "go test" started and left for the next one
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parley-hub/parley/internal/dbtest/testserver"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "testdb:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 1 && args[0] == "start":
		s, err := testserver.Detached(ctx, os.Getenv("PARLEY_PG_BIN"))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, s.URL)
		return err
	case len(args) == 2 && args[0] == "stop":
		return testserver.StopURL(ctx, args[1])
	case len(args) == 1 && args[0] == "stop":
		return testserver.StopShared(ctx)
	}
	return errors.New("usage: testdb start | stop [URL]")
}
