//go:build linux

package failover

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
	"github.com/scanhook/scanhook/internal/servetest"
	"github.com/scanhook/scanhook/store/sqldb"
)

// Flags of a long run; without -failover.deliveries the tests are a smoke test.
var (
	deliveries = flag.Int("failover.deliveries", 0, "deliveries of each run; 0: a smoke test")
	perSecond  = flag.Float64("failover.rate", 60, "deliveries a second")
	times      = flag.Int("failover.times", 1, "how often the primary is lost; the lost one follows the new one afterwards")
	outage     = flag.Duration("failover.outage", 2*time.Second, "how long nobody is promoted")
)

// isolated is how long the primary goes on without being able to reach its standby, before it is lost.
const isolated = time.Second

// recovery bounds how long it may take, from the promotion on, until each replica is ready. It is much more than it takes.
const recovery = time.Minute

func TestFailover(t *testing.T) {
	if *deliveries == 0 && os.Getenv("SCANHOOK_FAILOVER") == "" {
		t.Skip("SCANHOOK_FAILOVER is not set: make failover, and CI, run this")
	}
	binary := servetest.Build(t)
	t.Run("synchronous", func(t *testing.T) {
		t.Parallel()
		servers := newPair(t, true)
		settings, err := sqldb.Volatile(t.Context(), servers.url()+"&synchronous_commit=local")
		if err != nil || !slices.Contains(settings, "synchronous_commit = local") {
			t.Errorf("settings by which commits do not wait for the standby: %q, %v", settings, err)
		}
		if found := run(t, binary, servers, (*failover).losePrimary); len(found) > 0 {
			t.Errorf("promises were broken\n%s", found)
		}
	})
	t.Run("standby", func(t *testing.T) {
		if *deliveries == 0 {
			t.Skip("part of the long run only")
		}
		t.Parallel()
		if found := run(t, binary, newPair(t, true), (*failover).loseStandby); len(found) > 0 {
			t.Errorf("promises were broken\n%s", found)
		}
	})
	t.Run("asynchronous", func(t *testing.T) {
		if *deliveries == 0 {
			t.Skip("part of the long run only")
		}
		t.Parallel()
		found := run(t, binary, newPair(t, false), (*failover).losePrimary)
		if len(found[servetest.Lost]) == 0 {
			t.Errorf("the run did not notice that what the standby never got is lost; it found:\n%s", found)
		}
		t.Logf("found as it should:\n%s", found)
	})
}

// run has something happen to the servers under load. It returns which promises were broken.
func run(t *testing.T, binary string, servers *pair, happen func(f *failover, ctx context.Context, again bool) error) servetest.Violations {
	t.Helper()
	load := servetest.Load{Seed: 1, Deliveries: max(*deliveries, 360), PerSecond: *perSecond, Checked: 12}
	c := servetest.NewCluster(t, servetest.Options{
		Database: servetest.Database{URL: servers.url(), Server: servers.primary}, Binaries: []string{binary, binary}, Checked: load.Checked,
	})
	c.StartReady(t)
	pushes, sender := load.Plan(c.Checked), servetest.NewSender(c)
	ctx, cancel := context.WithTimeout(t.Context(), load.Needed()+servetest.SettleTime)
	defer cancel()
	began := time.Now()
	var sending sync.WaitGroup
	var failed, lost error
	sending.Go(func() { failed = sender.Run(ctx, pushes, load.Needed()) })
	f := &failover{pair: servers, cluster: c, sender: sender, violations: servetest.Violations{}}
	for i := range *times {
		for sender.Sent() < (i+1)*len(pushes)/(*times+1) && poll.Sleep(ctx, 10*time.Millisecond) {
		}
		if lost = happen(f, ctx, i+1 < *times); lost != nil {
			cancel()
			break
		}
	}
	sending.Wait()
	sent := time.Since(began)
	settled, unsettled := c.Settle(t)
	t.Logf("\n%s%s%s", sender.Summary(sent), servetest.Line("failovers", "%s", strings.Join(f.figures, "; ")),
		servetest.Line("at rest", "after %s", settled.Round(100*time.Millisecond)))
	found := c.Check(t, sender, pushes, excusesEach*len(f.figures))
	for promise, list := range f.violations {
		found[promise] = append(found[promise], list...)
	}
	if err := errors.Join(failed, lost, unsettled); err != nil {
		found.Break(servetest.Unexpected, "%v", err)
	}
	return found
}

// excusesEach is how many statuses the replicas may be posting when the primary is lost: what the platform answers to them may not
// be kept.
const excusesEach = 2 * 16

// failover loses servers, and watches the replicas meanwhile.
type failover struct {
	*pair
	cluster    *servetest.Cluster
	sender     *servetest.Sender
	violations servetest.Violations
	figures    []string
}

// losePrimary kills the primary and promotes the standby. Where again is true, a standby follows the new primary.
func (f *failover) losePrimary(ctx context.Context, again bool) error {
	refused, acknowledged := f.sender.Refused(), f.sender.Acknowledged()
	if err := f.isolate(); err != nil {
		return err
	}
	_ = poll.Sleep(ctx, isolated)
	for !f.synchronous && f.sender.Acknowledged() < acknowledged+enoughToLose && poll.Sleep(ctx, 10*time.Millisecond) {
	}
	if err := f.primary.Crash(); err != nil {
		return err
	}
	lost := time.Now()
	f.awaitReplicas(ctx, lost.Add(*outage), false, "still says that it is ready, while no database takes anything")
	_ = poll.Sleep(ctx, time.Until(lost.Add(*outage)))
	if err := f.promote(ctx); err != nil {
		return err
	}
	f.cluster.Database.Server = f.primary
	f.recover(ctx, lost, refused)
	if again {
		return f.follow(ctx)
	}
	return nil
}

// loseStandby kills the standby: nothing can be acknowledged until there is another one.
func (f *failover) loseStandby(ctx context.Context, _ bool) error {
	refused := f.sender.Refused()
	if err := f.standby.Crash(); err != nil {
		return err
	}
	lost := time.Now()
	_ = poll.Sleep(ctx, time.Second) // answers under way
	acknowledged := f.sender.Acknowledged()
	_ = poll.Sleep(ctx, time.Until(lost.Add(withoutStandby)))
	if n := f.sender.Acknowledged() - acknowledged; n > 0 {
		f.violations.Break(servetest.Lost, "%d calls were acknowledged that only one server has", n)
	}
	if err := f.follow(ctx); err != nil {
		return err
	}
	f.recover(ctx, lost, refused)
	return nil
}

// withoutStandby is longer than a call waits for its commit.
const withoutStandby = 15 * time.Second

// recover waits until the replicas are ready, and notes what has been since a server was lost.
func (f *failover) recover(ctx context.Context, lost time.Time, refused int) {
	again := time.Now()
	f.awaitReplicas(ctx, again.Add(recovery), true, fmt.Sprintf("is not ready %s after there were enough servers", recovery))
	refused = f.sender.Refused() - refused
	if refused == 0 {
		f.violations.Break(servetest.Unexpected, "no call was answered 503 while the database took nothing")
	}
	f.figures = append(f.figures, fmt.Sprintf("%s without, ready %s later, %d calls answered 503 meanwhile",
		again.Sub(lost).Round(10*time.Millisecond), time.Since(again).Round(10*time.Millisecond), refused))
	for _, r := range f.cluster.Replicas {
		if starts, _ := r.Lives(); starts != 1 {
			f.violations.Break(servetest.Unexpected, "%s has started %d times", r.Name, starts)
		}
	}
}

// enoughToLose is how many acknowledged calls an asynchronous standby must have missed: more than are under way at once.
const enoughToLose = 40

// awaitReplicas waits until all replicas are ready, or all are not.
func (f *failover) awaitReplicas(ctx context.Context, until time.Time, ready bool, otherwise string) {
	waiting := slices.Clone(f.cluster.Replicas)
	for len(waiting) > 0 && time.Now().Before(until) && poll.Sleep(ctx, 20*time.Millisecond) {
		waiting = slices.DeleteFunc(waiting, func(r *servetest.Replica) bool { return r.Ready(ctx) == ready })
	}
	for _, r := range waiting {
		f.violations.Break(servetest.Unexpected, "%s %s", r.Name, otherwise)
	}
}
