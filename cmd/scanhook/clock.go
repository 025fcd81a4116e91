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

// keepTime compares the clocks and puts right what a wrong one has written. It says when the host's begins to differ from
// the database's, and when the one that is used has jumped.
func keepTime(db *store.Store, log *slog.Logger) func(context.Context) {
	differs, doubted := false, false
	once := func(ctx context.Context) (bool, error) {
		skew, err := db.SyncClock(ctx)
		if err != nil {
			return false, err
		}
		if skew != 0 && !differs {
			log.Warn("the database's clock is used: " + differing(skew, "the database's"))
		}
		differs = skew != 0
		doubt := db.Doubt()
		if doubt != 0 && !doubted {
			log.Warn("the clock has jumped; it is followed when it stays so, and nothing is late meanwhile", "by", doubt.Round(time.Second))
		}
		doubted = doubt != 0
		mended, err := db.MendTimes(ctx)
		if mended > 0 {
			log.Warn("times that a wrong clock had written were put right", "rows", mended)
		}
		return false, err
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
