//go:build linux

package upgrade

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/servetest"
)

// Flags of a long run; without -upgrade.deliveries the test is a smoke test.
var (
	deliveries = flag.Int("upgrade.deliveries", 0, "deliveries on each engine; 0: a smoke test")
	perSecond  = flag.Float64("upgrade.rate", 40, "deliveries a second")
	kept       = flag.String("upgrade.keep", "", "directory to copy the logs to")
	previous   = flag.String("upgrade.previous", "", "commit that is upgraded from; empty: the one that brought the last release into CHANGELOG.md")
)

// step replaces the process of a replica when a share of the pushes has been sent.
type step struct {
	at      float64
	replica int
	next    bool // by the present binary, else by the previous one
}

// Replicas share a PostgreSQL: one is upgraded, the other one restarts, both are upgraded, and one goes back.
var rolling = []step{{0.15, 1, true}, {0.40, 0, false}, {0.60, 0, true}, {0.80, 1, false}}

// One process at a time serves a database file: forth, back and forth.
var inTurn = []step{{0.25, 0, true}, {0.50, 0, false}, {0.75, 0, true}}

func TestUpgrade(t *testing.T) {
	if *deliveries == 0 && os.Getenv("SCANHOOK_UPGRADE") == "" {
		t.Skip("SCANHOOK_UPGRADE is not set: make upgrade, and CI, run this")
	}
	old, next := previousBinary(t), servetest.Build(t, servetest.Overlay(t, additions)...)
	t.Run("postgres", func(t *testing.T) {
		check(t, servetest.OwnPostgres(t), []string{old, old}, next, rolling)
	})
	t.Run("sqlite", func(t *testing.T) {
		check(t, servetest.SQLite(t), []string{old}, next, inTurn)
	})
	t.Run("finds that a column was renamed", func(t *testing.T) {
		broken := servetest.Build(t, servetest.Overlay(t, renaming(t))...)
		found := run(t, servetest.OwnPostgres(t), []string{old, old}, broken, rolling)
		if len(found[servetest.Unexpected]) == 0 {
			t.Errorf("the run did not notice; it found:\n%s", found)
		}
		t.Logf("found as it should:\n%s", found)
	})
}

func check(t *testing.T, db servetest.Database, binaries []string, next string, steps []step) {
	t.Helper()
	if found := run(t, db, binaries, next, steps); len(found) > 0 {
		t.Errorf("promises were broken\n%s", found)
	}
	for _, made := range madeByAdditions {
		if _, err := db.Open(t).ExecContext(t.Context(), made); err != nil {
			t.Errorf("the migration was not applied: %s: %v", made, err)
		}
	}
}

// run lets replicas, which begin with the given binaries, change to the next one and back under load. It returns which promises
// were broken.
func run(t *testing.T, db servetest.Database, binaries []string, next string, steps []step) servetest.Violations {
	t.Helper()
	load := servetest.Load{Seed: 1, Deliveries: max(*deliveries, 320), PerSecond: *perSecond, Checked: 12}
	c := servetest.NewCluster(t, servetest.Options{Database: db, Binaries: binaries, Checked: load.Checked})
	c.StartReady(t)
	pushes, sender := load.Plan(c.Checked), servetest.NewSender(c)
	sender.Balanced = true
	ctx, cancel := context.WithTimeout(t.Context(), load.Needed()+servetest.SettleTime)
	defer cancel()
	began := time.Now()
	var sending sync.WaitGroup
	var failed error
	sending.Go(func() { failed = sender.Run(ctx, pushes, load.Needed()) })
	for _, s := range steps {
		for float64(sender.Sent()) < s.at*float64(len(pushes)) && sender.Faultless() && poll.Sleep(ctx, 10*time.Millisecond) {
		}
		if !sender.Faultless() { // the rest would show nothing more
			cancel()
			break
		}
		replace(t, c.Replicas[s.replica], s.next, binaries[s.replica], next)
	}
	sending.Wait()
	sent := time.Since(began)
	var unsettled error
	if sender.Faultless() {
		_, unsettled = c.Settle(t)
	}
	t.Logf("\n%s", sender.Summary(sent))
	found := c.Check(t, sender, pushes, 0)
	if err := errors.Join(failed, unsettled); err != nil {
		found.Break(servetest.Unexpected, "%v", err)
	}
	noteLogs(t, found, c)
	return found
}

// replace ends a replica's process, as a service manager does, and starts a binary.
func replace(t *testing.T, r *servetest.Replica, forth bool, old, next string) {
	t.Helper()
	r.Stop(t)
	if r.Binary = old; forth {
		r.Binary = next
	}
	r.Start()
	r.AwaitReady(t)
}

// noteLogs takes errors in the log for broken promises: the platforms and the database work all the time. That the database did
// not answer in time is left out, because a slow machine is no fault of an upgrade.
func noteLogs(t *testing.T, found servetest.Violations, c *servetest.Cluster) {
	t.Helper()
	c.KeepLogs(t, *kept)
	for _, r := range c.Replicas {
		for _, record := range r.Records(t) {
			if record.Level == "ERROR" && !strings.Contains(record.Error, core.ErrUnavailable.Error()) {
				found.Break(servetest.Unexpected, "%s logs %s: %s", r.Name, record.Msg, record.Error)
			}
		}
		if _, deaths := r.Lives(); deaths > 0 {
			found.Break(servetest.Unexpected, "%s ended by itself, %d times", r.Name, deaths)
		}
	}
}
