// Command parley is the hub: the server and everything that an operator does at the machine it runs on.
package main

import (
	"context"
	"os"
	_ "time/tzdata" // working hours need zones, and a container from scratch has none
)

func main() {
	os.Exit(run(context.Background(), shell{args: os.Args[1:], environ: os.Environ(), in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
