package staff

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-hub/parley/internal/dbtest"
	"github.com/parley-hub/parley/internal/errs"
	"github.com/parley-hub/parley/internal/ids"
	secretbox "github.com/parley-hub/parley/internal/secret"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const goodPassword = "correct zebra lamp 42"

// quietBus counts hints; what these tests read stands in the database.
type quietBus struct{ hints atomic.Int64 }

func (b *quietBus) Publish(string, []byte) error { b.hints.Add(1); return nil }
func (b *quietBus) Subscribe(string, func(string, []byte)) (func(), error) {
	return func() {}, nil
}
func (b *quietBus) Close() {}

// house is an installation with its service.
type house struct {
	*Service
	t    *testing.T
	ctx  context.Context
	pool *pgxpool.Pool
	bus  *quietBus
	at   time.Time // the clock of one-time codes
}

func newHouse(t *testing.T) *house {
	t.Helper()
	pool, b := dbtest.DB(t), &quietBus{}
	box, _, err := secretbox.LoadOrCreate(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, ctx: t.Context(), pool: pool, bus: b, at: time.Unix(1_800_000_000, 0)}
	h.Service = New(Config{BaseURL: "https://hub.example", Box: box, Now: func() time.Time { return h.at }}, pool, b, slog.New(slog.DiscardHandler))
	return h
}

// hire makes an account and signs it in.
func (h *house) hire(name string, role Role, scope Scope) (Access, string) {
	h.t.Helper()
	if _, err := h.CreateAgent(h.ctx, name+"@hub.example", name, goodPassword, role, scope); err != nil {
		h.t.Fatal(err)
	}
	return h.signIn(name)
}

func (h *house) signIn(name string) (Access, string) {
	h.t.Helper()
	token, a, err := h.Login(h.ctx, Credentials{Email: name + "@hub.example", Password: goodPassword}, "", Client{IP: "192.0.2.1"})
	if err != nil {
		h.t.Fatal(err)
	}
	return a, token
}

func (h *house) exec(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.pool.Exec(h.ctx, sql, args...); err != nil {
		h.t.Fatalf("%v\n%s", err, sql)
	}
}

func (h *house) count(sql string, args ...any) (n int) {
	h.t.Helper()
	if err := h.pool.QueryRow(h.ctx, sql, args...).Scan(&n); err != nil {
		h.t.Fatalf("%v\n%s", err, sql)
	}
	return n
}

// events are the kinds and payloads since the event number after.
func (h *house) events(after int) (kinds []string, payloads []map[string]any) {
	h.t.Helper()
	rows, err := h.pool.Query(h.ctx, `SELECT kind, payload FROM event ORDER BY epoch, xid, id OFFSET $1`, after)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var kind string
		var raw []byte
		var p map[string]any
		if err := rows.Scan(&kind, &raw); err != nil {
			h.t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			h.t.Fatal(err)
		}
		kinds, payloads = append(kinds, kind), append(payloads, p)
	}
	return kinds, payloads
}

func (h *house) eventCount() int { return h.count(`SELECT count(*) FROM event`) }

func wantCode(t *testing.T, err error, code errs.Code) {
	t.Helper()
	if errs.CodeOf(err) != code {
		t.Fatalf("got %q (%v), want %q", errs.CodeOf(err), err, code)
	}
}

func num(id ids.ID) string { return id.String() }

// TestStatements prepares every SQL constant of the package against the migrated schema.
func TestStatements(t *testing.T) {
	t.Parallel()
	consts := map[string]ast.Expr{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				for i, n := range v.Names {
					if i < len(v.Values) {
						consts[n.Name] = v.Values[i]
					}
				}
			}
		}
	}
	var eval func(ast.Expr) string
	eval = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, _ := strconv.Unquote(e.Value)
			return s
		case *ast.Ident:
			return eval(consts[e.Name])
		case *ast.BinaryExpr:
			return eval(e.X) + eval(e.Y)
		}
		panic(fmt.Sprintf("%T", e))
	}
	all := map[string]string{}
	for name, e := range consts {
		// LOCK is no statement that can be prepared.
		if strings.HasPrefix(name, "sql") && name != "sqlAgentTableLock" {
			all[name] = eval(e)
		}
	}
	if len(all) < 50 {
		t.Fatalf("found %d statements", len(all))
	}
	dbtest.Prepare(t, all)
}
