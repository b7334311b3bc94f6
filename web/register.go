package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// guarded is the mux as huma sees it: every handler that is registered gets the guard of the route being registered.
type guarded struct {
	s    *Server
	next *route
}

// HandleFunc binds the route's handler behind its guard; a handler without a route cannot be bound.
func (g *guarded) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	if g.next == nil {
		panic("web: " + pattern + " is not in the table of routes")
	}
	g.s.mux.Handle(pattern, g.s.guard(*g.next, http.HandlerFunc(h)))
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.s.mux.ServeHTTP(w, r) }

// register binds the table of routes.
func (s *Server) register() error {
	conf := huma.DefaultConfig("Parley", s.cfg.Version)
	conf.Info.Description = "The API of a Parley hub. Ids are decimal strings or UUIDs, times RFC 3339 in UTC, errors RFC 9457."
	conf.OpenAPIPath, conf.DocsPath, conf.SchemasPath = "", "", ""
	conf.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaNames())
	conf.CreateHooks = nil // no $schema member in answers
	conf.Transformers = []huma.Transformer{transform}
	conf.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: s.cookieName()},
		"token":   {Type: "http", Scheme: "bearer"},
	}
	s.gate = &guarded{s: s}
	s.api = humago.New(s.gate, conf)
	s.routes = s.table()
	for _, rt := range s.routes {
		s.gate.next = &rt
		rt.handle(s, s.api, s.operation(rt))
	}
	s.gate.next = nil
	s.mux.HandleFunc("/api/", s.notFound)
	s.mux.HandleFunc("/hooks/", s.notFound)
	s.mux.HandleFunc("/forms/", s.notFound)
	s.mux.HandleFunc("/", s.serveUI)
	spec, err := openAPI(s.api)
	if err != nil {
		return err
	}
	s.spec = spec
	return nil
}

func (s *Server) operation(rt route) huma.Operation {
	o := huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: rt.id(), DefaultStatus: rt.status,
		MaxBodyBytes: rt.limit, BodyReadTimeout: rt.time,
		Hidden: !strings.HasPrefix(rt.path, "/api/"),
	}
	switch {
	case rt.need == public:
		o.Summary = "Public"
	case rt.need.permission() != "":
		o.Summary = "Needs permission " + string(rt.need)
	case rt.need == sessionOnly:
		o.Summary = "For a signed-in person"
	default:
		o.Summary = "For anybody signed in"
	}
	if rt.need != public {
		o.Security = []map[string][]string{{"session": {}}}
		if rt.need != sessionOnly {
			o.Security = append(o.Security, map[string][]string{"token": {}})
		}
	}
	if rt.idempotent() {
		o.Parameters = append(o.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Description: "A repeat with the same key and body gets the same answer, for 24 hours.",
			Schema: &huma.Schema{Type: huma.TypeString, MaxLength: ptr(200)},
		})
	}
	return o
}

func ptr[T any](v T) *T { return &v }

// openAPI is the document of the registered routes.
func openAPI(api huma.API) ([]byte, error) {
	if m := api.OpenAPI().Components.Schemas.Map()["ErrorModel"]; m != nil {
		m.Properties["code"] = &huma.Schema{Type: huma.TypeString, Description: "What kind of failure it is, for programs."}
		m.AdditionalProperties = true
	}
	b, err := json.MarshalIndent(api.OpenAPI(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return append(b, '\n'), nil
}

// OpenAPI is the document that describes every operation; it needs no database.
func OpenAPI() ([]byte, error) {
	s, err := New(Config{}, Deps{})
	if err != nil {
		return nil, err
	}
	return s.spec, nil
}

// notFound answers what no route matches: 405 with Allow when another method would, else 404.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = m
		if _, pattern := s.mux.Handler(probe); strings.HasPrefix(pattern, m+" ") {
			allow = append(allow, m)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		s.fail(w, r, newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "Use "+strings.Join(allow, " or ")+" here."))
		return
	}
	s.fail(w, r, newProblem(http.StatusNotFound, "not_found", "There is nothing here."))
}
