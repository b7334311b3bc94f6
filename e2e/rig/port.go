package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePort finds a port on loopback that nobody listens on. It lies below the range from which systems take the ports of
// outgoing connections, so that a hub that is restarted gets it again.
func FreePort(ctx context.Context) (string, error) {
	var errs []error
	for range 50 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000)) //nolint:gosec // any will do
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return addr, l.Close()
	}
	return "", errors.Join(errs...)
}
