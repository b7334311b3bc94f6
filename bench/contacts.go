package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/e2e/rig"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
)

const (
	strangers = 300
	mixed     = 200
	each      = 8 // messages at once
)

const (
	sqlContacts      = `SELECT count(*) FROM contact WHERE merged_into IS NULL`
	sqlLeads         = `SELECT count(*) FROM lead WHERE closed_at IS NULL`
	sqlMessages      = `SELECT count(*) FROM message WHERE kind = 'message'`
	sqlConversations = `SELECT count(*) FROM conversation WHERE status <> 'closed'`
)

// contacts counts what becomes of people who write several times at once, each message delivered twice.
func contacts(ctx context.Context, w *world) ([]row, error) {
	var rows []row
	err := w.with(ctx, func(h *hub) error {
		p, err := w.hooked(ctx, h)
		if err != nil {
			return err
		}
		defer p.close()
		if _, err := drive(ctx, 8, strangers, func(ctx context.Context, i int) error {
			bodies := make([][]byte, each)
			for k := range bodies {
				bodies[k] = p.update(int64(5000 + i))
			}
			_, err := drive(ctx, 2*each, 2*each, func(ctx context.Context, k int) error { return p.post(ctx, bodies[k/2]) })
			return err
		}); err != nil {
			return err
		}
		rows, err = counted(ctx, "8 at once from 300 new people, each twice", strangers, func(sql string) (int, error) { return ask[int](ctx, h, sql) })
		return err
	})
	if err != nil {
		return rows, err
	}
	more, err := mixedIdentities(ctx, w)
	return append(rows, more...), err
}

func counted(ctx context.Context, what string, people int, count func(sql string) (int, error)) ([]row, error) {
	var rows []row
	for _, q := range []struct {
		name, sql string
		want      int
	}{
		{"contacts", sqlContacts, people},
		{"open leads", sqlLeads, people},
		{"messages", sqlMessages, people * each},
		{"conversations", sqlConversations, people},
	} {
		n, err := count(q.sql)
		if err != nil {
			return rows, err
		}
		rows = append(rows, exact(what+": "+q.name, n, q.want))
	}
	return rows, ctx.Err()
}

// mixedIdentities lets each person write under a number, an id, and both, all at once: the way in itself is asked, for
// no provider of one channel gives such a mixture.
func mixedIdentities(ctx context.Context, w *world) ([]row, error) {
	pool, err := w.migrated(ctx)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	in, err := newWayIn(ctx, pool)
	if err != nil {
		return nil, err
	}
	defer in.close()
	_, err = drive(ctx, 4, mixed, func(ctx context.Context, p int) error {
		id := channels.Identity{Kind: crm.KindTelegram, Value: fmt.Sprint(500 + p)}
		nr := channels.Identity{Kind: crm.KindPhone, Value: fmt.Sprintf("+7912%07d", p)}
		ways := [each][]channels.Identity{{nr}, {nr}, {nr}, {id}, {id}, {id}, {id, nr}, {nr, id}}
		_, err := drive(ctx, 2*each, 2*each, func(ctx context.Context, k int) error {
			return in.ingest(ctx, fmt.Sprint(500+p), fmt.Sprintf("%d.%d", p, k/2), ways[k/2])
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return counted(ctx, "200 people under number, id and both", mixed, func(sql string) (n int, err error) {
		return n, pool.QueryRow(ctx, sql).Scan(&n)
	})
}

// wayIn is the hub's Ingester alone.
type wayIn struct {
	*inbox.Ingester
	channel int64
	close   func()
}

func newWayIn(ctx context.Context, pool *pgxpool.Pool) (*wayIn, error) {
	log := slog.New(slog.DiscardHandler)
	wire, err := bus.Embedded(log)
	if err != nil {
		return nil, err
	}
	w := &wayIn{Ingester: inbox.NewIngester(pool, crm.New(pool, wire, log, inbox.MergeFollower{}), wire, clock.System, log, inbox.IngestConfig{})}
	if err := pool.QueryRow(ctx, `INSERT INTO channel (kind, name) VALUES ('telegram', 'Bot') RETURNING id`).Scan(&w.channel); err != nil {
		wire.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(ctx) }) // when it cannot run, nothing is answered and the counts say so
	w.close = func() { cancel(); wg.Wait(); wire.Close() }
	return w, nil
}

func (w *wayIn) ingest(ctx context.Context, chat, key string, who []channels.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, rig.Patience)
	defer cancel()
	return w.Ingest(ctx, w.channel, 0, channels.Batch{Events: []channels.Inbound{{
		Kind: channels.Message, EventKey: key, ProviderID: key, Chat: chat, Direction: channels.In, Content: "text", Text: "hi",
		Sender: channels.Person{Identities: who, Name: "Person " + chat}, At: time.Now(),
	}}})
}
