package api

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
)

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
		return fmt.Errorf("%w: cursor is not one that a list answered as next; leave it out to start anew", core.ErrInvalid)
	}
	return nil
}
