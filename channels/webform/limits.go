package webform

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxNetworks bounds what is remembered of senders. When there are more, any one of them is forgotten: whoever has so
	// many addresses is held back by what the form takes from everybody together.
	maxNetworks = 10_000
	// What one form takes in a minute from everybody together. Work proves that somebody meant it, so that a flood
	// without it cannot keep out those who did it.
	perMinuteProven   = 600
	perMinuteUnproven = 60
	// maxBodies is how many bodies are read at once; each is at most maxBody.
	maxBodies = 32
)

// limits count submissions on this node: per network of addresses, and per form.
type limits struct {
	now    func() time.Time
	perNet int
	bodies chan struct{}

	mu               sync.Mutex
	nets             map[string]*bucket
	proven, unproven *bucket
}

// bucket holds what is left of a minute's allowance; it fills up evenly.
type bucket struct {
	left float64
	at   time.Time
}

func newLimits(perNet int, now func() time.Time) *limits {
	l := &limits{now: now, perNet: perNet, bodies: make(chan struct{}, maxBodies), nets: map[string]*bucket{}}
	l.proven, l.unproven = l.full(perMinuteProven), l.full(perMinuteUnproven)
	return l
}

func (l *limits) full(n int) *bucket { return &bucket{left: float64(n), at: l.now()} }

// take uses one up; when there is none it says how long until there is.
func (b *bucket) take(perMinute int, now time.Time) time.Duration {
	rate := float64(perMinute) / 60
	b.left = min(float64(perMinute), b.left+max(0, now.Sub(b.at).Seconds())*rate)
	b.at = now
	if b.left >= 1 {
		b.left--
		return 0
	}
	return time.Duration((1 - b.left) / rate * float64(time.Second))
}

// sender counts one request of an address; 0 = go on, else wait as long.
func (l *limits) sender(ip string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, name := l.now(), network(ip)
	b := l.nets[name]
	if b == nil {
		if len(l.nets) >= maxNetworks {
			for any := range l.nets {
				delete(l.nets, any)
				break
			}
		}
		b = l.full(l.perNet)
		l.nets[name] = b
	}
	return b.take(l.perNet, now)
}

// form counts one submission that would be stored.
func (l *limits) form(proven bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if proven {
		return l.proven.take(perMinuteProven, l.now())
	}
	return l.unproven.take(perMinuteUnproven, l.now())
}

// network is what one sender holds: an IPv4 address, or an IPv6 /64.
func network(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return "unknown"
	}
	if a = a.Unmap(); a.Is4() {
		return a.String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return "unknown"
	}
	return p.String()
}
