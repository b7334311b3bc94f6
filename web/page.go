package web

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/parley-hub/parley/internal/errs"
)

// Page is the input of every list; embed it. It is exported because huma passes over what is not.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	Cursor string `query:"cursor" maxLength:"1000"`
}

// List is the answer of every list.
type List[T any] struct {
	Items      []T     `json:"items" nullable:"false"`
	NextCursor *string `json:"next_cursor"`
}

type listed[T any] struct{ Body List[T] }

// after decodes the cursor into key, a struct of the keyset's columns; key stays zero on the first page.
func (p Page) after(key any) error {
	if p.Cursor == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err == nil {
		err = json.Unmarshal(b, key)
	}
	if err != nil {
		return errs.Field("query.cursor", "is not one that was given out")
	}
	return nil
}

// list makes the answer of limit+1 rows: what is over tells that there is more, and the last row given out becomes the
// cursor.
func list[T any](rows []T, err error, p Page, key func(T) any) (*listed[T], error) {
	if err != nil {
		return nil, err
	}
	out := &listed[T]{Body: List[T]{Items: rows}}
	if rows == nil {
		out.Body.Items = []T{}
	}
	if p.Limit > 0 && len(rows) > p.Limit {
		out.Body.Items = rows[:p.Limit]
		b, err := json.Marshal(key(rows[p.Limit-1]))
		if err != nil {
			return nil, fmt.Errorf("encode cursor: %w", err)
		}
		next := base64.RawURLEncoding.EncodeToString(b)
		out.Body.NextCursor = &next
	}
	return out, nil
}

// listedWith makes the answer of a room that makes its cursors itself; next "" = the end.
func listedWith[T any](rows []T, next string, err error) (*listed[T], error) {
	if err != nil {
		return nil, err
	}
	out := &listed[T]{Body: List[T]{Items: rows}}
	if rows == nil {
		out.Body.Items = []T{}
	}
	if next != "" {
		out.Body.NextCursor = &next
	}
	return out, nil
}

// whole makes the answer of a list that is always given out whole.
func whole[T any](rows []T, err error) (*listed[T], error) { return listedWith(rows, "", err) }

// cursorOf makes the cursor that Page.after reads.
func cursorOf(key int64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(key, 10)))
}
