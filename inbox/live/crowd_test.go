package live

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/events"
)

// The crowd is a process of its own that opens many sockets: so the memory of the server is measured alone. It is this
// test binary, started with crowdEnv = "address agents-from sockets".
const crowdEnv = "PARLEY_TEST_LIVE_CROWD"

// crowd opens sockets, says hello, and answers each line on stdin: at "events N" it prints "ready", and "ok" when every
// socket has got N more events, in order.
func crowd(spec string) {
	var addr string
	var n int
	if _, err := fmt.Sscan(spec, &addr, &n); err != nil {
		crowdFails(err)
	}
	members := make([]*member, n)
	var wg sync.WaitGroup
	limit := make(chan struct{}, 32)
	for i := range members {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			m, err := join(addr, i+1)
			if err != nil {
				crowdFails(err)
			}
			members[i] = m
		})
	}
	wg.Wait()
	var target atomic.Int64
	arrived := make(chan struct{}, n)
	for _, m := range members {
		go m.read(&target, arrived)
	}
	fmt.Println("ok")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		want, err := strconv.Atoi(strings.TrimPrefix(in.Text(), "events "))
		if err != nil {
			crowdFails(err)
		}
		target.Add(int64(want))
		fmt.Println("ready")
		for range n {
			<-arrived
		}
		fmt.Println("ok")
	}
	os.Exit(0)
}

func crowdFails(err error) {
	fmt.Println("failed:", err)
	os.Exit(1)
}

// member is one socket that reads with little: a buffer and a counter.
type member struct {
	nc net.Conn
	br *bufio.Reader
}

func join(addr string, agent int) (*member, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: %s\r\nX-Agent: %d\r\nX-Session: %d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr, agent, agent)
	if err != nil {
		return nil, err
	}
	m := &member{nc, bufio.NewReaderSize(nc, 4096)}
	answer, err := http.ReadResponse(m.br, nil)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("status %d", answer.StatusCode)
	}
	hello := `{"type":"hello"}`
	f := append([]byte{fin | opText, 0x80 | byte(len(hello)), 0, 0, 0, 0}, hello...)
	if _, err := nc.Write(f); err != nil {
		return nil, err
	}
	if err := m.skip(); err != nil { // ready
		return nil, err
	}
	return m, nil
}

// skip reads one frame and forgets it.
func (m *member) skip() error {
	_, err := m.frame(nil)
	return err
}

// frame reads one frame and returns its first bytes, for what they tell.
func (m *member) frame(buf []byte) ([]byte, error) {
	var h [8]byte
	if _, err := io.ReadFull(m.br, h[:2]); err != nil {
		return nil, err
	}
	n := int(h[1])
	switch n {
	case 126:
		if _, err := io.ReadFull(m.br, h[:2]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(h[:2]))
	case 127:
		if _, err := io.ReadFull(m.br, h[:8]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint64(h[:8])) //nolint:gosec // a test
	}
	k := min(n, cap(buf))
	if _, err := io.ReadFull(m.br, buf[:k]); err != nil {
		return nil, err
	}
	_, err := m.br.Discard(n - k)
	return buf[:k], err
}

// read counts events and checks that they come in order; other frames are passed over.
func (m *member) read(target *atomic.Int64, arrived chan<- struct{}) {
	buf := make([]byte, 64)
	last, n := events.Cursor{}, int64(0)
	for {
		b, err := m.frame(buf)
		if err != nil {
			crowdFails(err)
		}
		rest, ok := strings.CutPrefix(string(b), `{"type":"event","cursor":"`)
		if !ok {
			continue
		}
		text, _, _ := strings.Cut(rest, `"`)
		at, err := events.ParseCursor(text)
		if err != nil || !at.After(last) {
			crowdFails(fmt.Errorf("cursor %s follows %s: %w", text, last, err))
		}
		last = at
		if n++; n == target.Load() {
			arrived <- struct{}{}
		}
	}
}

// guests is the crowd as its parent sees it.
type guests struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Scanner
}

func invite(t testing.TB, r *room, n int) *guests {
	t.Helper()
	for i := range n {
		r.hire(int64(i+1), scopeAll)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0]) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", crowdEnv, strings.TrimPrefix(r.url, "http://"), n))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	g := &guests{t, in, bufio.NewScanner(out)}
	g.hear("ok")
	return g
}

func (g *guests) hear(word string) {
	g.t.Helper()
	if !g.out.Scan() || g.out.Text() != word {
		g.t.Fatalf("the crowd says %q, not %q", g.out.Text(), word)
	}
}

// expect asks the crowd to wait for n events each; done returns when they have them.
func (g *guests) expect(n int) (done func()) {
	g.t.Helper()
	if _, err := fmt.Fprintf(g.in, "events %d\n", n); err != nil {
		g.t.Fatal(err)
	}
	g.hear("ready")
	return func() { g.hear("ok") }
}

// memorySpine hands out events without a database.
type memorySpine struct {
	fn      func([]events.Event)
	started chan struct{}
	last    events.Cursor
}

func newMemorySpine() *memorySpine {
	s := &memorySpine{started: make(chan struct{}), last: events.Cursor{Epoch: 1}}
	close(s.started)
	return s
}

func (s *memorySpine) Subscribe(fn func([]events.Event)) { s.fn = fn }
func (s *memorySpine) Started() <-chan struct{}          { return s.started }
func (s *memorySpine) Head() events.Cursor               { return events.Cursor{Epoch: 1} }
func (s *memorySpine) Recent(context.Context, events.Cursor, int) ([]events.Event, error) {
	return nil, events.ErrSnapshot
}

func (s *memorySpine) publish(n int, payload []byte) {
	evs := make([]events.Event, n)
	for i := range evs {
		s.last.ID++
		evs[i] = events.Event{
			Kind: "message.created", Actor: events.System, SubjectKind: "message", ConversationID: 1,
			Cursor: s.last, At: time.Now().UTC(), Raw: payload,
		}
	}
	s.fn(evs)
}

func openMemory(t testing.TB) (*room, *memorySpine) {
	t.Helper()
	s, o, b := newMemorySpine(), newOffice(), newBus(t)
	r := &room{office: o, t: t, bus: b}
	r.hub = New(Config{}, s, b, o, o, quiet())
	r.serve()
	return r, s
}

// body500 makes an event's frame about 500 bytes, as in the measurements of PERFORMANCE 2b.
var body500 = []byte(`{"text":"` + strings.Repeat("x", 360) + `"}`) //nolint:gochecknoglobals // a constant

func inUse() uint64 {
	debug.FreeOSMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestMemoryPerIdleSocket must hold on any machine: it is about bytes, not about time.
func TestMemoryPerIdleSocket(t *testing.T) {
	r, _ := openMemory(t)
	const n = 2000
	for i := range n { // the office is not the hub
		r.hire(int64(i+1), scopeAll)
	}
	before := inUse()
	invite(t, r, n)
	after := inUse()
	each := (int64(after) - int64(before)) / n //nolint:gosec // small
	t.Logf("%d bytes per idle socket", each)
	if each > 12<<10 {
		t.Errorf("an idle socket costs %d bytes, at most 12 kB are allowed", each)
	}
}

// cpu is the processor time that this process has used.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBurst: 200 events to 1000 sockets.
func BenchmarkBurst(b *testing.B) {
	r, s := openMemory(b)
	const sockets, burst = 1000, 200
	g := invite(b, r, sockets)
	start, spent := time.Now(), cpu(b)
	for b.Loop() {
		done := g.expect(burst)
		s.publish(burst, body500)
		done()
	}
	deliveries := float64(b.N) * sockets * burst
	b.ReportMetric(deliveries/time.Since(start).Seconds(), "deliveries/s")
	// On a busy machine this is the number to look at: what the server itself spends.
	b.ReportMetric(float64((cpu(b)-spent).Microseconds())/deliveries, "server-us/delivery")
	if n := r.hub.Metrics.SlowCloses.Load(); n > 0 {
		b.Errorf("%d sockets were closed as slow", n)
	}
}

// BenchmarkCommitToLast: from the commit of a message until the last of K sockets has it.
func BenchmarkCommitToLast(b *testing.B) {
	for _, k := range []int{10, 100, 1000} {
		b.Run(strconv.Itoa(k), func(b *testing.B) {
			r := openOn(b, Config{}, newOffice(), dbtest.Server(b), newBus(b))
			g := invite(b, r, k)
			e := message(1, place{})
			e.Payload = map[string]string{"text": strings.Repeat("x", 360)}
			var took []time.Duration
			for b.Loop() {
				done := g.expect(1)
				tx, err := r.pool.Begin(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if err := events.Append(b.Context(), tx, e); err != nil {
					b.Fatal(err)
				}
				if err := tx.Commit(b.Context()); err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				events.Wake(r.bus)
				done()
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
