package inbox

import "time"

// recent remembers versions of what is over for at least a minute: longer than any two transactions can have met.
type recent[K comparable] struct {
	now, before map[K]int32
	turned      time.Time
}

const recentFor = time.Minute

func (r *recent[K]) put(k K, version int32) {
	if now := time.Now(); r.now == nil || now.Sub(r.turned) > recentFor {
		r.before, r.now, r.turned = r.now, map[K]int32{}, now
	}
	r.now[k] = max(version, r.now[k])
}

func (r *recent[K]) get(k K) int32 { return max(r.now[k], r.before[k]) }
