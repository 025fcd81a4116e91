package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// troubles are the projects whose statuses wait for a better token. A platform without any has a line of its own.
func (i inspection) troubles(ctx context.Context) []line {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	list, err := store.Troubles(ctx, i.Database.URL.Reveal())
	switch {
	case errors.Is(err, core.ErrNotFound), errors.Is(err, core.ErrUnavailable):
		return nil // the line of the database says so
	case err != nil:
		return []line{{verdictOff, "statuses", fmt.Sprintf("known after the first start of this version (%v)", err)}}
	}
	var lines []line
	for _, t := range list {
		if !i.Platforms[t.SourcePlatform].Posts() {
			continue
		}
		lines = append(lines, line{verdictFail, "statuses of " + t.SourcePlatform + "/" + printable(t.Where()),
			fmt.Sprintf("kept since %s, not posted: %s; tried again now, and all are posted once that succeeds",
				t.Since.UTC().Format(time.DateTime), printable(t.Reason))})
	}
	return lines
}
