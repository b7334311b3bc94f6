// Package bus carries hints between the parts of a node and between nodes: "the spine has something new", "somebody is
// typing". It is NATS, embedded in the process by default.
//
// Invariants. Nothing that must not be lost travels here; Postgres is the truth, and whoever listens also looks for
// himself from time to time. Publish never blocks, whatever the network does: a hint that finds the queue full is
// dropped. What one publisher sends on one subject arrives in that order.
//
// Failure. A lost connection is taken up again for ever; subscriptions come back with it, hints sent meanwhile may be
// lost.
package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/parley-hub/parley/internal/errs"
)

// Bus publishes and delivers hints. Subjects are NATS subjects: words joined by dots, in a subscription with * for one
// word and > for the rest. A subscriber's function is called in order by a goroutine of its own; publishers hear
// themselves.
type Bus interface {
	Publish(subject string, data []byte) error
	Subscribe(subject string, fn func(subject string, data []byte)) (unsubscribe func(), err error)
	Close()
}

// ErrDropped says that the queue toward the server is full and the hint was thrown away.
var ErrDropped = &errs.E{Code: errs.Unavailable, Msg: "the bus is overloaded; the hint was dropped"}

// ErrClosed says that the bus was closed.
var ErrClosed = &errs.E{Code: errs.Unavailable, Msg: "the bus is closed"}

const (
	// queueSize bounds what waits for the connection's own buffer; hints are small, so this is a few hundred kB.
	queueSize = 4096
	// maxPending bounds what one slow subscriber keeps unread before NATS drops for it.
	maxPending      = 65536
	maxPendingBytes = 64 << 20
	connectTimeout  = 5 * time.Second
	flushTimeout    = 2 * time.Second
	maxReconnect    = 5 * time.Second
)

type hint struct {
	subject string
	data    []byte
}

// client is the one implementation; embedded and external servers differ in how it was connected and what Close stops.
type client struct {
	log   *slog.Logger
	conn  *nats.Conn
	queue chan hint
	stop  func() // stops the server that is ours, if any

	close  sync.Once
	closed chan struct{}
	done   chan struct{}
}

var _ Bus = (*client)(nil)

// Connect joins the NATS cluster at url (several addresses separated by commas; credentials inside). A cluster that
// does not answer yet is no error: the connection is tried for ever.
func Connect(url string, log *slog.Logger) (Bus, error) {
	return dial(url, log, nil)
}

func dial(url string, log *slog.Logger, stop func(), more ...nats.Option) (*client, error) {
	log = log.With("component", "bus")
	opts := append([]nats.Option{
		nats.Name("parley"),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.CustomReconnectDelay(reconnectDelay),
		// A dead peer is noticed in half a minute instead of the library's four.
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(connectTimeout),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("bus connection lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info("bus connection restored", "server", c.ConnectedServerName()) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Warn("bus error", "subject", subject, "error", err)
		}),
	}, more...)
	conn, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the bus: %w", err)
	}
	c := &client{log: log, conn: conn, queue: make(chan hint, queueSize), stop: stop, closed: make(chan struct{}), done: make(chan struct{})}
	go c.forward()
	return c, nil
}

// reconnectDelay grows from 100 ms to 5 s; the library adds its own jitter between servers of one round.
func reconnectDelay(attempts int) time.Duration {
	return min(100*time.Millisecond<<min(attempts, 6), maxReconnect)
}

// forward is the only caller of the connection's Publish, which may block on a stalled network.
func (c *client) forward() {
	defer close(c.done)
	for {
		select {
		case h := <-c.queue:
			if err := c.conn.Publish(h.subject, h.data); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
				c.log.Debug("hint lost", "subject", h.subject, "error", err)
			}
		case <-c.closed:
			return
		}
	}
}

func (c *client) Publish(subject string, data []byte) error {
	select {
	case <-c.closed:
		return ErrClosed
	default:
	}
	select {
	case c.queue <- hint{subject: subject, data: data}:
		return nil
	default:
		return ErrDropped
	}
}

func (c *client) Subscribe(subject string, fn func(subject string, data []byte)) (func(), error) {
	sub, err := c.conn.Subscribe(subject, func(m *nats.Msg) { fn(m.Subject, m.Data) })
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", subject, err)
	}
	if err := sub.SetPendingLimits(maxPending, maxPendingBytes); err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", subject, err)
	}
	// The server must know of it before we return, or the first hint after Subscribe could pass by. Without a connection
	// there is nothing to miss.
	if c.conn.IsConnected() {
		_ = c.conn.FlushTimeout(flushTimeout)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// Close stops delivering, and the embedded server if there is one. It may be called twice.
func (c *client) Close() {
	c.close.Do(func() {
		close(c.closed)
		c.conn.Close()
		<-c.done
		if c.stop != nil {
			c.stop()
		}
	})
}
