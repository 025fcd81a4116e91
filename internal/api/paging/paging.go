// Package paging is what all lists of the API share: the cursor of the next page, and the form of the answer.
package paging

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// ErrCursor is the error of a cursor that no list has answered.
var ErrCursor = fmt.Errorf("%w: cursor is not one that a list answered as next; leave it out to start anew", core.ErrInvalid)

// Input is part of the input of every list.
type Input struct {
	Cursor string `query:"cursor" maxLength:"9000" doc:"the value of next in the answer before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// Output is the answer of every list.
type Output[V any] struct {
	Body struct {
		Items []V    `json:"items"`
		Next  string `json:"next" doc:"cursor of the next page; empty on the last one"`
	}
}

// Page makes a page of rows. The query asks for one row more than fits, which tells whether there is a next page. next is
// the cursor of the page after a row.
func Page[T, V any](rows []T, limit int, view func(T) V, next func(T) string) *Output[V] {
	out := &Output[V]{}
	if len(rows) > limit {
		rows = rows[:limit]
		out.Body.Next = next(rows[limit-1])
	}
	out.Body.Items = make([]V, len(rows))
	for i, row := range rows {
		out.Body.Items[i] = view(row)
	}
	return out
}

// List is the answer of a list that is sorted by one key. rows reads at most limit rows after the key of a cursor, the zero
// value on the first page.
func List[K, T, V any](
	in Input, rows func(after K, limit int) ([]T, error), view func(T) V, key func(T) K,
) (*Output[V], error) {
	var after K
	if err := Decode(in.Cursor, &after); err != nil {
		return nil, err
	}
	list, err := rows(after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return Page(list, in.Limit, view, func(last T) string { return Cursor(key(last)) }), nil
}

// Cursor encodes the sort key of the last item of a page. Clients must not depend on the form of the text.
func Cursor(keys ...any) string {
	raw, err := json.Marshal(keys)
	if err != nil {
		panic(fmt.Sprintf("paging: %v cannot be the keys of a list: %v", keys, err)) // a fault of ours: keys are numbers and texts
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// Decode reads a cursor into pointers; an empty cursor does not change them.
func Decode(cursor string, keys ...any) error {
	if cursor == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return ErrCursor
	}
	read := slices.Clone(keys)
	if err := json.Unmarshal(raw, &read); err != nil || len(read) != len(keys) || slices.ContainsFunc(keys, unstorable) {
		return ErrCursor
	}
	return nil
}

// unstorable reports whether a key is a text that PostgreSQL refuses, which is in no row.
func unstorable(key any) bool {
	text, ok := key.(*string)
	return ok && strings.IndexByte(*text, 0) >= 0
}
