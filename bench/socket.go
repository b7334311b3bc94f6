package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/parley-hub/parley/e2e/rig"
)

// socket is a client of a live feed that costs little: it reads frames as they lie in its buffer. After a close with a
// code of the hub's own it comes back with its cursor, as the front end does.
type socket struct {
	url, cookie string
	seen        func(frame []byte, came time.Time)

	mu     sync.Mutex
	conn   net.Conn
	cursor string
	closed bool
	back   int   // times it came back
	err    error // why it ended
	done   chan struct{}
}

const closedSlow = 4001

// open connects, says hello and returns when it was greeted; seen is called by one goroutine with what follows.
func open(ctx context.Context, url, cookie string, seen func(frame []byte, came time.Time)) (*socket, error) {
	s := &socket{url: url, cookie: cookie, seen: seen, done: make(chan struct{})}
	in, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	go s.run(context.WithoutCancel(ctx), in)
	return s, nil
}

func (s *socket) connect(ctx context.Context) (*bufio.Reader, error) {
	addr := strings.TrimPrefix(s.url, "http://")
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(rig.Patience))
	_, err = fmt.Fprintf(conn, "GET /api/live HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nCookie: %s\r\n\r\n", addr, s.cookie)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	in := bufio.NewReaderSize(conn, 16<<10)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = resp.Body.Close() // 101 has none
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, errors.Join(fmt.Errorf("the socket was answered with %s", resp.Status), conn.Close())
	}
	hello, err := json.Marshal(map[string]string{"type": "hello", "since": s.cursor})
	if err == nil {
		_, err = conn.Write(masked(1, hello))
	}
	if err == nil {
		_, err = greeted(in)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = conn.SetDeadline(time.Time{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	s.conn = conn
	return in, nil
}

// greeted reads to the first answer to hello.
func greeted(in *bufio.Reader) ([]byte, error) {
	for {
		op, frame, err := next(in)
		if err != nil {
			return nil, err
		}
		if op == 1 && (bytes.Contains(frame[:min(40, len(frame))], []byte(`"ready"`)) || bytes.Contains(frame[:min(40, len(frame))], []byte(`"snapshot"`))) {
			return frame, nil
		}
	}
}

func (s *socket) run(ctx context.Context, in *bufio.Reader) {
	defer close(s.done)
	for {
		code, err := s.read(in)
		s.mu.Lock()
		closed := s.closed
		if code == closedSlow {
			s.back++
		}
		s.mu.Unlock()
		if closed {
			return
		}
		if code == closedSlow {
			_ = s.conn.Close()
			in, err = s.connect(ctx)
		}
		if err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
			return
		}
	}
}

// read returns the code of the close frame, or why the connection broke.
func (s *socket) read(in *bufio.Reader) (int, error) {
	for {
		op, frame, err := next(in)
		if err != nil {
			return 0, err
		}
		switch {
		case op == 8 && len(frame) >= 2:
			code := int(binary.BigEndian.Uint16(frame))
			return code, fmt.Errorf("the socket was closed with %d", code)
		case op == 9:
			if _, err := s.conn.Write(masked(10, frame)); err != nil {
				return 0, err
			}
		case op == 1:
			if c := cursorOf(frame); c != "" {
				s.cursor = c
			}
			s.seen(frame, time.Now())
		}
	}
}

// ping keeps a socket from being taken for dead.
func (s *socket) ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.conn.Write(masked(1, []byte(`{"type":"ping"}`))) // a broken connection is the reader's to tell
}

// close ends the socket and says why it had ended before, if it had.
func (s *socket) close() error {
	s.mu.Lock()
	s.closed = true
	err := s.err
	_ = s.conn.Close()
	s.mu.Unlock()
	<-s.done
	return err
}

func cursorOf(frame []byte) string {
	head := frame[:min(160, len(frame))]
	_, rest, found := bytes.Cut(head, []byte(`"cursor":"`))
	if !found {
		return ""
	}
	cursor, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(cursor)
}

// next reads a frame of a server: whole and not masked. What it returns is valid until the next call.
func next(in *bufio.Reader) (op byte, payload []byte, err error) {
	head, err := in.Peek(2)
	if err != nil {
		return 0, nil, err
	}
	op, n, size := head[0]&0xf, int(head[1]), 2
	switch n {
	case 126:
		size = 4
		if head, err = in.Peek(size); err == nil {
			n = int(binary.BigEndian.Uint16(head[2:]))
		}
	case 127:
		size = 10
		if head, err = in.Peek(size); err == nil {
			n = int(binary.BigEndian.Uint64(head[2:]))
		}
	}
	if err == nil {
		_, err = in.Discard(size)
	}
	if err != nil {
		return 0, nil, err
	}
	if n > in.Size() {
		payload = make([]byte, n)
		_, err = io.ReadFull(in, payload)
		return op, payload, err
	}
	if payload, err = in.Peek(n); err == nil {
		_, err = in.Discard(n)
	}
	return op, payload, err
}

// masked is a frame of a client; a mask of zeros changes nothing.
func masked(op byte, payload []byte) []byte {
	frame := []byte{0x80 | op, 0x80 | byte(min(len(payload), 126))} //nolint:gosec // at most 126
	if len(payload) >= 126 {
		frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload))) //nolint:gosec // ours are short
	}
	return append(append(frame, 0, 0, 0, 0), payload...)
}
