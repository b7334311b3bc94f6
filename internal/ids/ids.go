// Package ids holds the id of everything whose key is a bigint, as the outside world sees it: a decimal string, because
// a number of JSON loses digits above 2^53 in a browser.
//
// Invariant: an ID never leaves as a number and never comes in as one. 0 means "none": it is written as null by a nil
// pointer only, so a DTO field that may be empty is a *ID made by Ptr.
package ids

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// pattern is what an id looks like on the wire. Eighteen digits fit an int64 whatever they are; "" is "none".
const pattern = `^[0-9]{0,18}$`

// ID is a bigint key. pgx scans into it and binds it as the int64 that it is.
type ID int64

// Ptr makes the optional form: nil, and so null, for 0.
func Ptr(id ID) *ID {
	if id == 0 {
		return nil
	}
	return &id
}

// Of reads the optional form: 0 for nil.
func Of(p *ID) ID {
	if p == nil {
		return 0
	}
	return *p
}

// From turns plain int64 keys into IDs; never nil, so that an empty list is [] and not null.
func From(keys []int64) []ID {
	out := make([]ID, len(keys))
	for i, k := range keys {
		out[i] = ID(k)
	}
	return out
}

// Parse reads the decimal form; "" is 0.
func Parse(s string) (ID, error) {
	if s == "" {
		return 0, nil
	}
	if len(s) > 18 {
		return 0, fmt.Errorf("id %q: too long", s)
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("id %q: not a decimal number", s)
	}
	return ID(n), nil
}

func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalJSON writes the decimal string.
func (id ID) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, id.String()), nil }

// UnmarshalJSON reads a decimal string; a bare number is taken too, since event payloads may be written by SQL.
func (id *ID) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	s := string(b)
	if len(s) >= 2 && s[0] == '"' {
		s = s[1 : len(s)-1]
	}
	v, err := Parse(s)
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// Schema tells the OpenAPI document and the request validator.
func (ID) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: pattern, PatternDescription: "decimal id", Examples: []any{"42"}}
}

// Receiver and OnParamSet let an ID stand in a path or a query: huma parses by kind and would demand a schema of type
// integer, so it is given a string to fill, and the id is read from that. What is not a number fails the pattern.
func (*ID) Receiver() reflect.Value { return reflect.ValueOf(new(string)).Elem() }

// OnParamSet is called by huma with what Receiver got.
func (id *ID) OnParamSet(_ bool, parsed any) {
	if s, ok := parsed.(string); ok {
		*id, _ = Parse(s) // the pattern refuses the request when this fails
	}
}

var (
	_ huma.SchemaProvider = ID(0)
	_ huma.ParamWrapper   = (*ID)(nil)
	_ huma.ParamReactor   = (*ID)(nil)
)

// Patch is an id in the body of a PATCH, where "leave it" and "make it nobody" differ: absent is !Set, null or "" is
// Set with ID 0. The field is declared as `json:"owner_id,omitempty"` without a pointer.
type Patch struct {
	Set bool
	ID  ID
}

// UnmarshalJSON is called only when the field is there, also for null.
func (p *Patch) UnmarshalJSON(b []byte) error {
	p.Set, p.ID = true, 0
	return p.ID.UnmarshalJSON(b)
}

// MarshalJSON writes the id, or null for nobody.
func (p Patch) MarshalJSON() ([]byte, error) {
	if p.ID == 0 {
		return []byte("null"), nil
	}
	return p.ID.MarshalJSON()
}

// Schema is that of an ID which may be null.
func (Patch) Schema(r huma.Registry) *huma.Schema {
	s := ID(0).Schema(r)
	s.Nullable = true
	return s
}
