// Package clock hands the time down, so that a test can move it. Times that several nodes compare come from the
// database's clock (now() in SQL), never from here.
package clock

import "time"

// Now tells the time in UTC. The zero value is not usable; production passes System.
type Now func() time.Time

// System is the machine's clock.
func System() time.Time { return time.Now().UTC() }
