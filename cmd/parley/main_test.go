package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/postgres"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// exec runs a command to its end.
func exec(t *testing.T, environ []string, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), shell{args: args, environ: environ, in: strings.NewReader(in), out: &o, err: &e})
	return code, o.String(), e.String()
}

// place is an installation: a data directory and a database.
func place(t *testing.T) []string {
	t.Helper()
	return []string{"PARLEY_DATA_DIR=" + filepath.Join(t.TempDir(), "data"), "PARLEY_DATABASE_URL=" + dbtest.URL(t), "PARLEY_LISTEN=127.0.0.1:0"}
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// running starts a command that goes on, waits until what it prints matches, and returns the match.
func running(t *testing.T, environ []string, match, command string) (found []string, stop func()) {
	t.Helper()
	var out, log output
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, shell{args: []string{command}, environ: environ, in: strings.NewReader(""), out: &out, err: &log})
	}()
	stop = sync.OnceFunc(func() {
		began := time.Now()
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("%s ended with %d:\n%s", command, code, log.String())
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
	t.Cleanup(stop)
	re := regexp.MustCompile(match)
	for deadline := time.Now().Add(60 * time.Second); ; {
		if found = re.FindStringSubmatch(out.String()); found != nil {
			return found, stop
		}
		select {
		case code := <-done:
			done <- code
			t.Fatalf("%s ended with %d:\n%s", command, code, log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not print %q in time:\n%s\n%s", command, match, out.String(), log.String())
		}
	}
}

func TestServeFromTheFirstStartToTheFirstAdmin(t *testing.T) {
	t.Parallel()
	environ := place(t)
	dir := strings.TrimPrefix(environ[0], "PARLEY_DATA_DIR=")
	m, stop := running(t, environ, `(?s)Parley is at (http://127\.0\.0\.1:\d+)\n.*(http://\S+/setup\?token=\S+)`, "serve")
	base, link := m[1], m[2]

	kept, err := os.ReadFile(filepath.Join(dir, "setup-url"))
	if err != nil || strings.TrimSpace(string(kept)) != link {
		t.Errorf("setup-url has %q, %v; want %s", kept, err, link)
	}
	for name, mode := range map[string]os.FileMode{"setup-url": 0o600, "secret.key": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", name, info, err, mode)
		}
	}
	listen := append(environ[:2:2], "PARLEY_LISTEN="+strings.TrimPrefix(base, "http://"))
	if code, out, errs := exec(t, listen, "", "health"); code != 0 || !strings.Contains(out, `"ready":true`) {
		t.Errorf("health = %d, %s%s", code, out, errs)
	}

	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	var me struct {
		Agent struct{ Email, Role string }
	}
	request(t, client, http.MethodPost, base+"/api/setup", map[string]string{
		"token": u.Query().Get("token"), "name": "Ann", "email": "ann@hub.test", "password": "correct horse battery", "workspace_name": "Test", "locale": "en",
	}, &me)
	if me.Agent.Role != "admin" {
		t.Errorf("the first account is %+v", me.Agent)
	}
	request(t, client, http.MethodGet, base+"/api/me", nil, &me)
	if code, out, _ := exec(t, environ, "", "user", "list"); code != 0 || !strings.Contains(out, "ann@hub.test") {
		t.Errorf("user list = %d:\n%s", code, out)
	}
	stop()

	// A second start knows everybody, and has no link to give.
	_, stop = running(t, environ, `Parley is at`, "serve")
	if _, err := os.Stat(filepath.Join(dir, "setup-url")); !os.IsNotExist(err) {
		t.Errorf("setup-url is still there: %v", err)
	}
	stop()
}

func request(t *testing.T, c *http.Client, method, url string, body, answer any) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s = %s, %v: %s", method, url, resp.Status, err, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%s %s: %v: %s", method, url, err, text)
	}
}

func TestAdminFromTheSettings(t *testing.T) {
	t.Parallel()
	environ := append(place(t), "PARLEY_ADMIN_EMAIL=root@hub.test", "PARLEY_ADMIN_PASSWORD=correct horse battery")
	m, stop := running(t, environ, `Parley is at (\S+)\n\n`, "serve")
	defer stop()
	c := &http.Client{Timeout: 10 * time.Second}
	defer c.CloseIdleConnections()
	var me struct{ Agent struct{ Role string } }
	request(t, c, http.MethodPost, m[1]+"/api/session", map[string]string{"email": "root@hub.test", "password": "correct horse battery"}, &me)
	if me.Agent.Role != "admin" {
		t.Errorf("signed in as %+v", me)
	}
}

func TestUserAndChannelCommands(t *testing.T) {
	t.Parallel()
	environ := place(t)
	if err := os.Mkdir(strings.TrimPrefix(environ[0], "PARLEY_DATA_DIR="), 0o700); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		in   string
		args []string
		code int
		want string // of output and errors together
	}{
		{"correct horse battery\n", []string{"user", "create", "--email", "ann@hub.test", "--name", "Ann"}, 0, "made admin ann@hub.test"},
		{"correct horse battery\n", []string{"user", "create", "--email", "ann@hub.test", "--name", "Ann"}, 1, "already"},
		{"", []string{"user", "create", "--email", "bob@hub.test", "--name", "Bob"}, 1, "standard input"},
		{"short\n", []string{"user", "create", "--email", "bob@hub.test", "--name", "Bob"}, 1, "password"},
		{"", []string{"user", "list"}, 0, "ann@hub.test"},
		{"", []string{"user", "reset-password", "--email", "ann@hub.test"}, 0, "/invite?token="},
		{"", []string{"user", "reset-password", "--email", "bob@hub.test"}, 1, "no account"},
		{`{"token": "1:a"}`, []string{"channel", "add", "--kind", "pigeon", "--name", "Loft"}, 1, "kind"},
		{`{"token": "12345:AAAAAAAAAAAAAAAAAAAAcanary", "mode": "poll"}`, []string{"channel", "add", "--kind", "telegram", "--name", "Shop"}, 0, "added channel Shop"},
		{"", []string{"channel", "list"}, 0, "Shop"},
		{"", []string{"migrate"}, 0, "the schema is at version"},
	}
	for _, s := range steps {
		code, out, errs := exec(t, environ, s.in, s.args...)
		if code != s.code || !strings.Contains(out+errs, s.want) {
			t.Errorf("parley %s = %d\n%s%s\nwant %d with %q", strings.Join(s.args, " "), code, out, errs, s.code, s.want)
		}
		if strings.Contains(out+errs, "canary") || strings.Contains(out+errs, "correct horse") {
			t.Errorf("parley %s shows a secret:\n%s%s", strings.Join(s.args, " "), out, errs)
		}
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 0, "usage: parley"},
		{[]string{"help"}, 0, "upgrade-db"},
		{[]string{"version"}, 0, version},
		{[]string{"frobnicate"}, 2, `no command "frobnicate"`},
		{[]string{"user"}, 2, `no command "user"`},
		{[]string{"serve", "--help"}, 0, "PARLEY_TRUSTED_PROXIES"},
		{[]string{"serve", "--wings"}, 2, "wings"},
		{[]string{"serve", "now"}, 2, `unexpected "now"`},
		{[]string{"serve", "--listen", "8080"}, 1, "PARLEY_LISTEN"},
		{[]string{"config", "check"}, 0, "the settings are fine"},
		{[]string{"config", "check", "--log-level", "loud"}, 1, "PARLEY_LOG_LEVEL"},
		{[]string{"config", "print", "--admin-password", "canary"}, 0, "PARLEY_ADMIN_PASSWORD=(hidden)"},
		{[]string{"openapi"}, 0, `"openapi"`},
		{[]string{"health", "--listen", "127.0.0.1:1"}, 1, "does not answer"},
		{[]string{"migrate", "--data-dir", "/does/not/exist"}, 1, "no data directory"},
	} {
		code, out, errs := exec(t, nil, "", tt.args...)
		if code != tt.code || !strings.Contains(out+errs, tt.want) {
			t.Errorf("parley %s = %d\n%s%s\nwant %d with %q", strings.Join(tt.args, " "), code, out, errs, tt.code, tt.want)
		}
	}
}

func TestTakenPortIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	environ := place(t)
	m, stop := running(t, environ, `Parley is at http://(\S+)`, "serve")
	defer stop()
	other := append(place(t), "PARLEY_LISTEN="+m[1])
	code, _, errs := exec(t, other, "", "serve")
	if code != 1 || !strings.Contains(errs, "address already in use") {
		t.Errorf("serve = %d, %s", code, errs)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	environ := place(t)
	_, stop := running(t, environ, `Parley is at`, "serve")
	defer stop()
	code, out, errs := exec(t, environ, "", "doctor")
	if code != 0 {
		t.Errorf("doctor = %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{"settings", "address", "disk", "key", "database", "schema", "nodes", "spine", "files"} {
		if !strings.Contains(out, fmt.Sprintf("ok    %-9s", want)) {
			t.Errorf("nothing about %s:\n%s", want, out)
		}
	}
	key := filepath.Join(strings.TrimPrefix(environ[0], "PARLEY_DATA_DIR="), "secret.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := exec(t, environ, "", "doctor"); !strings.Contains(out, "chmod 600") {
		t.Errorf("a key that others can read is not found:\n%s", out)
	}
}

// Each trouble has a line that says what to do, and what cannot go on like this an exit code.
func TestDoctorFinds(t *testing.T) {
	t.Parallel()
	environ := place(t)
	if code, out, errs := exec(t, environ, "", "doctor"); code == 0 || !strings.Contains(out+errs, "no such file") {
		t.Errorf("an installation that never ran: %d\n%s%s", code, out, errs)
	}
	_, stop := running(t, environ, `Parley is at`, "serve")
	stop()
	pool, err := postgres.Open(t.Context(), strings.TrimPrefix(environ[1], "PARLEY_DATABASE_URL="))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	change := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	change(`UPDATE lease SET expires_at = now()`)
	change(`INSERT INTO attachment (id, state, blob) VALUES (gen_random_uuid(), 'ok', repeat('0', 64))`)
	more := append(environ, "PARLEY_LISTEN=0.0.0.0:8080")
	code, out, _ := exec(t, more, "", "doctor")
	for _, want := range []string{"PARLEY_BASE_URL", "no node is running", "1 files that messages name are not in the store"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("doctor = %d, nothing about %q:\n%s", code, want, out)
		}
	}
	change(`DELETE FROM attachment`)
	change(`UPDATE goose_db_version SET version_id = 9999 WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	if code, out, _ := exec(t, environ, "", "doctor"); code != 1 || !strings.Contains(out, "newer than this program") {
		t.Errorf("a newer schema: %d\n%s", code, out)
	}
}
