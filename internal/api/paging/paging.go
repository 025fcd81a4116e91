// Package paging is what all lists of the API share: the cursor of the next page, and the form of the answer.
package paging

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// ErrCursor is the error of a cursor that no list has answered.
var ErrCursor = fmt.Errorf("%w: cursor is not one that a list answered as next; leave it out to start anew", core.ErrInvalid)

// Input is part of the input of every list.
type Input struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"the value of next in the answer before"`
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

// Cursor encodes the sort key of the last item of a page. Clients must not depend on the form of the text.
func Cursor(keys ...any) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.TrimSpace(fmt.Sprintln(keys...))))
}

// Decode reads a cursor into pointers; an empty cursor does not change them.
func Decode(cursor string, keys ...any) error {
	if cursor == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscan(string(raw), keys...)
	}
	if err != nil {
		return ErrCursor
	}
	return nil
}
