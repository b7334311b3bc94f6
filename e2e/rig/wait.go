package rig

import (
	"context"
	"fmt"
	"time"
)

// Patience is how long something that must happen may take on a loaded machine.
const Patience = 60 * time.Second

// Until asks again and again, soon at first, until ok says true, fails, or the time is up.
func Until(ctx context.Context, what string, limit time.Duration, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	for pause := 2 * time.Millisecond; ; pause = min(pause*3/2, 100*time.Millisecond) {
		done, err := ok()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if done {
			return nil
		}
		if !Pause(ctx, pause) {
			return fmt.Errorf("%s: not within %s", what, time.Since(began).Round(time.Millisecond))
		}
	}
}

// Pause waits unless ctx ends first; then it returns false.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
