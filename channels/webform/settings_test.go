package webform

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/parley-hub/parley/channels"
)

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(s map[string]any)
		field  string
	}{
		"good":              {func(map[string]any) {}, ""},
		"no fields":         {func(s map[string]any) { s["fields"] = []any{} }, "fields"},
		"unknown setting":   {func(s map[string]any) { s["colour"] = "red" }, "settings"},
		"fields of a text":  {func(s map[string]any) { s["fields"] = "name" }, "fields"},
		"bad name":          {func(s map[string]any) { s["fields"] = []any{line1("_token", "text")} }, "fields[0].name"},
		"kept name":         {func(s map[string]any) { s["fields"] = []any{line1("utm_source", "hidden")} }, "fields[0].name"},
		"name twice":        {func(s map[string]any) { s["fields"] = []any{line1("a", "text"), line1("a", "text")} }, "fields[1].name"},
		"bad type":          {func(s map[string]any) { s["fields"] = []any{line1("a", "file")} }, "fields[0].type"},
		"choice of nothing": {func(s map[string]any) { s["fields"] = []any{line1("a", "select")} }, "fields[0].options"},
		"site with a path":  {func(s map[string]any) { s["sites"] = []any{"https://a.test", "https://b.test/x"} }, "sites[1]"},
		"site of a script":  {func(s map[string]any) { s["sites"] = []any{"javascript:alert(1)"} }, "sites[0]"},
		"site with a quote": {func(s map[string]any) { s["sites"] = []any{"https://a.test; script-src *"} }, "sites[0]"},
		"all sites":         {func(s map[string]any) { s["sites"] = []any{"*"} }, "sites[0]"},
		"redirect away":     {func(s map[string]any) { s["redirect"] = "https://evil.test/" }, "redirect"},
		"redirect, script":  {func(s map[string]any) { s["redirect"] = "javascript:alert(1)" }, "redirect"},
		"redirect home":     {func(s map[string]any) { s["redirect"] = "https://a.test/done" }, ""},
		"long thanks":       {func(s map[string]any) { s["thanks"] = strings.Repeat("x", 501) }, "thanks"},
		"too much work":     {func(s map[string]any) { s["pow_bits"] = 40 }, "pow_bits"},
		"proof of nothing":  {func(s map[string]any) { s["pow_bits"], s["proof_required"] = 0, true }, "proof_required"},
		"rate of nothing":   {func(s map[string]any) { s["per_ip_minute"] = -1 }, "per_ip_minute"},
		"long wait":         {func(s map[string]any) { s["min_seconds"] = 61 }, "min_seconds"},
		"language":          {func(s map[string]any) { s["language"] = "xx" }, "language"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := map[string]any{"fields": []any{line1("name", "text")}, "sites": []any{"https://a.test"}}
			c.change(s)
			if err := complete(s, nil); err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			err = Kind().Check(raw)
			var fe *channels.FieldError
			switch {
			case c.field == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.field != "" && (!errors.As(err, &fe) || fe.Field != c.field):
				t.Errorf("got %v, want a refusal of %s", err, c.field)
			}
		})
	}
}

func line1(name, kind string) map[string]any {
	return map[string]any{"name": name, "label": "L", "type": kind}
}

// Pages out there name the key: it never changes, and nobody chooses it.
func TestKeyStays(t *testing.T) {
	t.Parallel()
	made := map[string]any{"key": "chosen", "form_secret": "chosen"}
	if err := complete(made, nil); err != nil {
		t.Fatal(err)
	}
	if made["key"] == "chosen" || made["form_secret"] == "chosen" {
		t.Error("the admin chose what the hub makes")
	}
	changed := map[string]any{"key": "other"}
	if err := complete(changed, made); err != nil {
		t.Fatal(err)
	}
	if changed["key"] != made["key"] || changed["form_secret"] != made["form_secret"] {
		t.Errorf("got %v, want what was made: %v", changed, made)
	}
}
