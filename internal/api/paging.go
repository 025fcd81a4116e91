package api

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Paging is part of the input of every list. It is exported because huma reads exported fields only, like ScanRef and
// Upload.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"200" doc:"the value of next in the answer before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
}

// page is the answer of every list.
type page[V any] struct {
	Body struct {
		Items []V    `json:"items"`
		Next  string `json:"next" doc:"cursor of the next page; empty on the last one"`
	}
}

// pageOf makes a page of rows. The query asks for one row more than fits, which tells whether there is a next page. next is
// the cursor of the page after a row.
func pageOf[T, V any](rows []T, limit int, view func(T) V, next func(T) string) *page[V] {
	out := &page[V]{}
	if len(rows) > limit {
		rows = rows[:limit]
		out.Body.Next = next(rows[limit-1])
	}
	out.Body.Items = views(rows, view)
	return out
}

// writeCursor encodes the sort key of the last item of a page. Clients must not depend on the form of the text.
func writeCursor(keys ...any) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.TrimSpace(fmt.Sprintln(keys...))))
}

// readCursor decodes a cursor into pointers; an empty cursor does not change them.
func readCursor(cursor string, keys ...any) error {
	if cursor == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscan(string(raw), keys...)
	}
	if err != nil {
		return errCursor
	}
	return nil
}

var errCursor = fmt.Errorf("%w: cursor is not one that a list answered as next; leave it out to start anew", core.ErrInvalid)

// text is a string column that can be null, as JSON has it.
func text[T ~string](value *T) *string {
	if value == nil {
		return nil
	}
	s := string(*value)
	return &s
}

func views[T, V any](list []T, view func(T) V) []V {
	out := make([]V, len(list))
	for i, item := range list {
		out[i] = view(item)
	}
	return out
}
