package ids

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	type dto struct {
		A ID         `json:"a"`
		B *ID        `json:"b"`
		C []ID       `json:"c"`
		D map[ID]int `json:"d"`
	}
	b, err := json.Marshal(dto{A: 9007199254740993, C: From(nil), D: map[ID]int{7: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":"9007199254740993","b":null,"c":[],"d":{"7":1}}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	var back dto
	if err := json.Unmarshal([]byte(`{"a":"5","b":"6","c":["1",2],"d":{"7":1}}`), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dto{A: 5, B: Ptr(6), C: []ID{1, 2}, D: map[ID]int{7: 1}}, back); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{`"x"`, `-1`, `"1.5"`, `"99999999999999999999"`, `"+1"`, `[]`, `{}`, `true`} {
		var id ID
		if err := json.Unmarshal([]byte(bad), &id); err == nil {
			t.Errorf("%s: taken as %d", bad, id)
		}
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	type dto struct {
		A Patch `json:"a,omitempty"`
	}
	for in, want := range map[string]Patch{`{}`: {}, `{"a":null}`: {Set: true}, `{"a":""}`: {Set: true}, `{"a":"4"}`: {Set: true, ID: 4}} {
		var got dto
		if err := json.Unmarshal([]byte(in), &got); err != nil || got.A != want {
			t.Errorf("%s: got %+v %v, want %+v", in, got.A, err, want)
		}
	}
}

func TestHuma(t *testing.T) {
	t.Parallel()
	type in struct {
		ID   ID `path:"id"`
		Team ID `query:"team"`
		Body struct {
			Owner Patch `json:"owner,omitempty"`
			Who   *ID   `json:"who,omitempty"`
		}
	}
	type out struct {
		Body struct {
			IDs []ID `json:"ids"`
		}
	}
	mux := http.NewServeMux()
	api := humago.New(mux, huma.DefaultConfig("t", "1"))
	huma.Register(api, huma.Operation{Method: http.MethodPost, Path: "/x/{id}"}, func(_ context.Context, i *in) (*out, error) {
		o := &out{}
		o.Body.IDs = []ID{i.ID, i.Team, i.Body.Owner.ID, Of(i.Body.Who)}
		return o, nil
	})
	for _, c := range []struct {
		url, body string
		status    int
		want      string
	}{
		{"/x/12?team=3", `{"owner":"4","who":"5"}`, 200, `"ids":["12","3","4","5"]`},
		{"/x/12", `{"owner":null,"who":null}`, 200, `"ids":["12","0","0","0"]`},
		{"/x/12", `{}`, 200, `"ids":["12","0","0","0"]`},
		{"/x/zwölf", `{}`, 422, "path.id"},
		{"/x/9999999999999999999", `{}`, 422, "path.id"},
		{"/x/1?team=-3", `{}`, 422, "query.team"},
		{"/x/1", `{"who":5}`, 422, "body.who"},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, c.url, strings.NewReader(c.body)))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: got %d %s", c.url, c.body, w.Code, w.Body)
		}
	}
}
