package bus

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/testsignal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) Bus {
	t.Helper()
	b, err := Embedded(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestDeliversInOrderAndByWildcard(t *testing.T) {
	t.Parallel()
	b := start(t)
	var one, any, rest testsignal.Signal[string]
	for _, s := range []struct {
		subject string
		signal  *testsignal.Signal[string]
	}{{"live.typing", &one}, {"live.*", &any}, {">", &rest}} {
		s.signal.Init(t)
		if _, err := b.Subscribe(s.subject, func(subject string, data []byte) { s.signal.Send(subject + "=" + string(data)) }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if err := b.Publish("live.typing", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Publish("event", nil); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		want := fmt.Sprintf("live.typing=%d", i)
		for _, s := range []*testsignal.Signal[string]{&one, &any, &rest} {
			if got := s.Wait(t); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	}
	if got := rest.Wait(t); got != "event=" {
		t.Errorf("got %q, want the empty hint", got)
	}
}

func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	b := start(t)
	var gone atomic.Int32
	unsubscribe, err := b.Subscribe("a", func(string, []byte) { gone.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	unsubscribe()
	var s testsignal.Signal[struct{}]
	s.Init(t)
	if _, err := b.Subscribe("a", func(string, []byte) { s.Send(struct{}{}) }); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish("a", nil); err != nil {
		t.Fatal(err)
	}
	s.Wait(t)
	if n := gone.Load(); n != 0 {
		t.Errorf("the former subscriber was called %d times", n)
	}
}

func TestPublishNeverBlocksOnASlowSubscriber(t *testing.T) {
	t.Parallel()
	b := start(t)
	hold := make(chan struct{})
	if _, err := b.Subscribe("a", func(string, []byte) { <-hold }); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200_000 {
			_ = b.Publish("a", []byte("x"))
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("publishers were held up")
	}
	close(hold)
	<-done
}

func TestNoServerIsNoError(t *testing.T) {
	t.Parallel()
	b, err := Connect("nats://127.0.0.1:1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Subscribe("a", func(string, []byte) {}); err != nil {
		t.Errorf("subscribe: %v", err)
	}
	if err := b.Publish("a", nil); err != nil {
		t.Errorf("publish: %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.Close()
	b.Close()
	if err := b.Publish("a", nil); !errs.Is(err, errs.Unavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestClusterOfThree(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	var nodes []Bus
	var seed string
	for range 3 {
		var peers []string
		if seed != "" {
			peers = []string{seed}
		}
		b, err := EmbeddedCluster("node:secret@127.0.0.1:0", peers, log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		if seed == "" {
			seed = b.(*embedded).server.ClusterAddr().String()
		}
		nodes = append(nodes, b)
	}
	heard := make([]atomic.Int32, len(nodes))
	for i, b := range nodes {
		if _, err := b.Subscribe("hello", func(string, []byte) { heard[i].Add(1) }); err != nil {
			t.Fatal(err)
		}
	}
	testsignal.Until(t, "every node hears every node", func() bool {
		for _, b := range nodes {
			_ = b.Publish("hello", nil)
		}
		for i := range heard {
			if heard[i].Load() < 3 {
				return false
			}
		}
		return nodes[0].(*embedded).server.NumRoutes() > 0 && nodes[2].(*embedded).server.NumRoutes() > 0
	})

	// A stranger without the password gets no route.
	other, err := EmbeddedCluster("127.0.0.1:0", []string{"node:wrong@" + seed}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var leaked atomic.Int32
	if _, err := other.Subscribe("hello", func(string, []byte) { leaked.Add(1) }); err != nil {
		t.Fatal(err)
	}
	before := heard[1].Load()
	testsignal.Until(t, "the others go on", func() bool {
		_ = nodes[0].Publish("hello", nil)
		return heard[1].Load() > before+100
	})
	if n := leaked.Load(); n != 0 {
		t.Errorf("a node without the password heard %d hints", n)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	type parts struct {
		User, Host string
		Port       int
		Bad        bool
	}
	for in, want := range map[string]parts{
		"10.0.0.1:6222":     {Host: "10.0.0.1", Port: 6222},
		"u:p@node1:6222":    {User: "u:p", Host: "node1", Port: 6222},
		":6222":             {Host: "0.0.0.0", Port: 6222},
		"[::1]:6222":        {Host: "::1", Port: 6222},
		"node1":             {Bad: true},
		"node1:99999":       {Bad: true},
		"http://node1:6222": {Bad: true},
		"":                  {Bad: true},
	} {
		user, host, port, err := parsePeer("peers", in)
		got := parts{Host: host, Port: port, Bad: err != nil}
		if user != nil {
			got.User = user.String()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}
