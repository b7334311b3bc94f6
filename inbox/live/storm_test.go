package live

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/events"
)

// TestResumeStorm restarts the node under many agents who all come back at once: the spine is asked a few times, not
// once for each of them.
func TestResumeStorm(t *testing.T) {
	t.Parallel()
	pool, b, o := dbtest.Server(t), newBus(t), newOffice()
	const agents = 200
	before := openOn(t, Config{}, o, pool, b)
	o.hire(999, scopeAll)
	first, _ := before.join(999)
	before.write(marker("first")) // from before the first event on, nothing is known after a restart
	first.until("first")
	cursors := make([]string, agents)
	for i := range agents {
		o.hire(int64(i+1), scopeAll)
		c, f := before.join(int64(i + 1))
		cursors[i] = f.Cursor
		_ = c.ws.Close()
		if i%10 == 0 {
			before.write(message(int64(i+1), place{}))
		}
	}
	before.stop()
	before.write(message(1000, place{}))
	before.write(message(1001, place{}))
	r := openOn(t, Config{}, o, pool, b)
	select {
	case <-r.hub.ready:
	case <-time.After(10 * time.Second):
		t.Fatal("the hub does not start")
	}
	start := time.Now()
	var wg sync.WaitGroup
	for i := range agents {
		wg.Go(func() {
			c, err := r.try(int64(i+1), 0)
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.ws.WriteJSON(map[string]string{"type": "hello", "since": cursors[i]}); err != nil {
				t.Error(err)
				return
			}
			for last := ""; last != "1001"; {
				f, err := c.read()
				if err != nil {
					t.Errorf("agent %d: %v", i+1, err)
					return
				}
				switch f.Type {
				case "snapshot":
					t.Errorf("agent %d got a snapshot", i+1)
					return
				case "event":
					last = f.ConversationID
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d agents are back after %s", agents, time.Since(start))
}

func TestBigReplayIsPaced(t *testing.T) {
	t.Parallel()
	r := open(t, Config{QueueFrames: 130, QueueBytes: 40 << 10})
	r.hire(1, scopeAll)
	c, first := r.join(1)
	_ = c.ws.Close()
	big := message(1, place{})
	big.Payload = map[string]string{"text": strings.Repeat("x", 4000)}
	for range 20 {
		var evs []events.Event
		for range 20 {
			evs = append(evs, big)
		}
		r.write(evs...)
	}
	r.write(marker("end"))
	back := r.dial(1)
	if f := back.hello(first.Cursor); f.Type != "ready" {
		t.Fatalf("got %s", f.Type)
	}
	if n := len(back.until("end")); n != 400 {
		t.Errorf("%d events, want 400", n)
	}
	if n := r.hub.Metrics.SlowCloses.Load(); n != 0 {
		t.Errorf("%d sockets were called slow", n)
	}
}
