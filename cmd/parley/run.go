package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
	"github.com/parley-hub/parley/internal/config"
	"github.com/parley-hub/parley/internal/events"
	"github.com/parley-hub/parley/internal/jobs"
	"github.com/parley-hub/parley/internal/postgres"
	"github.com/parley-hub/parley/internal/secret"
	"github.com/parley-hub/parley/staff"
	"github.com/parley-hub/parley/web"
)

// hub is the running program. Its parts are made in the order of the fields, and stopped in the reverse one.
type hub struct {
	services *services
	url      string // where people reach it

	box    *secret.Box
	db     *database
	bus    bus.Bus
	blobs  blob.Store
	tailer *events.Tailer
	leases *postgres.Leases

	staff    *staff.Service
	people   *crm.Service
	desk     *inbox.Desk
	channels *inbox.Channels
	ingester *inbox.Ingester
}

// startHub makes and starts everything. After an error nothing of it runs any more.
func startHub(ctx context.Context, c call) (*hub, error) {
	h := &hub{services: newServices(c.log)}
	if err := h.start(ctx, c); err != nil {
		h.services.stop()
		return nil, err
	}
	return h, nil
}

func (h *hub) start(ctx context.Context, c call) error {
	// The node's name is the first thing in the data directory, since making it makes the directory.
	node, err := postgres.NodeID(c.cfg.DataDir)
	if err != nil {
		return err
	}
	// The port, before anything slow: a taken one is the most common mistake.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.cfg.Listen)
	if err != nil {
		return fmt.Errorf("PARLEY_LISTEN: %w", err)
	}
	h.services.closer(ctx, "listener", func(context.Context) error {
		_ = listener.Close() // the web server has closed it already
		return nil
	})
	h.url = c.cfg.PublicURL(listener.Addr().String())

	if err := h.foundation(ctx, c, node); err != nil {
		return err
	}
	return h.rooms(ctx, c, listener)
}

// foundation is what knows no noun of the business: key, database, bus, files, spine.
func (h *hub) foundation(ctx context.Context, c call, node string) (err error) {
	if h.box, err = openBox(ctx, c.cfg, c.log); err != nil {
		return err
	}
	if h.db, err = openDatabase(ctx, c.cfg, c.log); err != nil {
		return err
	}
	h.services.closer(ctx, "database", h.db.close)
	if err := postgres.Migrate(ctx, h.db.pool); err != nil {
		return err
	}
	if h.bus, err = openBus(c.cfg, c.log); err != nil {
		return err
	}
	h.services.closer(ctx, "bus", func(context.Context) error {
		h.bus.Close()
		return nil
	})
	if h.blobs, err = h.openBlobs(ctx, c.cfg); err != nil {
		return err
	}
	h.leases = postgres.NewLeases(h.db.pool, node, c.log)
	h.tailer = events.NewTailer(h.db.pool, h.bus, c.log)
	return nil
}

func openBox(ctx context.Context, cfg config.Config, log *slog.Logger) (*secret.Box, error) {
	path, external := cfg.SecretKeyPath()
	if external {
		return secret.Load(path)
	}
	box, created, err := secret.LoadOrCreate(path)
	if created {
		log.InfoContext(ctx, "key made; keep a copy apart from the backups", "file", path)
	}
	return box, err
}

func openBus(cfg config.Config, log *slog.Logger) (bus.Bus, error) {
	switch {
	case len(cfg.NATSURL) > 0:
		return bus.Connect(strings.Join(cfg.NATSURL, ","), log)
	case len(cfg.ClusterPeers) > 0:
		return bus.EmbeddedCluster(cfg.ClusterPeers[0], cfg.ClusterPeers[1:], log)
	default:
		return bus.Embedded(log)
	}
}

func (h *hub) openBlobs(ctx context.Context, cfg config.Config) (blob.Store, error) {
	if cfg.BlobURL == "" {
		d, err := blob.OpenDir(cfg.BlobDir())
		if err != nil {
			return nil, err
		}
		h.services.closer(ctx, "files", func(context.Context) error { return d.Close() })
		return d, nil
	}
	b, err := blob.OpenBucket(ctx, cfg.BlobURL, cfg.BlobDir())
	if err != nil {
		return nil, err
	}
	h.services.closer(ctx, "files", func(context.Context) error { return b.Close() })
	return b, nil
}

// rooms makes the rooms, lets them meet, and starts what runs: first what works, last what takes things in.
func (h *hub) rooms(ctx context.Context, c call, listener net.Listener) error {
	pool, log := h.db.pool, c.log
	h.staff = staff.New(staff.Config{BaseURL: h.url}, pool, h.bus, log)
	h.people = crm.New(pool, h.bus, log, inbox.MergeFollower{})
	h.desk = inbox.NewDesk(pool, h.bus, log)
	h.channels = inbox.NewChannels(pool, h.bus, h.box, channelKinds(), h.url, log)
	h.ingester = inbox.NewIngester(pool, h.people, h.bus, clock.System, log, inbox.IngestConfig{})
	deliverer := inbox.NewDeliverer(pool, h.bus, h.blobs, log)
	snooze := inbox.NewSnooze(h.desk)

	h.tailer.Subscribe(snooze.Observe)
	h.tailer.Subscribe(forgetSetup(c.cfg.DataDir))
	followers := events.NewFollowers(pool, h.tailer, h.leases, log, events.AuditFollower(events.AuditKinds()))

	supervisor, err := channels.NewSupervisor(channels.Config{
		Source: h.channels,
		Kinds:  channelKinds(),
		Sinks:  func(id, epoch int64) channels.Sink { return h.channels.Sink(h.ingester, id, epoch) },
		Hold:   h.leases.Hold,
		OnUp:   deliverer.Drain,
		Log:    log.With("component", "supervisor"),
	})
	if err != nil {
		return err
	}
	runner, err := jobs.New(pool, log.With("component", "jobs"), h.chores()...)
	if err != nil {
		return err
	}
	server, err := web.New(h.webConfig(c.cfg, listener), web.Deps{
		Pool: pool, Staff: h.staff, Desk: h.desk, Channels: h.channels, Ingester: h.ingester,
		Hooks: hooks{supervisor}, Log: log, Metrics: newRegistry(), SpineLag: h.tailer.Lag,
	})
	if err != nil {
		return err
	}

	h.services.start(ctx, "tailer", h.tailer.Run)
	select {
	case <-h.tailer.Started():
	case err := <-h.services.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	h.services.start(ctx, "followers", followers.Run)
	h.services.start(ctx, "staff", h.staff.Run)
	h.services.start(ctx, "snooze", snooze.Run)
	h.services.start(ctx, "ingester", h.ingester.Run)
	h.services.start(ctx, "jobs", runner.Run)
	h.services.start(ctx, "channels", h.channels.Run)
	h.services.start(ctx, "supervisor", supervisor.Run)
	h.services.start(ctx, "web", server.Run)
	return nil
}

// chores is the work of no room.
func (h *hub) chores() []jobs.Worker {
	return []jobs.Worker{
		jobs.Every(12*time.Hour, partitionsDue{}, func(ctx context.Context) error {
			return postgres.EnsurePartitions(ctx, h.db.pool, time.Now())
		}),
	}
}

type partitionsDue struct{}

func (partitionsDue) Kind() string { return "partitions" }

func (h *hub) webConfig(cfg config.Config, listener net.Listener) web.Config {
	var proxies []netip.Prefix
	for _, s := range cfg.TrustedProxies {
		if p, err := netip.ParsePrefix(strings.TrimSpace(s)); err == nil { // the settings were checked
			proxies = append(proxies, p)
		}
	}
	return web.Config{Listen: cfg.Listen, Listener: listener, BaseURL: h.url, TrustedProxies: proxies, Version: version}
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
