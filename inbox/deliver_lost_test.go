package inbox

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// cutConn is a connection to the database that dies once, when armed, after a COMMIT was carried out and before its
// answer arrives: what a crash of the server looks like to somebody who cannot know whether his commit stands.
type cutConn struct {
	net.Conn
	armed  *atomic.Bool
	claims bool // the transaction under way claims the outbox
	cut    bool
}

func (c *cutConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("begin")) {
		c.claims = false
	}
	if bytes.Contains(b, []byte("SET state = 'sending'")) {
		c.claims = true
	}
	c.cut = c.claims && bytes.Contains(b, []byte("commit")) && c.armed.CompareAndSwap(true, false)
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.cut && err == nil { // the answer is there, so the server has committed
		_ = c.Close()
		return 0, errors.New("the connection was cut")
	}
	return n, err
}

func TestAClaimWhoseCommitWasLostIsNotStuck(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	var armed atomic.Bool
	cfg := p.pool.Config()
	// every statement is sent as text, so that the connection can tell which one claims
	cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return &cutConn{Conn: c, armed: &armed}, err
	}
	pool, err := pgxpool.NewWithConfig(p.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	p.out = NewDeliverer(pool, p.bus, p.out.blobs, slog.New(slog.DiscardHandler))

	armed.Store(true)
	p.send("hello")
	stop := p.drain()
	defer stop()
	p.until(1, byStatus, "sent")
	if armed.Load() {
		t.Fatal("no commit was lost: the test proves nothing")
	}
	if got := p.remote.Received(); len(got) != 1 {
		t.Errorf("the customer got %d messages, want 1", len(got))
	}
	if n := p.id(`SELECT attempts FROM outbox`); n != 1 {
		t.Errorf("got %d attempts, want 1: the lost claim was none", n)
	}
}
