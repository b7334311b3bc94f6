package web

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/parley-hub/parley/staff"
)

// The limits of request bodies.
const (
	jsonLimit   = 1 << 20
	uploadLimit = 25 << 20
	hookLimit   = 10 << 20
)

// defaultTime is how long an operation may take.
const defaultTime = 30 * time.Second

// need says who may call a route: one of the three below, or a permission.
type need string

const (
	public      need = "public"
	signedIn    need = "signed in"
	sessionOnly need = "session only"
)

func may(p staff.Permission) need { return need(p) }

func (n need) permission() staff.Permission {
	if n == public || n == signedIn || n == sessionOnly {
		return ""
	}
	return staff.Permission(n)
}

// route is a line of the table.
type route struct {
	method, path string
	need         need
	handle       handler
	status       int
	limit        int64
	time         time.Duration
	secret       bool // the answer holds a secret: never stored
	early        bool // open to a session that has to choose a password or set up a second factor first
	perMinute    int  // how often one agent may do it in a minute; 0 = as often as he likes
}

// handler binds a route to the mux, documented in the OpenAPI document.
type handler func(s *Server, api huma.API, op huma.Operation)

type option func(*route)

func status(code int) option        { return func(r *route) { r.status = code } }
func body(limit int64) option       { return func(r *route) { r.limit = limit } }
func within(d time.Duration) option { return func(r *route) { r.time = d } }
func secretAnswer() option          { return func(r *route) { r.secret = true } }
func early() option                 { return func(r *route) { r.early = true } }
func paced(perMinute int) option    { return func(r *route) { r.perMinute = perMinute } }
func (r route) id() string          { return routeID(r.method, r.path) }
func (r route) unsafe() bool        { return r.method != http.MethodGet }
func (r route) uploads() bool       { return r.limit > jsonLimit }
func (r route) idempotent() bool {
	return r.method == http.MethodPost && r.need != public && !r.uploads()
}

func get(p string, n need, h handler, o ...option) route { return line(http.MethodGet, p, n, h, o) }

func post(p string, n need, h handler, o ...option) route { return line(http.MethodPost, p, n, h, o) }

func put(p string, n need, h handler, o ...option) route { return line(http.MethodPut, p, n, h, o) }

func patch(p string, n need, h handler, o ...option) route {
	return line(http.MethodPatch, p, n, h, o)
}

func del(p string, n need, h handler, o ...option) route {
	return line(http.MethodDelete, p, n, h, o)
}

func line(method, path string, n need, h handler, opts []option) route {
	r := route{method: method, path: path, need: n, handle: h, limit: jsonLimit, time: defaultTime}
	for _, o := range opts {
		o(&r)
	}
	return r
}

// op is a handler whose input and output are types: huma decodes, validates and documents them.
func op[I, O any](fn func(context.Context, *I) (*O, error)) handler {
	return func(s *Server, api huma.API, o huma.Operation) {
		mustSeeAll(reflect.TypeFor[I]())
		huma.Register(api, o, func(ctx context.Context, in *I) (*O, error) {
			out, err := fn(ctx, in)
			if err != nil {
				return nil, s.problem(ctx, err)
			}
			return out, nil
		})
	}
}

// mustSeeAll refuses an input whose embedded struct huma would pass over in silence, because its type is not exported.
func mustSeeAll(t reflect.Type) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && !f.IsExported() {
			panic("web: " + t.String() + " embeds " + f.Name + ", which has to be exported for its parameters to be read")
		}
	}
}

// raw is a handler that writes the answer itself. An error that it returns is answered unless it has begun to write.
func raw(fn func(w http.ResponseWriter, r *http.Request) error) handler {
	return func(s *Server, api huma.API, o huma.Operation) {
		o.Responses = map[string]*huma.Response{"default": {Description: "See docs/api.md"}}
		for seg := range strings.SplitSeq(o.Path, "/") {
			if name, ok := strings.CutPrefix(seg, "{"); ok {
				o.Parameters = append(o.Parameters, &huma.Param{
					Name: strings.TrimSuffix(name, "}"), In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString},
				})
			}
		}
		if !o.Hidden {
			api.OpenAPI().AddOperation(&o)
		}
		s.gate.HandleFunc(o.Method+" "+o.Path, func(w http.ResponseWriter, r *http.Request) {
			if err := fn(w, r); err != nil {
				s.fail(w, r, err)
			}
		})
	}
}

// routeID is the operation's name in the OpenAPI document: get-api-agents-id.
func routeID(method, path string) string {
	p := strings.NewReplacer("/", "-", "{", "", "}", "", ".", "-").Replace(strings.Trim(strings.TrimPrefix(path, "/api"), "/"))
	return strings.ToLower(method) + "-" + p
}

// one is an answer that is a single thing.
type one[T any] struct{ Body T }

// answer gives out one thing.
func answer[T any](v T, err error) (*one[T], error) {
	if err != nil {
		return nil, err
	}
	return &one[T]{Body: v}, nil
}

// nothing is an answer without a body: 204.
type nothing struct{}

func done(err error) (*nothing, error) {
	if err != nil {
		return nil, err
	}
	return &nothing{}, nil
}

// CallerFrom is who called; set by the guard on every route that is not public.
func CallerFrom(ctx context.Context) staff.Access { return staff.AccessFrom(ctx) }
