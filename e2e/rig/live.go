package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Frame is something that the live feed said.
type Frame struct {
	Type           string          `json:"type"`
	Cursor         string          `json:"cursor"`
	Kind           string          `json:"kind"`
	At             time.Time       `json:"at"`
	ConversationID *string         `json:"conversation_id"`
	Data           json.RawMessage `json:"data"`
	Code           string          `json:"code"`
	Message        string          `json:"message"`
	Raw            []byte          `json:"-"`
	Came           time.Time       `json:"-"`
}

// Live is one socket. It keeps every frame that came.
type Live struct {
	Greeting Frame // ready or snapshot

	ws     *websocket.Conn
	seen   func(int, []byte)
	ctx    context.Context //nolint:containedctx // of the reader, ended by Close
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	write  sync.Mutex
	frames []Frame
	next   int // what Wait has not looked at
	news   chan struct{}
	err    error // why it ended
	cursor string
}

// pingEvery is what a client promises when nothing comes.
const pingEvery = 8 * time.Second

// Live opens a socket and says hello; since is the cursor of an earlier one, or "".
func (c *Client) Live(ctx context.Context, since string) (*Live, error) {
	header := http.Header{}
	c.sign(header)
	ws, resp, err := (&websocket.Dialer{HandshakeTimeout: 10 * time.Second}).DialContext(ctx, "ws"+strings.TrimPrefix(c.Base, "http")+"/api/live", header)
	if err != nil {
		if resp != nil {
			_ = resp.Body.Close()
			return nil, &Problem{Status: resp.StatusCode, Title: err.Error()}
		}
		return nil, err
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &Live{ws: ws, seen: c.Seen, ctx: own, cancel: cancel, done: make(chan struct{}), news: make(chan struct{}), cursor: since}
	hello := map[string]string{"type": "hello"}
	if since != "" {
		hello["since"] = since
	}
	go l.read()
	if err := l.Send(hello); err != nil {
		l.Close()
		return nil, err
	}
	if l.Greeting, err = l.Wait(ctx, "a greeting", func(f Frame) bool { return f.Type == "ready" || f.Type == "snapshot" }); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Send sends a frame.
func (l *Live) Send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return l.SendRaw(b)
}

// SendRaw sends whatever it is as a text frame.
func (l *Live) SendRaw(b []byte) error {
	l.write.Lock()
	defer l.write.Unlock()
	_ = l.ws.SetWriteDeadline(time.Now().Add(10 * time.Second))
	return l.ws.WriteMessage(websocket.TextMessage, b)
}

func (l *Live) read() {
	defer close(l.done)
	var pings sync.WaitGroup
	pings.Go(l.ping)
	defer pings.Wait()
	defer l.cancel()
	for {
		_, b, err := l.ws.ReadMessage()
		f := Frame{Raw: b, Came: time.Now()}
		if err == nil {
			if l.seen != nil {
				l.seen(0, b)
			}
			err = json.Unmarshal(b, &f)
		}
		l.mu.Lock()
		if err != nil {
			l.err = err
		} else {
			l.frames = append(l.frames, f)
			if f.Cursor != "" {
				l.cursor = f.Cursor
			}
		}
		close(l.news)
		l.news = make(chan struct{})
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *Live) ping() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if l.Send(map[string]string{"type": "ping"}) != nil {
				return
			}
		case <-l.ctx.Done():
			return
		}
	}
}

// Wait returns the next frame that matches, of those not waited past yet.
func (l *Live) Wait(ctx context.Context, what string, match func(Frame) bool) (Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for {
		l.mu.Lock()
		for l.next < len(l.frames) {
			f := l.frames[l.next]
			l.next++
			if match(f) {
				l.mu.Unlock()
				return f, nil
			}
		}
		news, err := l.news, l.err
		l.mu.Unlock()
		if err != nil {
			return Frame{}, fmt.Errorf("wait for %s: %w", what, err)
		}
		select {
		case <-news:
		case <-ctx.Done():
			return Frame{}, fmt.Errorf("wait for %s: nothing came in time", what)
		}
	}
}

// WaitEvent waits for an event of a kind.
func (l *Live) WaitEvent(ctx context.Context, kind string, match func(Frame) bool) (Frame, error) {
	return l.Wait(ctx, kind, func(f Frame) bool { return f.Type == "event" && f.Kind == kind && (match == nil || match(f)) })
}

// Frames are those that came so far.
func (l *Live) Frames() []Frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Frame(nil), l.frames...)
}

// Cursor is where to resume.
func (l *Live) Cursor() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursor
}

// Ended waits until the server closed the socket and returns the code, 0 when the connection just broke.
func (l *Live) Ended(ctx context.Context) (int, error) {
	select {
	case <-l.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("the socket stays open: %w", ctx.Err())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var ce *websocket.CloseError
	if errors.As(l.err, &ce) {
		return ce.Code, nil
	}
	return 0, nil
}

// Close cuts the connection without a goodbye, as a network does.
func (l *Live) Close() {
	_ = l.ws.Close()
	<-l.done
}
