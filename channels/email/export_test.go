package email

import (
	"time"

	"github.com/parley-hub/parley/channels"
)

// Tuned makes an adapter with other bounds: cycle of an IDLE, which a silent server is given as well, and size of the
// largest mail (0 = the usual ones).
func Tuned(acc channels.Account, cycle time.Duration, largest int64) (channels.Adapter, error) {
	a, err := newAdapter(acc)
	if err == nil && cycle > 0 {
		a.cycle, a.silence = cycle, cycle
	}
	if err == nil && largest > 0 {
		a.largest = largest
	}
	return a, err
}
