package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a setting. A warning does not keep the program from starting.
type Problem struct {
	Name    string
	Text    string
	Warning bool
}

func (p Problem) String() string {
	kind := "error"
	if p.Warning {
		kind = "warning"
	}
	return kind + ": " + p.Name + ": " + p.Text
}

// Fatal reports whether one of the problems keeps the program from starting.
func Fatal(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return !p.Warning })
}

// Check tells everything that is wrong, in the order of the settings. It touches no network and changes nothing.
func (c Config) Check() []Problem {
	var list checks
	list.address("PARLEY_LISTEN", c.Listen)
	list.baseURL(c)
	list.cidrs("PARLEY_TRUSTED_PROXIES", c.TrustedProxies)
	list.dataDir(c.DataDir)
	if c.DatabaseURL != "" {
		list.url("PARLEY_DATABASE_URL", c.DatabaseURL, "postgres", "postgresql")
	}
	list.pgBin(c.PGBin)
	if c.BlobURL != "" {
		list.url("PARLEY_BLOB_URL", c.BlobURL, "s3")
	}
	if c.SecretKeyFile != "" {
		if _, err := os.Stat(c.SecretKeyFile); err != nil {
			list.add("PARLEY_SECRET_KEY_FILE", "%v; make one with: head -c 32 /dev/urandom | base64", err)
		}
	}
	list.admin(c)
	list.address("PARLEY_SIP_LISTEN", c.SIPListen)
	list.ports("PARLEY_RTP_PORTS", c.RTPPorts)
	if c.WebRTCPort < 0 || c.WebRTCPort > 65535 {
		list.add("PARLEY_WEBRTC_PORT", "%d is no port", c.WebRTCPort)
	}
	list.bus(c)
	list.cidrs("PARLEY_EGRESS_ALLOW", c.EgressAllow)
	if _, err := ParseLevel(c.LogLevel); err != nil {
		list.add("PARLEY_LOG_LEVEL", "%v", err)
	}
	return list
}

// ParseLevel reads PARLEY_LOG_LEVEL.
func ParseLevel(s string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return 0, fmt.Errorf("%q is none of debug, info, warn, error", s)
	}
	return l, nil
}

type checks []Problem

func (l *checks) add(name, format string, args ...any) {
	*l = append(*l, Problem{Name: name, Text: fmt.Sprintf(format, args...)})
}

func (l *checks) warn(name, format string, args ...any) {
	*l = append(*l, Problem{Name: name, Text: fmt.Sprintf(format, args...), Warning: true})
}

func (l *checks) address(name, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		l.add(name, "%q is not host:port, for example 127.0.0.1:8080", addr)
	}
}

// url checks form and scheme. The value may hold a password, so the message never repeats it.
func (l *checks) url(name, raw string, schemes ...string) {
	u, err := url.Parse(raw)
	if err != nil || !slices.Contains(schemes, u.Scheme) {
		l.add(name, "is not an address that starts with %s://", strings.Join(schemes, ":// or "))
	}
}

func (l *checks) baseURL(c Config) {
	if c.BaseURL != "" {
		u, err := url.Parse(c.BaseURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			l.add("PARLEY_BASE_URL", "%q is not of the form https://support.example.org", c.BaseURL)
			return
		}
		if u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			l.add("PARLEY_BASE_URL", "%q has more than a scheme, a host and a port; a path is not supported", c.BaseURL)
			return
		}
	}
	if why := c.Insecure(); why != "" && len(*l) == 0 {
		l.warn("PARLEY_BASE_URL", "%s", why)
	}
}

func (l *checks) cidrs(name string, list []string) {
	for _, s := range list {
		if _, err := netip.ParsePrefix(strings.TrimSpace(s)); err != nil {
			l.add(name, "%q is no CIDR, for example 10.0.0.0/8", s)
		}
	}
}

// dataDir looks for the nearest existing parent: the directory itself may not be there yet.
func (l *checks) dataDir(dir string) {
	for p := dir; ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err == nil {
			if !info.IsDir() {
				l.add("PARLEY_DATA_DIR", "%s is not a directory", p)
			}
			return
		}
		if !os.IsNotExist(err) || p == filepath.Dir(p) {
			l.add("PARLEY_DATA_DIR", "%v", err)
			return
		}
	}
}

func (l *checks) pgBin(dir string) {
	if dir == "" {
		return
	}
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			l.add("PARLEY_PG_BIN", "%v", err)
			return
		}
	}
}

func (l *checks) admin(c Config) {
	if (c.AdminEmail == "") != (c.AdminPassword == "") {
		l.add("PARLEY_ADMIN_EMAIL", "needs PARLEY_ADMIN_PASSWORD, and the other way round")
	}
	if c.AdminEmail != "" && !strings.Contains(c.AdminEmail, "@") {
		l.add("PARLEY_ADMIN_EMAIL", "%q is no e-mail address", c.AdminEmail)
	}
}

func (l *checks) ports(name, s string) {
	from, to, ok := strings.Cut(s, "-")
	a, err1 := strconv.ParseUint(from, 10, 16)
	b, err2 := strconv.ParseUint(to, 10, 16)
	if !ok || err1 != nil || err2 != nil || a == 0 || b < a {
		l.add(name, "%q is no range of ports, for example 20000-20100", s)
	}
}

func (l *checks) bus(c Config) {
	for _, u := range c.NATSURL {
		l.url("PARLEY_NATS_URL", u, "nats", "tls")
	}
	if len(c.NATSURL) > 0 && len(c.ClusterPeers) > 0 {
		l.add("PARLEY_CLUSTER_PEERS", "give either this or PARLEY_NATS_URL")
	}
	for _, p := range c.ClusterPeers {
		u, err := url.Parse("nats://" + strings.TrimSpace(p))
		if err != nil || u.Port() == "" || u.Path != "" {
			l.add("PARLEY_CLUSTER_PEERS", "is no list of host:port, the first with user:password@ in front")
			break
		}
	}
	if (len(c.NATSURL) > 0 || len(c.ClusterPeers) > 0) && c.DatabaseURL == "" {
		l.add("PARLEY_DATABASE_URL", "several nodes need one database that all of them reach")
	}
}
