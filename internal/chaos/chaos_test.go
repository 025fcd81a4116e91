//go:build linux

package chaos

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/servetest"
)

// Flags of a long run; without -chaos.duration the tests are a smoke test.
var (
	duration   = flag.Duration("chaos.duration", 0, "time for all runs together; 0: a smoke test")
	deliveries = flag.Int("chaos.deliveries", 20_000, "deliveries in the run on PostgreSQL, with -chaos.duration")
	seed       = flag.Uint64("chaos.seed", 1, "what the deliveries and disruptions are drawn from")
	freeze     = flag.Duration("chaos.freeze", 10*time.Second, "how long the database stands still, with -chaos.duration; a lease is 30 s")
	kept       = flag.String("chaos.keep", "", "directory to copy the logs to")
)

// full tells whether a long run was asked for.
func full() bool { return *duration > 0 }

// shareSending of the whole time is for the deliveries on PostgreSQL. The rest is for building, for coming to rest, and
// for what runs afterwards: SQLite, and the proofs that mistakes are found.
const shareSending = 0.5

// scale is how much of everything a run has.
type scale struct {
	servetest.Load
	Kills       int           // kill -9
	Restarts    int           // of the database
	Freezes     int           // of the database: it stands still and keeps its connections
	Revocations int           // of the token's rights, for a while
	Stalls      int           // processes stopped for longer than a lease and then continued
	Hang        time.Duration // at most, of a platform that hangs
	Mended      string        // the binary that replaces the first one half way; empty for none
}

// longestHang of a platform is longer than Scanhook waits for it.
const longestHang = 18 * time.Second

// Two replicas share a PostgreSQL. The long run has the machine for itself.
func TestChaosPostgres(t *testing.T) {
	wanted(t)
	if !full() {
		t.Parallel()
	}
	s := scale{Load: servetest.Load{Seed: *seed, Deliveries: 400, PerSecond: 80, Checked: 20}, Kills: 2, Restarts: 1}
	if full() {
		s = scale{
			Load:  servetest.Load{Seed: *seed, Deliveries: *deliveries, Checked: 300},
			Kills: 12, Restarts: 3, Freezes: 1, Stalls: 1, Revocations: 2, Hang: longestHang,
		}
		s.PerSecond = float64(s.Deliveries) / (shareSending * duration.Seconds())
	}
	check(t, servetest.OwnPostgres(t), 2, s)
}

// One process has a database file of its own.
func TestChaosSQLite(t *testing.T) {
	wanted(t)
	t.Parallel()
	s := scale{Load: servetest.Load{Seed: *seed, Deliveries: 300, PerSecond: 80, Checked: 10}, Kills: 2}
	if full() {
		s = scale{Load: servetest.Load{Seed: *seed, Deliveries: *deliveries / 16, PerSecond: 40, Checked: 40}, Kills: 10, Hang: longestHang}
	}
	check(t, servetest.SQLite(t), 1, s)
}

// The parser fails for a while: what it could not read is kept, and derived by the next version.
func TestChaosParserFails(t *testing.T) {
	wanted(t)
	t.Parallel()
	s := scale{Load: servetest.Load{Seed: *seed, Deliveries: 200, PerSecond: 60, NoReports: true}, Kills: 1}
	if full() {
		s.Deliveries, s.Kills = *deliveries/16, 4
	}
	s.Mended = built(t)
	fails := servetest.Overlay(t, []servetest.Edit{{
		File: "platforms/platforms.go", Old: "	return platform.Parse(header, body)\n",
		New: "	delivery, err = platform.Parse(header, body)\n	return delivery, fmt.Errorf(\"it cannot be read: %v\", err)\n",
	}})
	binary := servetest.Build(t, append(fails, "-ldflags=-X main.version=failing")...)
	if found := run(t, binary, servetest.SQLite(t), 1, s); len(found) > 0 {
		t.Errorf("promises were broken; again with -chaos.seed=%d\n%s", s.Seed, found)
	}
}

// wanted skips what kills processes for half a minute in a plain go test ./...
func wanted(t *testing.T) {
	t.Helper()
	if !full() && os.Getenv("SCANHOOK_CHAOS") == "" {
		t.Skip("SCANHOOK_CHAOS is not set: make chaos, and CI, run this")
	}
}

func check(t *testing.T, db servetest.Database, processes int, s scale) {
	t.Helper()
	if found := run(t, built(t), db, processes, s); len(found) > 0 {
		t.Errorf("promises were broken; again with -chaos.seed=%d\n%s", s.Seed, found)
	}
}

// posting is how many statuses a process posts at the same time.
const posting = 16

// run lets it happen, and returns which promises were broken.
func run(t *testing.T, binary string, db servetest.Database, processes int, s scale) servetest.Violations {
	t.Helper()
	c, faults := hostileCluster(t, servetest.Options{
		Database: db, Binaries: slices.Repeat([]string{binary}, processes), Checked: s.Checked,
	}, s)
	c.StartReady(t) // else what is to disturb them comes before they are there, on a slow machine
	pushes := s.Plan(c.Checked)
	sending := servetest.NewSender(c)
	leading := newDisruptor(c, faults, s, func() float64 { return float64(sending.Sent()) / float64(len(pushes)) })
	leading.mend = func(r *servetest.Replica) {
		r.Stop(t)
		r.Binary = s.Mended
		r.Start()
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), s.Needed()+servetest.SettleTime)
	defer cancel()
	var both sync.WaitGroup
	var failed [2]error
	both.Go(func() { failed[0] = leading.run(ctx) })
	both.Go(func() { failed[1] = sending.Run(ctx, pushes, s.Needed()) })
	both.Wait()
	sent := time.Since(began)
	excuses := posting * (leading.kills + leading.restarts + leading.freezes + leading.stalls)
	for _, f := range faults {
		f.end()
		excuses += f.lostAnswers()
	}
	settled, err := c.Settle(t)
	t.Logf("\n%s", leading.summary(t, sending, sent, settled))
	c.KeepLogs(t, *kept)
	if err := errors.Join(failed[0], failed[1], err); err != nil {
		t.Error(err)
	}
	found := c.Check(t, sending, pushes, excuses)
	for platform, f := range faults {
		for _, breach := range f.breaches {
			found.Break(servetest.IgnoredLimit, "%s: %s", platform, breach)
		}
	}
	return found
}

// hostileCluster makes a cluster whose platforms answer with faults.
func hostileCluster(t *testing.T, o servetest.Options, s scale) (*servetest.Cluster, map[string]*apiFaults) {
	t.Helper()
	faults := map[string]*apiFaults{}
	o.Faults = map[string]func(*http.Request) *fakeforge.Fault{}
	for _, platform := range servetest.PlatformNames {
		faults[platform] = newAPIFaults(s)
		o.Faults[platform] = faults[platform].fault
	}
	c := servetest.NewCluster(t, o)
	for i, r := range c.Replicas {
		r.Died = func() {
			for platform, f := range faults {
				f.forget(c.Platforms[platform].Addresses[i])
			}
		}
	}
	for platform, f := range faults {
		f.platform = c.Platforms[platform].Server
	}
	return c, faults
}
