package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/parley-hub/parley/channels/telegram"
	"github.com/parley-hub/parley/channels/telegram/tgfake"
	"github.com/parley-hub/parley/inbox"
)

func demoCommand() command {
	return command{name: "demo", help: "run the server with sample data and simulated customers", run: func(ctx context.Context, c call) error {
		return serve(ctx, c, startDemo)
	}}
}

const (
	demoName = "Sample shop (Telegram)"
	// A customer is met every few seconds at first, so that there is something to see, and then now and then.
	demoBurst = 8
	demoSoon  = 1500 * time.Millisecond
	demoLater = 25 * time.Second
	// How long a customer reads and types before he answers.
	demoThink = 2 * time.Second
	demoType  = 4 * time.Second
)

// startDemo starts a Bot API server on this machine with customers who do not exist, and a channel that talks to it. The
// hub treats both like the real ones; the channel is marked as sample data, which the app removes in one click.
func startDemo(ctx context.Context, h *hub) error {
	server, err := tgfake.Listen("127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	h.services.closer(ctx, "demo server", func(context.Context) error {
		server.Close()
		return nil
	})
	// The hub remembers what it has seen in earlier runs; tenths of a second count faster than customers write.
	server.Bot().Skip(int(time.Now().UnixMilli()/100 - 17_000_000_000))
	if err := h.demoChannel(ctx, server.URL()); err != nil {
		return fmt.Errorf("sample channel: %w", err)
	}
	d := &demo{server: server, rand: rand.New(rand.NewPCG(1, 1))} // the same story every time
	h.services.start(ctx, "demo", d.run)
	return nil
}

// demoChannel points the sample channel of an earlier run to the new server, or makes one.
func (h *hub) demoChannel(ctx context.Context, url string) error {
	settings := map[string]any{"token": tgfake.Token, "mode": "poll", "api_url": url}
	list, err := h.channels.List(ctx, operator())
	if err != nil {
		return err
	}
	for _, ch := range list {
		if ch.Sample && ch.Kind == telegram.Name {
			_, err := h.channels.Update(ctx, operator(), ch.ID, inbox.ChannelPatch{Settings: settings})
			return err
		}
	}
	_, err = h.channels.Create(ctx, operator(), inbox.NewChannel{Kind: telegram.Name, Name: demoName, Settings: settings, Sample: true})
	return err
}

// demo plays the customers, each in a goroutine of his own.
type demo struct {
	server *tgfake.Server
	mu     sync.Mutex
	rand   *rand.Rand
}

func (d *demo) between(from, more time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return from + time.Duration(d.rand.Int64N(int64(more)))
}

func (d *demo) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for i, c := range cast() {
		if i > 0 && !pause(ctx, map[bool]time.Duration{true: demoSoon, false: demoLater}[i < demoBurst]) {
			return nil
		}
		wg.Go(func() { d.play(ctx, c) })
	}
	<-ctx.Done()
	return nil
}

// play writes the customer's first lines, and one more for each answer that he gets.
func (d *demo) play(ctx context.Context, c customer) {
	answers := make(chan struct{}, 1)
	u := d.server.NewUser(c.name, c.lang)
	u.Username, u.Phone = c.username, c.phone
	u.OnMessage(func(tgfake.Message) {
		select {
		case answers <- struct{}{}:
		default:
		}
	})
	for _, say := range c.opens {
		say(u)
		if !pause(ctx, d.between(demoThink/2, demoThink)) {
			return
		}
	}
	for _, say := range c.then {
		select {
		case <-ctx.Done():
			return
		case <-answers:
		}
		if !pause(ctx, d.between(demoThink, demoType)) {
			return
		}
		say(u)
	}
}

// pause reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
