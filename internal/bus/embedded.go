package bus

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/parley-hub/parley/internal/errs"
)

const (
	startTimeout = 10 * time.Second
	clusterName  = "parley"
)

// Embedded runs a NATS server inside the process. It opens no port; the only connection is in memory.
func Embedded(log *slog.Logger) (Bus, error) {
	return embed(log, server.ClusterOpts{}, nil)
}

// EmbeddedCluster is Embedded for several nodes: the servers open one port each, listen, and connect to their peers,
// for ever. An address is host:port or user:password@host:port; all nodes share user and password, and whoever knows
// them can listen to the hints. Peers may name the node itself, so that all nodes can have one list.
func EmbeddedCluster(listen string, peers []string, log *slog.Logger) (Bus, error) {
	user, host, port, err := parsePeer("listen", listen)
	if err != nil {
		return nil, err
	}
	cluster := server.ClusterOpts{Name: clusterName, Host: host, Port: port, NoAdvertise: true}
	if user != nil {
		cluster.Username = user.Username()
		cluster.Password, _ = user.Password()
	} else if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		log.Warn("the bus port of this node has no password; anybody who reaches it can read and forge hints", "listen", listen)
	}
	var routes []*url.URL
	for _, p := range peers {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		peerUser, h, n, err := parsePeer("peers", p)
		if err != nil {
			return nil, err
		}
		routes = append(routes, &url.URL{Scheme: "nats-route", User: cmp.Or(peerUser, user), Host: net.JoinHostPort(h, strconv.Itoa(n))})
	}
	return embed(log, cluster, routes)
}

func parsePeer(field, addr string) (user *url.Userinfo, host string, port int, err error) {
	u, err := url.Parse("nats-route://" + strings.TrimSpace(addr))
	if err != nil || u.Host == "" || u.Path != "" {
		return nil, "", 0, errs.Field(field, "%q is no address; write host:port or user:password@host:port", addr)
	}
	// Port 0 lets the system choose; -1 is how the server spells that.
	port, err = strconv.Atoi(u.Port())
	if err != nil || port < 0 || port > 65535 {
		return nil, "", 0, errs.Field(field, "%q has no port; write host:port", addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return u.User, cmp.Or(u.Hostname(), "0.0.0.0"), port, nil
}

func embed(log *slog.Logger, cluster server.ClusterOpts, routes []*url.URL) (Bus, error) {
	opts := &server.Options{NoSigs: true, MaxPayload: 1 << 20, Cluster: cluster, Routes: routes}
	connect := []nats.Option{}
	if cluster.Port == 0 {
		opts.DontListen = true
	} else {
		// The server starts its routes only after it listens for clients (with DontListen it waits for ever, and then so
		// does its Shutdown). So it listens on a loopback port to which nobody knows the password.
		opts.Host, opts.Port = "127.0.0.1", server.RANDOM_PORT
		opts.Username, opts.Password = "parley", rand.Text()
		connect = append(connect, nats.UserInfo(opts.Username, opts.Password))
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("configure the embedded bus: %w", err)
	}
	srv.SetLoggerV2(&natsLog{log.With("component", "bus")}, false, false, false)
	srv.Start()
	stop := func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
	if !srv.ReadyForConnections(startTimeout) {
		stop()
		return nil, errs.New(errs.Unavailable, "the embedded bus did not start within %s", startTimeout)
	}
	c, err := dial("", log, stop, append(connect, nats.InProcessServer(srv))...)
	if err != nil {
		stop()
		return nil, err
	}
	return &embedded{client: c, server: srv}, nil
}

// embedded keeps the server at hand for tests that ask where it listens.
type embedded struct {
	*client
	server *server.Server
}

// natsLog brings the server's lines into ours; what NATS calls a notice is of no interest to an operator.
type natsLog struct{ log *slog.Logger }

var _ server.Logger = (*natsLog)(nil)

func (l *natsLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *natsLog) Fatalf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *natsLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *natsLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *natsLog) Tracef(string, ...any)           {}
