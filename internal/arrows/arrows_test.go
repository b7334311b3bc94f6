// Package arrows checks which part of the house may import which: the rooms meet in cmd/parley only.
package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/parley-hub/parley/"

// arrows says for each part what it may import besides itself, a/... with what is below. The longest matching part
// counts; one that is not named here may import nothing of the house, so a new room needs a line.
var arrows = map[string][]string{
	"cmd":                   everything,
	"bench":                 append([]string{"e2e/..."}, everything...),
	"e2e":                   everything,
	"web":                   {"inbox/...", "telephony/...", "crm", "staff", "channels", "internal/..."},
	"inbox":                 {"crm", "staff", "channels", "internal/..."},
	"telephony":             {"internal/..."},
	"crm":                   {"internal/..."},
	"staff":                 {"internal/..."},
	"internal":              {},
	"channels":              {},
	"channels/channelstest": {"channels", "internal/..."},
	"channels/email":        {"channels", "internal/..."},
	"channels/sip":          {"telephony/...", "channels", "internal/..."},
	"channels/telegram":     {"channels", "internal/..."},
	"channels/webchat":      {"channels", "internal/..."},
	"channels/webform":      {"channels", "internal/..."},
	"channels/whatsapp":     {"channels", "internal/..."},
}

var everything = []string{"channels/...", "crm/...", "inbox/...", "internal/...", "staff/...", "telephony/...", "web/..."}

// stdOnly are parts that use the standard library alone.
var stdOnly = []string{"channels"}

// testKits are what tests of anybody may use, and nothing else may.
var testKits = []string{"internal/dbtest", "internal/testsignal", "channels/channelstest"}

type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		part := partOf(from)
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			switch {
			case !ours && slices.Contains(stdOnly, from) && strings.Contains(imp, "."):
				t.Errorf("%s imports %s: it gets along with the standard library", from, imp)
			case ours && !allowed(part, to):
				t.Errorf("%s imports %s: %s may import %v", from, to, part, arrows[part])
			case ours && kit(to) && !kit(from) && part != "e2e" && part != "bench" && (part != "cmd" || !fake(to)):
				t.Errorf("%s imports %s, which is for tests", from, to)
			}
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			to, ours := strings.CutPrefix(imp, module)
			if ours && !allowed(part, to) && !kit(to) && !sameTree(from, to) {
				t.Errorf("a test of %s imports %s: %s may import %v", from, to, part, arrows[part])
			}
		}
	}
}

// testsignal is the one kit with a place in running code: its zero value does nothing there.
func kit(path string) bool {
	return path != "internal/testsignal" && slices.ContainsFunc(testKits, func(k string) bool {
		return path == k || strings.HasPrefix(path, k+"/")
	}) || fake(path)
}

func fake(path string) bool {
	return strings.HasPrefix(path, "channels/") && strings.HasSuffix(path, "fake")
}

// sameTree lets the tests of channels use its kits below it.
func sameTree(from, to string) bool {
	root, _, _ := strings.Cut(from, "/")
	return strings.HasPrefix(to, root+"/")
}

func allowed(part, to string) bool {
	if partOf(to) == part {
		return true
	}
	return slices.ContainsFunc(arrows[part], func(a string) bool {
		root, tree := strings.CutSuffix(a, "/...")
		return to == root || tree && strings.HasPrefix(to, root+"/")
	})
}

func partOf(path string) string {
	for p := path; p != ""; {
		if _, ok := arrows[p]; ok {
			return p
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return p
		}
		p = p[:i]
	}
	return path
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestTheRulesThemselves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"cmd/parley", "inbox/live", true},
		{"web", "inbox", true},
		{"web", "web/ui", true},
		{"web", "cmd/parley", false},
		{"inbox/live", "crm", true},
		{"inbox", "web", false},
		{"inbox", "channels/telegram", false},
		{"crm", "staff", false},
		{"crm", "inbox", false},
		{"internal/events", "internal/bus", true},
		{"internal/events", "inbox", false},
		{"channels", "internal/postgres", false},
		{"channels/telegram", "channels", true},
		{"channels/telegram/tgfake", "channels/telegram", true},
		{"channels/telegram", "channels/email", false},
		{"channels/telegram", "inbox", false},
		{"channels/sip", "telephony/call", true},
		{"attic", "crm", false},
	} {
		if got := allowed(partOf(tt.from), tt.to); got != tt.want {
			t.Errorf("%s -> %s: allowed = %v", tt.from, tt.to, got)
		}
	}
}
