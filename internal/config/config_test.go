package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "parley.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, args []string, environ ...string) config.Config {
	t.Helper()
	fs := flag.NewFlagSet("parley", flag.ContinueOnError)
	given := config.Flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(environ, given)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFlagsWinThenEnvironmentThenFile(t *testing.T) {
	t.Parallel()
	file := write(t, "# comment\nPARLEY_LISTEN=127.0.0.1:1\nPARLEY_LOG_LEVEL=\"warn\"\n export PARLEY_BASE_URL='https://a.example/'\n")
	c := load(t, []string{"--listen", "127.0.0.1:3"}, "PARLEY_CONFIG="+file, "PARLEY_LISTEN=127.0.0.1:2", "PARLEY_LOG_LEVEL=", "HOME=/nowhere")
	if c.Listen != "127.0.0.1:3" {
		t.Errorf("the flag did not win: %s", c.Listen)
	}
	if c.LogLevel != "warn" {
		t.Errorf("an empty variable hid the file's value: %s", c.LogLevel)
	}
	if c.BaseURL != "https://a.example" {
		t.Errorf("base URL %q", c.BaseURL)
	}
	c = load(t, []string{"--config=" + file}, "PARLEY_LISTEN=127.0.0.1:2")
	if c.Listen != "127.0.0.1:2" {
		t.Errorf("the environment did not win over the file: %s", c.Listen)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := load(t, nil)
	if problems := c.Check(); len(problems) > 0 {
		t.Errorf("the defaults have problems: %v", problems)
	}
	if !filepath.IsAbs(c.DataDir) || filepath.Base(c.DataDir) != "data" {
		t.Errorf("data dir %s", c.DataDir)
	}
	for listening, want := range map[string]string{"": "http://127.0.0.1:8080", "127.0.0.1:4711": "http://127.0.0.1:4711", "[::]:80": "http://localhost:80", ":81": "http://localhost:81"} {
		if got := c.PublicURL(listening); got != want {
			t.Errorf("PublicURL(%q) = %s, want %s", listening, got, want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, environ := range map[string][]string{
		"no file":      {"PARLEY_CONFIG=/does/not/exist"},
		"unknown name": {"PARLEY_CONFIG=" + write(t, "PARLEY_LISTN=x")},
		"no value":     {"PARLEY_CONFIG=" + write(t, "PARLEY_LISTEN")},
		"no number":    {"PARLEY_WEBRTC_PORT=many"},
	} {
		if _, err := config.Load(environ, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	plain := write(t, "")
	tests := map[string]struct {
		environ []string
		want    []string // "name" or "warning name"
	}{
		"listen":      {[]string{"PARLEY_LISTEN=8080"}, []string{"PARLEY_LISTEN"}},
		"base url":    {[]string{"PARLEY_BASE_URL=support.example.org"}, []string{"PARLEY_BASE_URL"}},
		"base path":   {[]string{"PARLEY_BASE_URL=https://example.org/hub"}, []string{"PARLEY_BASE_URL"}},
		"insecure":    {[]string{"PARLEY_BASE_URL=http://hub.example.org"}, []string{"warning PARLEY_BASE_URL"}},
		"open listen": {[]string{"PARLEY_LISTEN=10.0.0.1:80"}, []string{"warning PARLEY_BASE_URL"}},
		"behind tls":  {[]string{"PARLEY_LISTEN=10.0.0.1:80", "PARLEY_BASE_URL=https://x.example"}, nil},
		"cidr":        {[]string{"PARLEY_EGRESS_ALLOW=10.0.0.0/8,10.1"}, []string{"PARLEY_EGRESS_ALLOW"}},
		"data file":   {[]string{"PARLEY_DATA_DIR=" + plain + "/data"}, []string{"PARLEY_DATA_DIR"}},
		"database":    {[]string{"PARLEY_DATABASE_URL=mysql://x"}, []string{"PARLEY_DATABASE_URL"}},
		"pg bin":      {[]string{"PARLEY_PG_BIN=" + filepath.Dir(plain)}, []string{"PARLEY_PG_BIN"}},
		"blob":        {[]string{"PARLEY_BLOB_URL=/srv"}, []string{"PARLEY_BLOB_URL"}},
		"key file":    {[]string{"PARLEY_SECRET_KEY_FILE=/does/not/exist"}, []string{"PARLEY_SECRET_KEY_FILE"}},
		"admin":       {[]string{"PARLEY_ADMIN_EMAIL=a@b.example"}, []string{"PARLEY_ADMIN_EMAIL"}},
		"ports":       {[]string{"PARLEY_RTP_PORTS=5-4"}, []string{"PARLEY_RTP_PORTS"}},
		"two buses":   {[]string{"PARLEY_NATS_URL=nats://a", "PARLEY_CLUSTER_PEERS=b:6222", "PARLEY_DATABASE_URL=postgres://a/b"}, []string{"PARLEY_CLUSTER_PEERS"}},
		"no port":     {[]string{"PARLEY_CLUSTER_PEERS=b", "PARLEY_DATABASE_URL=postgres://a/b"}, []string{"PARLEY_CLUSTER_PEERS"}},
		"own db":      {[]string{"PARLEY_NATS_URL=nats://a"}, []string{"PARLEY_DATABASE_URL"}},
		"level":       {[]string{"PARLEY_LOG_LEVEL=loud"}, []string{"PARLEY_LOG_LEVEL"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			problems := load(t, nil, tt.environ...).Check()
			for _, p := range problems {
				s := p.Name
				if p.Warning {
					s = "warning " + s
				}
				got = append(got, s)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("problems (-want +got):\n%s%v", d, problems)
			}
			if want := len(tt.want) > 0 && !strings.HasPrefix(tt.want[0], "warning"); config.Fatal(problems) != want {
				t.Errorf("Fatal = %v", !want)
			}
		})
	}
}

func TestPrintHidesSecretsAndReadsBack(t *testing.T) {
	t.Parallel()
	c := load(t, nil,
		"PARLEY_DATABASE_URL=postgres://parley:canary@db/parley?sslmode=disable", "PARLEY_BLOB_URL=s3://b?secret_access_key=canary",
		"PARLEY_ADMIN_EMAIL=a@b.example", "PARLEY_ADMIN_PASSWORD=canary", "PARLEY_CLUSTER_PEERS=u:canary@x:1,y:1", "PARLEY_NATS_URL=nats://canary\x7f")
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "canary") {
		t.Errorf("a secret is printed:\n%s", b.String())
	}
	for _, want := range []string{"PARLEY_DATABASE_URL=postgres://parley:hidden@db/parley?sslmode=disable\n", "PARLEY_LISTEN=127.0.0.1:8080\n", "PARLEY_CLUSTER_PEERS=u:hidden@x:1,y:1\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := load(t, nil, "PARLEY_DATABASE_URL=host=db password=canary").Print(&b); err != nil || strings.Contains(b.String(), "canary") {
		t.Errorf("a secret is printed, or %v:\n%s", err, b.String())
	}
	b.Reset()
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again := load(t, nil, "PARLEY_CONFIG="+write(t, b.String()))
	if again.Listen != c.Listen || len(again.ClusterPeers) != 2 {
		t.Errorf("read back: %+v", again)
	}
}
