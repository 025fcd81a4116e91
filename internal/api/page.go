package api

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
)

// Paging is part of the input of every list. It is exported because huma looks into exported fields only, as are
// ScanRef and Upload.
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

// pageOf makes a page of rows, of which one more was asked for than fits: whether it came tells whether there is a next
// page. next is the cursor that leads on behind a row.
func pageOf[T, V any](rows []T, limit int, view func(T) V, next func(T) string) *page[V] {
	out := &page[V]{}
	if len(rows) > limit {
		rows = rows[:limit]
		out.Body.Next = next(rows[limit-1])
	}
	out.Body.Items = views(rows, view)
	return out
}

// writeCursor packs the sort key of the last item of a page into text that callers should not look into.
func writeCursor(keys ...any) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.TrimSpace(fmt.Sprintln(keys...))))
}

// readCursor unpacks a cursor into pointers to numbers; an empty cursor leaves them alone.
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
