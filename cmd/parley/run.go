package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-hub/parley/channels"
	"github.com/parley-hub/parley/crm"
	"github.com/parley-hub/parley/inbox"
	"github.com/parley-hub/parley/inbox/live"
	"github.com/parley-hub/parley/inbox/notify"
	"github.com/parley-hub/parley/internal/blob"
	"github.com/parley-hub/parley/internal/bus"
	"github.com/parley-hub/parley/internal/clock"
	"github.com/parley-hub/parley/internal/config"
	"github.com/parley-hub/parley/internal/egress"
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

	staff     *staff.Service
	people    *crm.Service
	desk      *inbox.Desk
	finder    *inbox.Finder
	files     *inbox.Files
	channels  *inbox.Channels
	ingester  *inbox.Ingester
	deliverer *inbox.Deliverer
	router    *inbox.Router
	live      *live.Hub
	notify    *notify.Service
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
	h.staff = staff.New(staff.Config{BaseURL: h.url, Box: h.box}, pool, h.bus, log)
	h.people = crm.New(pool, h.bus, log, inbox.MergeFollower{})
	h.desk = inbox.NewDesk(pool, h.bus, log)
	var err error
	if h.finder, err = inbox.NewFinder(ctx, pool); err != nil {
		return err
	}
	h.services.closer(ctx, "finder", func(context.Context) error {
		h.finder.Close()
		return nil
	})
	h.files = inbox.NewFiles(pool, h.bus, h.blobs, log)
	h.channels = inbox.NewChannels(pool, h.bus, h.box, channelKinds(c.cfg), h.url, log)
	h.desk.Meet(h.people, h.channels)
	exports, keeper := inbox.NewExports(pool, h.bus, h.people, h.blobs, log), inbox.NewKeeper(pool, h.bus)
	h.ingester = inbox.NewIngester(pool, h.people, h.bus, clock.System, log, inbox.IngestConfig{})
	h.deliverer = inbox.NewDeliverer(pool, h.bus, h.blobs, log)
	h.router = inbox.NewRouter(pool, h.bus, log)
	sidebar := inbox.NewSidebar(pool, h.tailer, log)
	snooze := inbox.NewSnooze(h.desk)
	supervisor, err := channels.NewSupervisor(channels.Config{
		Source: h.channels,
		Kinds:  channelKinds(c.cfg),
		Sinks:  func(id, epoch int64) channels.Sink { return h.channels.Sink(h.ingester, id, epoch) },
		Hold:   h.leases.Hold,
		OnUp:   h.serveChannel,
		Log:    log.With("component", "supervisor"),
	})
	if err != nil {
		return err
	}
	typist := inbox.NewTypist(pool, h.bus, supervisor.Adapter, log)
	h.live = live.New(live.Config{BaseURL: h.url, AgentTypes: typist.AgentTypes}, h.tailer, h.bus, directory{pool, h.desk}, counter{sidebar}, log)
	answerFrames(h.live, pool, h.staff, h.desk)
	h.notify = notify.New(notify.Config{BaseURL: h.url, Looking: h.live.Looking}, pool, h.bus, h.box, egress.Guard{Allow: networks(c.cfg.EgressAllow)}, log)
	if err := h.notify.Prepare(ctx); err != nil {
		return err
	}

	h.tailer.Subscribe(h.router.Observe)
	h.tailer.Subscribe(snooze.Observe)
	h.tailer.Subscribe(forgetSetup(c.cfg.DataDir))
	followers := events.NewFollowers(pool, h.tailer, h.leases, log,
		events.AuditFollower(events.AuditKinds()), inbox.SearchFollower(), h.notify.Follower())

	runner, err := jobs.New(pool, log.With("component", "jobs"), slices.Concat(h.chores(), h.channels.Workers(), inbox.SearchWorkers(pool, log),
		h.desk.Workers(), h.notify.Workers(), exports.Workers(), keeper.Workers())...)
	if err != nil {
		return err
	}
	server, err := web.New(h.webConfig(c.cfg, listener), web.Deps{
		Pool: pool, Staff: h.staff, Desk: h.desk, Channels: h.channels, Ingester: h.ingester, Router: h.router, Files: h.files, Finder: h.finder,
		Sidebar: sidebar, CRM: h.people, Notify: h.notify, Hooks: hooks{supervisor}, Forms: hooks{supervisor}, Live: socket{h.live}, Log: log,
		Box: h.box, Egress: egress.Guard{Allow: networks(c.cfg.EgressAllow)}, Metrics: h.metrics(),
		SpineLag: h.tailer.Lag, SpineHolder: h.tailer.Holder, SampleData: h.channels.HasSample,
		Disks: diskUse(c.cfg), Exports: exports, Keeper: keeper,
	})
	if err != nil {
		return err
	}

	h.services.start(ctx, "tailer", h.tailer.Run)
	h.services.start(ctx, "sidebar", sidebar.Run)
	h.services.start(ctx, "live", h.live.Run)
	select { // from here on no event is missed
	case <-h.tailer.Started():
	case err := <-h.services.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	h.services.start(ctx, "followers", followers.Run)
	h.services.start(ctx, "staff", h.staff.Run)
	h.services.start(ctx, "heartbeat", heartbeat(h.live, h.staff, log))
	h.services.start(ctx, "snooze", snooze.Run)
	h.services.start(ctx, "router", func(ctx context.Context) error {
		return h.leases.Hold(ctx, "router", func(ctx context.Context, _ int64) error { return h.router.Run(ctx) })
	})
	h.services.start(ctx, "ingester", h.ingester.Run)
	h.services.start(ctx, "jobs", runner.Run)
	h.services.start(ctx, "channels", h.channels.Run)
	h.services.start(ctx, "supervisor", supervisor.Run)
	h.services.start(ctx, "typist", typist.Run)
	// Whoever waits for the hub to be ready signs in at once.
	if err := h.firstAdmin(ctx, c); err != nil {
		return err
	}
	h.services.start(ctx, "web", server.Run)
	return nil
}

// serveChannel is what runs beside a channel's adapter, under its lease: messages out, files in.
func (h *hub) serveChannel(ctx context.Context, id, epoch int64, a channels.Adapter) {
	together(ctx,
		func(ctx context.Context) { h.deliverer.Drain(ctx, id, epoch, a) },
		func(ctx context.Context) { h.files.Fetch(ctx, id, a) },
	)
}

// chores is the work of no room.
func (h *hub) chores() []jobs.Worker {
	return []jobs.Worker{
		jobs.Every(12*time.Hour, partitionsDue{}, func(ctx context.Context) error {
			return postgres.EnsurePartitions(ctx, h.db.pool, time.Now())
		}),
		jobs.Every(24*time.Hour, orphansDue{}, h.files.Sweep),
	}
}

type partitionsDue struct{}

func (partitionsDue) Kind() string { return "partitions" }

type orphansDue struct{}

func (orphansDue) Kind() string { return "orphaned_files" }

func (h *hub) webConfig(cfg config.Config, listener net.Listener) web.Config {
	return web.Config{Listen: cfg.Listen, Listener: listener, BaseURL: h.url, TrustedProxies: networks(cfg.TrustedProxies), Version: version}
}

// networks reads a list of networks out of the settings, which were checked.
func networks(list []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		if p, err := netip.ParsePrefix(strings.TrimSpace(s)); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func (h *hub) metrics() *prometheus.Registry {
	m := newMetrics()
	m.seconds("spine_lag", "How far the live feed is behind the newest commit.", h.tailer.Lag)
	m.count("ingest_stored", "Messages stored.", &h.ingester.Stored)
	m.count("ingest_doubled", "Deliveries that had been stored before.", &h.ingester.Doubled)
	m.count("ingest_poisoned", "Events set aside because they can never be stored.", &h.ingester.Poisoned)
	m.count("send_sent", "Messages delivered to a provider.", &h.deliverer.Sent)
	m.count("send_failed", "Messages that a provider refused.", &h.deliverer.Failed)
	m.count("send_uncertain", "Messages of which nobody knows whether they arrived.", &h.deliverer.Uncertain)
	m.count("send_retried", "Attempts that were put off.", &h.deliverer.Retried)
	m.count("route_assigned", "Conversations given to somebody.", &h.router.Assigned)
	m.count("route_returned", "Conversations taken back from somebody who was gone.", &h.router.Returned)
	m.count("route_replied", "Automatic replies outside of working hours.", &h.router.Replied)
	m.gauge("live_sockets", "Open sockets of the live feed.", func() float64 { return float64(h.live.Metrics.Sockets.Load()) })
	m.count("live_frames_sent", "Frames sent to sockets.", &h.live.Metrics.FramesSent)
	m.count("live_frames_dropped", "Frames dropped with the queues of slow sockets.", &h.live.Metrics.FramesDropped)
	m.count("live_slow_closes", "Sockets closed because they were too slow.", &h.live.Metrics.SlowCloses)
	m.count("live_snapshots", "Clients that had to read everything anew.", &h.live.Metrics.Snapshots)
	m.gauge("database_connections", "Open connections of the pool.", func() float64 { return float64(h.db.pool.Stat().TotalConns()) })
	m.gauge("database_connections_idle", "Idle connections of the pool.", func() float64 { return float64(h.db.pool.Stat().IdleConns()) })
	return m.Registry
}
