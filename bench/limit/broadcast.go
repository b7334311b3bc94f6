package limit

import (
	"encoding/binary"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// Broadcast sends every event to every socket: a frame is made once, and each socket has a flusher only while there is
// something to send, which takes all that has queued in one write.
type Broadcast struct {
	mu    sync.Mutex
	peers []*peer
}

type peer struct {
	conn     net.Conn
	mu       sync.Mutex
	queue    net.Buffers
	flushing bool
}

// ServeHTTP takes over a connection and answers its hello.
func (b *Broadcast) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{ReadBufferSize: 256, WriteBufferSize: 256, CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	p := &peer{conn: ws.NetConn()}
	go func() {
		defer ws.Close()
		for {
			if _, _, err := ws.ReadMessage(); err != nil {
				return
			}
			p.send(textFrame([]byte(`{"type":"ready"}`)))
		}
	}()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.peers = append(b.peers, p)
}

// Send queues an event for all.
func (b *Broadcast) Send(event []byte) {
	frame := textFrame(event)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.peers {
		p.send(frame)
	}
}

func (p *peer) send(frame []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, frame)
	if !p.flushing {
		p.flushing = true
		go p.flush()
	}
}

func (p *peer) flush() {
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		p.flushing = len(queue) > 0
		p.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		if _, err := queue.WriteTo(p.conn); err != nil {
			_ = p.conn.Close() // the reader ends with it
		}
	}
}

// textFrame is an unmasked frame of less than 64 KiB.
func textFrame(payload []byte) []byte {
	if len(payload) < 126 {
		return append([]byte{0x81, byte(len(payload))}, payload...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(payload))), payload...) //nolint:gosec // checked by the caller
}
