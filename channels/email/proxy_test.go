package email_test

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// proxy stands between the adapter and a server, and takes the server away.
type proxy struct {
	port int
	ln   net.Listener

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup

	gate sync.RWMutex // held: nothing passes, and nobody is told
}

func newProxy(t testing.TB, to int) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, port: ln.Addr().(*net.TCPAddr).Port, conns: map[net.Conn]bool{}}
	p.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c, to) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		p.away(true)
		p.wg.Wait()
	})
	return p
}

// away ends all connections, and those to come, until it is called with false.
func (p *proxy) away(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = on
	if on {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) pass(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		p.gate.RLock()
		_, werr := to.Write(buf[:n])
		p.gate.RUnlock()
		if err != nil || werr != nil {
			return
		}
	}
}

func (p *proxy) serve(c net.Conn, to int) {
	defer c.Close()
	if !p.keep(c) {
		return
	}
	s, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(to)))
	if err != nil {
		return
	}
	defer s.Close()
	if !p.keep(s) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pass(s, c)
		_ = s.Close()
	}()
	p.pass(c, s)
	_ = c.Close()
	<-done
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, s)
	p.mu.Unlock()
}
