package web

import (
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// schemaNames names the types of the OpenAPI document: by their own name, and when two rooms have types of one name, the
// later one with its room before it (InboxRef). The order of the table decides, so the names stay the same.
func schemaNames() func(reflect.Type, string) string {
	taken := map[string]reflect.Type{}
	return func(t reflect.Type, hint string) string {
		name := huma.DefaultSchemaNamer(t, hint)
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return name
		}
		if t.Name() != "" {
			if first, ok := taken[name]; ok && first != t {
				name = withRoom(t)
			}
		}
		if _, ok := taken[name]; !ok {
			taken[name] = t
		}
		return name
	}
}

// withRoom spells web.List[github.com/.../crm.Ref] as WebListCrmRef.
func withRoom(t reflect.Type) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(t.PkgPath()+"."+t.Name(), func(r rune) bool { return r == '[' || r == ']' || r == ',' || r == '*' }) {
		for word := range strings.SplitSeq(path.Base(part), ".") {
			if word != "" {
				b.WriteString(strings.ToUpper(word[:1]) + word[1:])
			}
		}
	}
	return b.String()
}
