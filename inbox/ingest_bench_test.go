package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
	"github.com/parley-hub/parley/internal/dbtest"
)

// BenchmarkIngest is the way in with 64 callers, nine of ten known: what `make bench` measures over HTTP, without it.
func BenchmarkIngest(b *testing.B) {
	pool := dbtest.DB(b)
	log := slog.New(slog.DiscardHandler)
	wire, err := bus.Embedded(log)
	if err != nil {
		b.Fatal(err)
	}
	defer wire.Close()
	g := NewIngester(pool, crm.New(pool, wire, log, MergeFollower{}), wire, clock.System, log, IngestConfig{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Run(ctx) }()
	defer func() { cancel(); <-done }()
	var channel int64
	if err := pool.QueryRow(ctx, `INSERT INTO channel (kind, name) VALUES ('telegram', 'Bot') RETURNING id`).Scan(&channel); err != nil {
		b.Fatal(err)
	}
	var n atomic.Int64
	b.SetParallelism(32) // times GOMAXPROCS
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			who := i % 2000
			if i%10 == 0 {
				who = 1_000_000 + i
			}
			if err := g.Ingest(ctx, channel, 0, channels.Batch{Events: []channels.Inbound{writes(fmt.Sprint(who), fmt.Sprint(i), "Hello, do you have forty seats for December?")}}); err != nil {
				b.Error(err)
			}
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
