package live

import (
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/parley-hub/parley/internal/events"
)

// conn is one socket. Its reader goroutine owns it: whoever else wants it gone calls shutdown, and the reader ends it.
type conn struct {
	hub    *Hub
	ws     *websocket.Conn // reads only; everything that is written goes through the queue
	nc     net.Conn
	viewer Viewer
	heard  atomic.Int64 // when the last frame came, in seconds of the hub's clock

	// Guarded by hub.mu.
	access   *Access // nil before hello
	live     bool    // gets events behind from
	gone     bool    // removed from the hub
	from     events.Cursor
	touched  int // how often staff changed something about the agent
	watching int64
	place    int // in hub.conns
	counts   uint64

	// The queue.
	mu       sync.Mutex
	queue    [][]byte
	frames   int // queued and being written
	bytes    int
	flushing bool
	counted  bool // the hub waits for this flusher before it sends more
	closing  bool
	slowTill time.Time
	idle     chan struct{} // closed when the flusher ends; made by whoever waits
}

// readBuffer is small because most clients only ping; a longer frame is read in parts.
const readBuffer = 256

// send queues frames; false means that the socket is closing. It never blocks.
func (c *conn) send(frames ...[]byte) bool {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	if c.frames > 0 && (c.frames+len(frames) > c.hub.cfg.QueueFrames || c.bytes+n > c.hub.cfg.QueueBytes) {
		c.hub.Metrics.SlowCloses.Add(1)
		c.hub.Metrics.FramesDropped.Add(int64(len(c.queue) + len(frames)))
		c.shut(closeSlow, "too slow; come back with the cursor")
		return false
	}
	if c.queue == nil {
		c.queue = c.hub.slices.get()
	}
	c.queue = append(c.queue, frames...)
	c.frames += len(frames)
	c.bytes += n
	c.flush()
	return true
}

// flush starts the flusher if none is at work. The caller holds mu.
func (c *conn) flush() {
	if c.flushing {
		return
	}
	c.flushing = true
	c.counted = c.slowTill.IsZero() || time.Now().After(c.slowTill)
	if c.counted {
		c.hub.pace.begin()
	}
	go c.write()
}

// write empties the queue into the network and ends.
func (c *conn) write() {
	for {
		c.mu.Lock()
		out := c.queue
		c.queue = nil
		if len(out) == 0 {
			c.stopFlushing()
			c.mu.Unlock()
			return
		}
		last := c.closing // then this is the close frame, and nothing follows
		c.mu.Unlock()

		n, size := len(out), 0
		for _, f := range out {
			size += len(f)
		}
		err := c.writev(out)
		c.hub.slices.put(out)

		c.mu.Lock()
		c.frames -= n
		c.bytes -= size
		if err != nil || last {
			c.closing = true
			c.queue, c.frames, c.bytes = nil, 0, 0
			c.stopFlushing()
		}
		c.mu.Unlock()
		c.hub.pace.progress.Add(1)
		if err != nil {
			_ = c.nc.Close() // the reader notices
			return
		}
		c.hub.Metrics.FramesSent.Add(int64(n))
		if last {
			c.lastWords()
			return
		}
	}
}

// writev writes whole frames only: the library may write a close frame of its own between two calls, never inside one.
func (c *conn) writev(out [][]byte) error {
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.hub.cfg.WriteTimeout))
	if len(out) == 1 {
		_, err := c.nc.Write(out[0])
		return err
	}
	if _, ok := c.nc.(*net.TCPConn); ok {
		bufs := net.Buffers(out)
		_, err := bufs.WriteTo(c.nc)
		return err
	}
	// Behind TLS every Write is a record: join them.
	var joined []byte
	for _, f := range out {
		joined = append(joined, f...)
	}
	_, err := c.nc.Write(joined)
	return err
}

// lastWords lets the peer read the close frame: closing at once while data of his is unread would reset the connection
// and destroy what is on its way to him.
func (c *conn) lastWords() {
	if tcp, ok := c.nc.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(closeGrace))
}

const closeGrace = time.Second

// stopFlushing ends the flusher's turn. The caller holds mu.
func (c *conn) stopFlushing() {
	c.flushing = false
	if c.counted {
		c.counted = false
		c.hub.pace.end()
	}
	if c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// drained returns a channel that is closed once nothing is queued or being written.
func (c *conn) drained() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.flushing {
		done := make(chan struct{})
		close(done)
		return done
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	return c.idle
}

// slow takes a flusher that is stuck out of what the hub waits for, for a while.
func (c *conn) slow(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flushing && c.counted {
		c.counted = false
		c.slowTill = until
		c.hub.pace.end()
	}
}

// shutdown says goodbye and ends the socket; what has queued is dropped. code 0 echoes a close without a code.
func (c *conn) shutdown(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.shut(code, reason)
	}
}

func (c *conn) shut(code int, reason string) {
	c.closing = true
	f := closeFrame(code, reason)
	// Frames already in the system call stay counted until it returns.
	for _, q := range c.queue {
		c.frames--
		c.bytes -= len(q)
	}
	c.queue = append(c.queue[:0], f)
	c.frames++
	c.bytes += len(f)
	c.flush()
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// read is the socket's goroutine.
func (c *conn) read() {
	defer c.end()
	defer c.rescue()
	c.ws.SetReadLimit(readLimit)
	c.ws.SetPingHandler(func(data string) error {
		c.hear()
		c.send(control(opPong, []byte(data)))
		return nil
	})
	c.ws.SetPongHandler(func(string) error { c.hear(); return nil })
	c.ws.SetCloseHandler(func(code int, _ string) error {
		if code == websocket.CloseNoStatusReceived {
			code = 0
		}
		c.shutdown(code, "")
		return nil
	})
	for {
		kind, r, err := c.ws.NextReader()
		if err != nil {
			return
		}
		c.hear()
		if c.isClosing() {
			continue // NextReader throws the rest away until the deadline of lastWords
		}
		msg := c.hub.messages.get()
		n, err := readAll(r, msg)
		if err != nil {
			c.hub.messages.put(msg)
			return
		}
		switch {
		case kind != websocket.TextMessage:
			c.shutdown(closeUnreadable, "frames are JSON text")
		case !utf8.Valid((*msg)[:n]):
			c.shutdown(closeBadUTF8, "a text frame must be UTF-8")
		default:
			c.handle((*msg)[:n])
		}
		c.hub.messages.put(msg)
	}
}

func (c *conn) hear() { c.heard.Store(c.hub.cfg.Now().Unix()) }

// rescue keeps a bug in the handling of one frame from ending the program.
func (c *conn) rescue() {
	if p := recover(); p != nil {
		c.hub.log.Error("a frame broke its socket", "agent_id", c.viewer.AgentID, "panic", p, "stack", string(debug.Stack()))
		c.shutdown(closeBroken, "internal error")
	}
}

// end forgets the socket. The reader calls it last.
func (c *conn) end() {
	c.hub.remove(c)
	c.mu.Lock()
	saidGoodbye := c.closing
	c.closing = true
	c.mu.Unlock()
	if saidGoodbye {
		// The close frame may still be on its way.
		timer := time.NewTimer(closeGrace)
		select {
		case <-c.drained():
		case <-timer.C:
		}
		timer.Stop()
	}
	_ = c.nc.Close()
	<-c.drained()
	c.hub.readers.Done()
}

var errTooLong = errors.New("the frame is too long")

// readAll reads a message into a buffer of the pool, which grows as needed up to the read limit.
func readAll(r io.Reader, buf *[]byte) (int, error) {
	n := 0
	for {
		if n == len(*buf) {
			if n > readLimit {
				return 0, errTooLong
			}
			*buf = append(*buf, make([]byte, max(512, n))...)
		}
		m, err := r.Read((*buf)[n:])
		n += m
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
