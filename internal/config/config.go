// Package config reads the settings of the program: one struct, one map.
//
// A setting has one name, PARLEY_SOMETHING. Its value comes from, the later winning: the default, a NAME=value line of
// the file that PARLEY_CONFIG names, the environment, the flag --something. Whatever can be changed while the program
// runs (channels, teams, working hours, limits) is not here but in the database.
//
// Failure. Load refuses what it cannot read (a missing file, a line without "=", an unknown name in the file, a number
// that is none). Check then tells everything that is wrong with the values at once, each by name and with what would be
// right. Nothing here prints a secret.
package config

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Config is every setting. The doc tags are what --help, `parley config print` and the manual say.
type Config struct {
	File string `env:"PARLEY_CONFIG" doc:"file with NAME=value lines"`

	Listen         string   `env:"PARLEY_LISTEN" envDefault:"127.0.0.1:8080" doc:"address of the web server; port 0 takes a free one"`
	BaseURL        string   `env:"PARLEY_BASE_URL" doc:"address under which browsers and providers reach this server; default: http:// and the listen address"`
	TrustedProxies []string `env:"PARLEY_TRUSTED_PROXIES" doc:"CIDRs of the proxies whose X-Forwarded-For and -Proto are believed"`

	DataDir       string `env:"PARLEY_DATA_DIR" envDefault:"./data" doc:"directory of the key, the files and the built-in database"`
	DatabaseURL   string `env:"PARLEY_DATABASE_URL" secret:"url" doc:"Postgres 15 or newer; empty = the built-in database"`
	PGBin         string `env:"PARLEY_PG_BIN" doc:"directory with initdb and postgres for the built-in database; empty = look in the usual places"`
	BlobURL       string `env:"PARLEY_BLOB_URL" secret:"url" doc:"where files go: s3://bucket?region=...; empty = the data directory"`
	SecretKeyFile string `env:"PARLEY_SECRET_KEY_FILE" doc:"file with the keys that seal the channels' credentials; empty = secret.key in the data directory"`

	AdminEmail    string `env:"PARLEY_ADMIN_EMAIL" doc:"with the password: makes the first admin without a browser, if there is none"`
	AdminPassword string `env:"PARLEY_ADMIN_PASSWORD" secret:"all" doc:"see PARLEY_ADMIN_EMAIL"`

	SIPListen  string `env:"PARLEY_SIP_LISTEN" envDefault:"0.0.0.0:5060" doc:"telephony: udp and tcp address for SIP"`
	RTPPorts   string `env:"PARLEY_RTP_PORTS" envDefault:"20000-20100" doc:"telephony: range of udp ports for speech"`
	WebRTCPort int    `env:"PARLEY_WEBRTC_PORT" envDefault:"0" doc:"telephony: udp port of browser phones; 0 takes a free one"`

	NATSURL      []string `env:"PARLEY_NATS_URL" secret:"url" doc:"bus of several nodes: the servers of an existing NATS cluster; empty = inside the process"`
	ClusterPeers []string `env:"PARLEY_CLUSTER_PEERS" secret:"peer" doc:"bus of several nodes by their embedded servers: user:password@host:port to listen on, then host:port of the others"`

	EgressAllow []string `env:"PARLEY_EGRESS_ALLOW" doc:"CIDRs inside the house that addresses given by customers and agents may point at"`
	LogLevel    string   `env:"PARLEY_LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error"`
}

// Flags registers every setting on fs, --listen for PARLEY_LISTEN, and returns what Load needs after fs was parsed.
func Flags(fs *flag.FlagSet) map[string]string {
	given := map[string]string{}
	for _, s := range settings() {
		fs.Func(s.flag(), s.doc+" ("+s.name+")", func(v string) error {
			given[s.name] = v
			return nil
		})
	}
	return given
}

// Load reads the settings; environ is os.Environ(), flags what Flags returned.
func Load(environ []string, flags map[string]string) (Config, error) {
	over := map[string]string{}
	for _, line := range environ {
		// An empty variable is none, so that a compose file can hand one through without setting it.
		if name, v, ok := strings.Cut(line, "="); ok && v != "" && strings.HasPrefix(name, "PARLEY_") {
			over[name] = v
		}
	}
	maps.Copy(over, flags)

	values := map[string]string{}
	if path := over["PARLEY_CONFIG"]; path != "" {
		var err error
		if values, err = readFile(path); err != nil {
			return Config{}, fmt.Errorf("settings file: %w", err)
		}
	}
	maps.Copy(values, over)
	maps.DeleteFunc(values, func(_, v string) bool { return v == "" }) // back to the default

	var c Config
	if err := env.ParseWithOptions(&c, env.Options{Environment: values}); err != nil {
		if agg := (env.AggregateError{}); errors.As(err, &agg) {
			err = errors.Join(agg.Errors...)
		}
		return Config{}, fmt.Errorf("settings: %w", err)
	}
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if abs, err := filepath.Abs(c.DataDir); err == nil {
		c.DataDir = abs
	}
	return c, nil
}

func readFile(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, s := range settings() {
		known[s.name] = true
	}
	values := map[string]string{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, v, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name = strings.TrimSpace(name)
		if !ok {
			return nil, fmt.Errorf("%s:%d: not of the form NAME=value", path, i+1)
		}
		if !known[name] || name == "PARLEY_CONFIG" {
			return nil, fmt.Errorf("%s:%d: there is no setting %s", path, i+1, name)
		}
		values[name] = unquote(strings.TrimSpace(v))
	}
	return values, nil
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

// PublicURL is the address to show and to put into links: PARLEY_BASE_URL, else built from where the server listens
// (listening is the address actually bound, for port 0).
func (c Config) PublicURL(listening string) string {
	if c.BaseURL != "" {
		return c.BaseURL
	}
	host, port, err := net.SplitHostPort(cmp.Or(listening, c.Listen))
	if err != nil {
		return "http://" + c.Listen
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// SecretKeyPath is the file of the sealing keys, and whether the operator keeps it himself: then it is never made.
func (c Config) SecretKeyPath() (path string, external bool) {
	if c.SecretKeyFile != "" {
		return c.SecretKeyFile, true
	}
	return filepath.Join(c.DataDir, "secret.key"), false
}

// BlobDir is the directory of the files when they are not in an object store.
func (c Config) BlobDir() string { return filepath.Join(c.DataDir, "blob") }

// Insecure says why the session cookie could be read on the way, "" when it could not.
func (c Config) Insecure() string {
	u, err := url.Parse(c.PublicURL(""))
	if err != nil || u.Scheme == "https" || loopback(u.Hostname()) {
		return ""
	}
	return "passwords and messages travel unencrypted: put a proxy with a certificate in front and set PARLEY_BASE_URL to its https address"
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// setting is one field of Config as its tags describe it.
type setting struct {
	name, doc, secret string
	index             int
}

func (s setting) flag() string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.name, "PARLEY_")), "_", "-")
}

func settings() []setting {
	t := reflect.TypeFor[Config]()
	list := make([]setting, t.NumField())
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		list[i] = setting{name: tag.Get("env"), doc: tag.Get("doc"), secret: tag.Get("secret"), index: i}
	}
	return list
}
