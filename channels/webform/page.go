package webform

import (
	_ "embed"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// pageData is the form's own page: the form, the thanks, or what went wrong.
type pageData struct {
	Token   string
	Values  map[string]string
	Wrong   map[string]string
	Trouble string
	Thanks  string

	Name, Action, Language, Trap string
	Fields                       []pageField
	Words                        *text
}

type pageField struct {
	field
	Value, Wrong string
	Input        string // type of the input element
}

// page shows the form without any script being needed; with one it also works for the proof.
func (a *Adapter) page(w http.ResponseWriter, _ *http.Request, status int, d pageData) {
	d.Name, d.Action, d.Language, d.Trap, d.Words = a.account.Name, "/forms/"+a.set.Key, a.set.Language, a.set.trap(), words[a.set.Language]
	if d.Token != "" {
		for _, f := range a.set.Fields {
			d.Fields = append(d.Fields, pageField{field: f, Value: d.Values[f.Name], Wrong: d.Wrong[f.Name], Input: inputType(f.Type)})
		}
	}
	if d.Token != "" { // what the form does not know but somebody sent is not lost on the way
		for _, name := range slices.Sorted(maps.Keys(d.Values)) {
			known := strings.HasPrefix(name, "_") && name != paramID || name == d.Trap ||
				slices.ContainsFunc(a.set.Fields, func(f field) bool { return f.Name == name })
			if v := d.Values[name]; !known && v != "" {
				d.Fields = append(d.Fields, pageField{field: field{Name: name, Type: typeHidden}, Value: v})
			}
		}
	}
	sites := strings.Join(a.set.Sites, " ")
	h := w.Header()
	// The named sites may frame the page, and the browser may be sent on to them; no other part of the hub allows that.
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "+
		"form-action 'self' "+sites+"; frame-ancestors 'self' "+sites)
	h.Del("X-Frame-Options")
	// With no-referrer a browser sends Origin: null with the form, and we could not tell our own page from a stranger's.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = pageTemplate.Execute(w, d) // the visitor may be gone
}

func inputType(kind string) string {
	switch kind {
	case typeEmail:
		return "email"
	case typePhone:
		return "tel"
	case typeCheckbox:
		return "checkbox"
	case typeHidden:
		return "hidden"
	}
	return "text"
}
