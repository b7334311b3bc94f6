package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/testsignal"
)

func TestFrames(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		want := bytes.Repeat([]byte("x"), n)
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write(text(want))
			_ = server.Close()
		}()
		got, op, err := readFrame(client)
		if err != nil || op != opText || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, opcode %d, %v", n, len(got), op, err)
		}
		_ = client.Close()
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	f := eventFrame(&events.Event{Cursor: events.Cursor{Epoch: 1, XID: 2, ID: 3}, At: at, Actor: events.Actor{Kind: `"<é`}}, "x\n\"y", []byte(`{"a": 1}`))
	var got map[string]any
	payload, _, err := readFrame(bytes.NewReader(f))
	if err == nil {
		err = json.Unmarshal(payload, &got)
	}
	want := map[string]any{
		"type": "event", "cursor": "1.2.3", "kind": "x\n\"y", "at": "2026-01-02T03:04:05.000006Z",
		"actor": map[string]any{"kind": `"<é`, "id": nil}, "conversation_id": nil, "data": map[string]any{"a": 1.0},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// readFrame reads one frame from a server.
func readFrame(r io.Reader) (payload []byte, op byte, err error) {
	var h [10]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return nil, 0, err
	}
	n := uint64(h[1])
	more := 0
	switch n {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if more > 0 {
		if _, err := io.ReadFull(r, h[2:2+more]); err != nil {
			return nil, 0, err
		}
		n = 0
		for _, b := range h[2 : 2+more] {
			n = n<<8 | uint64(b)
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return payload, h[0] & 0xf, err
}

func TestHelloAndPing(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	r.hire(2, scopeOwn)
	r.count(7)
	testsignal.Until(t, "statuses are loaded", func() bool {
		r.hub.mu.Lock()
		defer r.hub.mu.Unlock()
		return len(r.hub.people.statuses) == 2
	})
	c, f := r.join(1)
	if f.Type != "ready" || f.Cursor == "" || f.Counts["mine"] != 7 || !cmp.Equal(f.Presence, map[string]string{"1": "online", "2": "online"}) {
		t.Errorf("got %+v", f)
	}
	c.send(map[string]string{"type": "ping"})
	if f := c.next(); f.Type != "pong" {
		t.Errorf("got %s", f.Type)
	}
	var ponged atomic.Bool
	c.ws.SetPongHandler(func(data string) error { ponged.Store(data == "hey"); return nil })
	if err := c.ws.WriteControl(websocket.PingMessage, []byte("hey"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	c.send(map[string]string{"type": "ping"})
	c.next()
	if !ponged.Load() {
		t.Error("a ping of the protocol was not answered")
	}
	if err := c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if code := c.closed(); code != 1000 {
		t.Errorf("a close was answered with %d", code)
	}
}

// TestRudeClients: nothing that a client sends does more than end his own socket.
func TestRudeClients(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	r.hub.Handle("boom", func(context.Context, Viewer, json.RawMessage) error { panic("boom") })
	r.hub.Handle("read", func(_ context.Context, v Viewer, msg json.RawMessage) error {
		if v.AgentID != 1 || !strings.Contains(string(msg), `"message_id"`) {
			t.Errorf("handler got %v %s", v, msg)
		}
		return errs.New(errs.NotFound, "no such message")
	})
	r.hub.Handle("call.", func(context.Context, Viewer, json.RawMessage) error { return errors.New("secret of the house") })
	witness, _ := r.join(1)

	c, _ := r.join(1)
	for _, tc := range []struct{ send, code, ref, message string }{
		{`{"type":"dance"}`, "invalid", "dance", ""},
		{`{"type":"hello"}`, "invalid", "hello", ""},
		{`{"type":"watch","conversation_id":"77","ref":"r1"}`, "not_found", "r1", "Conversation not found"},
		{`{"type":"watch","conversation_id":{}}`, "invalid", "", ""},
		{`{"type":"typing"}`, "invalid", "typing", ""},
		{`{"type":"typing","conversation_id":"-3"}`, "invalid", "", ""},
		{`{"type":"read","message_id":"m"}`, "not_found", "read", "no such message"},
		{`{"type":"call.answer"}`, "internal", "call.answer", "that did not work; try again"},
		{`{"type":"` + strings.Repeat("x", 2000) + `"}`, "invalid", strings.Repeat("x", 40), ""},
		{`not json`, "invalid", "", ""},
		{``, "invalid", "", ""},
		{`[1,2]`, "invalid", "", ""},
		{`null`, "invalid", "", ""},
	} {
		if err := c.ws.WriteMessage(websocket.TextMessage, []byte(tc.send)); err != nil {
			t.Fatal(err)
		}
		f := c.next()
		if f.Type != "error" || f.Code != tc.code || f.Ref != tc.ref || f.Message == "" || tc.message != "" && f.Message != tc.message {
			t.Errorf("%.60s: got %+v", tc.send, f)
		}
	}
	early := r.dial(1)
	early.send(map[string]string{"type": "watch", "conversation_id": "1"})
	if f := early.next(); f.Type != "error" || f.Code != "invalid" {
		t.Errorf("before hello: got %+v", f)
	}
	for name, tc := range map[string]struct {
		do   func(*client) error
		code int
	}{
		"bad UTF-8":    {func(c *client) error { return c.ws.WriteMessage(websocket.TextMessage, []byte("{\"type\":\"\xff\"}")) }, 1007},
		"binary":       {func(c *client) error { return c.ws.WriteMessage(websocket.BinaryMessage, []byte(`{}`)) }, 1003},
		"a huge frame": {func(c *client) error { return c.ws.WriteMessage(websocket.TextMessage, make([]byte, readLimit+1)) }, 1009},
		"huge in many small": {func(c *client) error {
			w, err := c.ws.NextWriter(websocket.TextMessage)
			for n := 0; n <= 2*readLimit && err == nil; n += 4096 {
				_, err = w.Write(make([]byte, 4096))
			}
			return nil // the server may have closed already
		}, 1009},
		"a panic": {func(c *client) error { return c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"boom"}`)) }, 1011},
		"no mask": {func(c *client) error { _, err := c.ws.NetConn().Write(text([]byte(`{"type":"ping"}`))); return err }, 1002},
		"a length of -1": {func(c *client) error {
			_, err := c.ws.NetConn().Write([]byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff1234"))
			return err
		}, -1},
	} {
		c, _ := r.join(1)
		if err := tc.do(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if code := c.closed(); code != tc.code && !(tc.code == 1009 && code == -1) {
			t.Errorf("%s: closed with %d, want %d", name, code, tc.code)
		}
	}
	// A long frame within the limit is read whole, also when it comes in pieces.
	w, err := c.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`{"type":`, `"ping","x":"`, strings.Repeat("y", 60_000), `"}`} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if f := c.next(); f.Type != "pong" {
		t.Errorf("a long ping got %+v", f)
	}
	r.write(marker("end"))
	witness.until("end")
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	check := originCheck("https://desk.example.com:8443/x")
	for origin, want := range map[string]bool{
		"":                                               true,
		"https://desk.example.com:8443":                  true,
		"https://DESK.example.com:8443":                  true,
		"http://127.0.0.1:8080":                          true,
		"https://desk.example.com":                       false,
		"https://desk.example.com:84430":                 false,
		"https://evil.example.com":                       false,
		"https://desk.example.com:8443.evil.example.com": false,
		"https://evil.example.com/desk.example.com:8443": false,
		"null":                 false,
		"file://":              false,
		"ftp://127.0.0.1:8080": false,
		"://":                  false,
	} {
		q := &http.Request{Host: "127.0.0.1:8080", Header: http.Header{}}
		if origin != "" {
			q.Header.Set("Origin", origin)
		}
		if got := check(q); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
	r := open(t, Config{})
	r.hire(1, scopeAll)
	h := r.header(1, 1)
	h.Set("Origin", "https://evil.example.com")
	_, answer, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(r.url, "http"), h)
	if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page was let in: %v, %v", answer, err)
	}
	plain, err := http.Get(r.url) //nolint:noctx // a test
	if err != nil || plain.StatusCode != http.StatusBadRequest {
		t.Errorf("a plain request: %v, %v", plain, err)
	}
	_ = plain.Body.Close()
}

func TestSilentSocketsAreDropped(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	now.Store(1_700_000_000_000)
	r := open(t, Config{Now: func() time.Time { return time.UnixMilli(now.Load()).UTC() }})
	r.hire(1, scopeAll)
	r.hire(2, scopeAll)
	quiet, _ := r.join(1)
	lively, _ := r.join(2)
	for range 5 {
		now.Add(7_900)
		lively.send(map[string]string{"type": "ping"})
		lively.await("pong")
		if now.Load() == 1_700_000_000_000+3*7_900 && len(r.hub.Connected()) != 2 {
			t.Error("a socket was dropped before its 25 s")
		}
	}
	testsignal.Until(t, "the silent one is dropped", func() bool { return slices.Equal(r.hub.Connected(), []int64{2}) })
	if code := quiet.closed(); code != -1 {
		t.Errorf("the silent one got code %d", code)
	}
	if n := r.hub.Metrics.SilentCloses.Load(); n != 1 {
		t.Errorf("%d silent closes", n)
	}
	lively.send(map[string]string{"type": "ping"})
	lively.await("pong")
}

// TestSlowConsumer: one client stops reading during a flood. The others are not held up, he is closed with 4001 and
// misses nothing when he comes back.
func TestSlowConsumer(t *testing.T) {
	t.Parallel()
	r := open(t, Config{WriteTimeout: 2 * time.Second})
	for agent := range int64(6) {
		r.hire(agent+1, scopeAll)
	}
	slow, _ := r.join(1)
	if tcp, ok := slow.ws.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	var others []*client
	for agent := range int64(5) {
		c, _ := r.join(agent + 2)
		others = append(others, c)
	}
	const total = 1500
	done := make(chan error, len(others))
	for i, c := range others {
		go func() { done <- r.readAll(c, int64(i+2), total) }()
	}
	var evs []events.Event
	for i := range int64(total) {
		e := message(i+1, place{})
		e.Payload = map[string]string{"text": strings.Repeat("x", 1000)}
		if evs = append(evs, e); len(evs) == 50 {
			r.write(evs...)
			evs = evs[:0]
		}
	}
	for range others {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	testsignal.Until(t, "the slow one is closed", func() bool { return r.hub.Metrics.SlowCloses.Load() > 0 })
	// He wakes up, reads what is left and comes back.
	next, cursor := 1, ""
	take := func(f frame) {
		if f.Type == "event" {
			if f.ConversationID != fmt.Sprint(next) {
				t.Fatalf("got event %s, want %d", f.ConversationID, next)
			}
			next++
			cursor = f.Cursor
		}
	}
	for {
		f, err := slow.read()
		if err != nil {
			// If he sleeps longer than a write may take, there is no way left to tell him why.
			var ce *websocket.CloseError
			if errors.As(err, &ce) && ce.Code != closeSlow && ce.Code != websocket.CloseAbnormalClosure {
				t.Errorf("closed with %d", ce.Code)
			}
			break
		}
		take(f)
	}
	if next == total+1 {
		t.Fatal("he was not slow")
	}
	back := r.dial(1)
	if f := back.hello(cursor); f.Type != "ready" {
		t.Fatalf("got %s", f.Type)
	}
	for next <= total {
		take(back.next())
	}
}

// readAll reads events 1 to total in order. A machine that is busy with other things may leave a reader without
// processor so long that he is called slow: then he comes back, as browsers do.
func (r *room) readAll(c *client, agent int64, total int) error {
	cursor := ""
	for next := 1; next <= total; {
		f, err := c.read()
		switch {
		case err == nil && f.Type == "event":
			if f.ConversationID != fmt.Sprint(next) {
				return fmt.Errorf("agent %d got event %s, want %d", agent, f.ConversationID, next)
			}
			next++
			cursor = f.Cursor
		case websocket.IsCloseError(err, closeSlow) && cursor != "":
			if c, err = r.try(agent, 0); err != nil {
				return err
			}
			if err := c.ws.WriteJSON(map[string]string{"type": "hello", "since": cursor}); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("agent %d after event %d: %w", agent, next-1, err)
		}
	}
	return nil
}

func TestTooManySocketsOfOneAgent(t *testing.T) {
	t.Parallel()
	r := open(t, Config{MaxPerAgent: 2})
	r.hire(1, scopeAll)
	r.join(1)
	r.join(1)
	if _, err := r.try(1, 0); err == nil {
		t.Error("a third socket was opened")
	}
}

func TestStopSaysGoodbye(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	r.hire(1, scopeAll)
	c, _ := r.join(1)
	idle := r.dial(1)
	r.stop()
	for _, c := range []*client{c, idle} {
		if code := c.closed(); code != 1001 {
			t.Errorf("closed with %d", code)
		}
	}
}
