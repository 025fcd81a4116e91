package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/store"
)

const keepTimeEvery = time.Minute

// keepTime follows the database's clock, and says when the host's begins to differ from it.
func keepTime(db *store.Store, log *slog.Logger) func(context.Context) {
	told := false
	once := func(ctx context.Context) (bool, error) {
		skew, err := db.SyncClock(ctx)
		if err != nil {
			return false, err
		}
		if skew != 0 && !told {
			log.Warn("the database's clock is used: " + differing(skew, "the database's"))
		}
		told = skew != 0
		return false, nil
	}
	return poll.Loop{Name: "clock", Every: keepTimeEvery, Once: once, Log: log}.Run
}

// differing says how far another clock is ahead of this host's, and what to do.
func differing(skew time.Duration, whose string) string {
	word := "behind"
	if skew < 0 {
		word = "ahead of"
	}
	return fmt.Sprintf("this host's clock is %s %s %s; synchronise it (NTP)", skew.Abs().Round(time.Second), word, whose)
}
