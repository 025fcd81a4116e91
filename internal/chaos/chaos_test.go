package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
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

// settleTime bounds how long it may take until all is at rest: leases of the dead run out after 30 seconds, and a job
// may have been held by three of them.
const settleTime = 4 * time.Minute

// shareSending of the whole time is for the deliveries on PostgreSQL. The rest is for building, for coming to rest, and
// for what runs afterwards: SQLite, and the proofs that mistakes are found.
const shareSending = 0.5

// longestHang of a platform is longer than Scanhook waits for it.
const longestHang = 18 * time.Second

// Two replicas share a PostgreSQL. The long run has the machine for itself.
func TestChaosPostgres(t *testing.T) {
	wanted(t)
	if !full() {
		t.Parallel()
	}
	s := scale{Seed: *seed, Deliveries: 400, PerSecond: 80, Checked: 20, Kills: 2, Restarts: 1}
	if full() {
		s = scale{
			Seed: *seed, Deliveries: *deliveries, Checked: 300, Kills: 12, Restarts: 3, Freezes: 1, Stalls: 1,
			Revocations: 2, Hang: longestHang,
		}
		s.PerSecond = float64(s.Deliveries) / (shareSending * duration.Seconds())
	}
	check(t, postgresDatabase(t), 2, s)
}

// One process has a database file of its own.
func TestChaosSQLite(t *testing.T) {
	wanted(t)
	t.Parallel()
	s := scale{Seed: *seed, Deliveries: 300, PerSecond: 80, Checked: 10, Kills: 2}
	if full() {
		s = scale{Seed: *seed, Deliveries: *deliveries / 16, PerSecond: 40, Checked: 40, Kills: 10, Hang: longestHang}
	}
	check(t, sqliteDatabase(t), 1, s)
}

// wanted skips what kills processes for half a minute in a plain go test ./...
func wanted(t *testing.T) {
	t.Helper()
	if !full() && os.Getenv("SCANHOOK_CHAOS") == "" {
		t.Skip("SCANHOOK_CHAOS is not set: make chaos, and CI, run this")
	}
}

func check(t *testing.T, db database, processes int, s scale) {
	t.Helper()
	if found := run(t, built(t), db, processes, s); len(found) > 0 {
		t.Errorf("promises were broken; again with -chaos.seed=%d\n%s", s.Seed, found)
	}
}

// run lets it happen, and returns which promises were broken.
func run(t *testing.T, binary string, db database, processes int, s scale) violations {
	t.Helper()
	c := newCluster(t, binary, db, processes, s)
	c.start(t)
	pushes := planPushes(s, platformNames, c.checked)
	sending := newSender(c)
	leading := newDisruptor(c, s, func() float64 { return float64(sending.sent.Load()) / float64(len(pushes)) })
	began := time.Now()
	needed := time.Duration(float64(s.Deliveries) / s.PerSecond * float64(time.Second))
	ctx, cancel := context.WithTimeout(t.Context(), needed+settleTime)
	defer cancel()
	var both sync.WaitGroup
	var failed [2]error
	both.Go(func() { failed[0] = leading.run(ctx) })
	both.Go(func() { failed[1] = sending.run(ctx, pushes, needed) })
	both.Wait()
	sent := time.Since(began)
	for _, p := range c.platforms {
		p.end()
	}
	settled, err := c.settle(t)
	t.Logf("\n%s", c.summary(t, sending, leading, sent, settled))
	c.keep(t)
	if err := errors.Join(failed[0], failed[1], err); err != nil {
		t.Error(err)
	}
	return c.check(t, sending, leading, pushes)
}

// settle waits until nothing is under way any more.
func (c *cluster) settle(t *testing.T) (time.Duration, error) {
	t.Helper()
	db, began, left := c.database.open(t), time.Now(), -1
	for time.Since(began) < settleTime {
		var err error
		if left, err = pendingWork(t.Context(), db); err == nil && left == 0 {
			return time.Since(began), nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return time.Since(began), fmt.Errorf("after %s, %d jobs and statuses were still open", settleTime, left)
}

// keep copies the logs to where they outlive the test.
func (c *cluster) keep(t *testing.T) {
	t.Helper()
	if *kept == "" {
		return
	}
	for _, r := range c.replicas {
		text, err := os.ReadFile(r.log)
		if err == nil {
			err = os.WriteFile(filepath.Join(*kept, c.database.driver+"-"+filepath.Base(r.log)), text, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
