// Package deploy checks docker-compose.yml and the Dockerfile without an engine to run them.
package deploy

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/parley-hub/parley/internal/config"
)

const composeFile = "../../docker-compose.yml"

func load(t *testing.T, env ...string) (*types.Project, error) {
	t.Helper()
	opts, err := cli.NewProjectOptions([]string{composeFile}, cli.WithEnv(env), cli.WithProfiles([]string{"*"}), cli.WithName("parley"))
	if err != nil {
		t.Fatal(err)
	}
	return opts.LoadProject(context.Background())
}

func TestComposeLoads(t *testing.T) {
	t.Parallel()
	p, err := load(t, "POSTGRES_PASSWORD=canary")
	if err != nil {
		t.Fatal(err)
	}
	names := p.ServiceNames()
	slices.Sort(names)
	if d := cmp.Diff([]string{"minio", "nats", "parley", "postgres"}, names); d != "" {
		t.Errorf("services (-want +got):\n%s", d)
	}
	for name, profile := range map[string]string{"nats": "cluster", "minio": "s3"} {
		if s := p.Services[name]; !slices.Equal(s.Profiles, []string{profile}) {
			t.Errorf("%s has profiles %v, want %s", name, s.Profiles, profile)
		}
	}
}

func TestComposeWantsAPassword(t *testing.T) {
	t.Parallel()
	if _, err := load(t); err == nil || !strings.Contains(err.Error(), "set POSTGRES_PASSWORD in .env") {
		t.Errorf("err = %v", err)
	}
}

// TestComposeSettings hands the service's environment to the program's own check.
func TestComposeSettings(t *testing.T) {
	t.Parallel()
	p, err := load(t, "POSTGRES_PASSWORD=canary", "PARLEY_NATS_URL=nats://nats:4222", "PARLEY_BASE_URL=https://support.example.org")
	if err != nil {
		t.Fatal(err)
	}
	s := p.Services["parley"]
	var environ []string
	for name, v := range s.Environment {
		if v != nil {
			environ = append(environ, name+"="+*v)
		}
	}
	c, err := config.Load(append(environ, dockerEnv(t)...), nil)
	if err != nil {
		t.Fatal(err)
	}
	if problems := c.Check(); len(problems) > 0 {
		t.Errorf("problems: %v", problems)
	}
	u, err := url.Parse(c.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := p.Services[u.Hostname()]; !ok {
		t.Errorf("the database is at %s, which is no service", u.Hostname())
	}
	if d := s.DependsOn["postgres"]; d.Condition != types.ServiceConditionHealthy {
		t.Errorf("parley starts when postgres is %q", d.Condition)
	}
	mounted := slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == c.DataDir })
	if !mounted {
		t.Errorf("%s is on no volume", c.DataDir)
	}
}

func TestComposeIsLockedDown(t *testing.T) {
	t.Parallel()
	p, err := load(t, "POSTGRES_PASSWORD=canary")
	if err != nil {
		t.Fatal(err)
	}
	s := p.Services["parley"]
	if !s.ReadOnly || s.User == "" || strings.HasPrefix(s.User, "0") || !slices.Contains(s.CapDrop, "ALL") || s.Init == nil || !*s.Init {
		t.Errorf("read_only %v, user %q, cap_drop %v, init %v", s.ReadOnly, s.User, s.CapDrop, s.Init)
	}
	if d := cmp.Diff(types.HealthCheckTest{"CMD", "/parley", "health"}, s.HealthCheck.Test); d != "" {
		t.Errorf("healthcheck (-want +got):\n%s", d)
	}
	for _, port := range p.Services["postgres"].Ports {
		t.Errorf("the database is open at %s", port.Published)
	}
	for _, port := range s.Ports {
		if port.HostIP != "127.0.0.1" {
			t.Errorf("port %s is open to everybody by default (address %q)", port.Published, port.HostIP)
		}
	}
}

// dockerEnv reads the ENV lines of the Dockerfile.
func dockerEnv(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "ENV "); ok {
			env = append(env, strings.Fields(rest)...)
		}
	}
	if len(env) == 0 {
		t.Fatal("the Dockerfile sets nothing")
	}
	return env
}
