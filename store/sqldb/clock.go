package sqldb

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tolerableSkew is how far two clocks may differ without a correction. Leases are much longer.
	tolerableSkew = time.Second
	// believedAfter is how long a clock that jumped has to stay so before it is followed: wrong clocks are corrected soon.
	believedAfter = 5 * time.Minute
	// settling is how long after a jump was followed leases prove nothing: other replicas follow it a little later.
	settling = 3 * time.Minute
	// jumpsCount is how long a jump that was followed is subtracted from what seems to have passed.
	jumpsCount = 24 * time.Hour
)

// Clock is the clock that all replicas share: the database server's, or the host's own where there is no server.
type Clock struct {
	Host       HostClock
	ServerTime func(context.Context) (time.Time, error) // nil where the host's clock is the shared one

	given  func() time.Time // a test's time in place of the clocks; nil otherwise
	steady *steadyClock
	skew   atomic.Int64 // how far the server's clock was ahead of the host's when last asked, in nanoseconds
}

// HostClock is what a machine knows of the time.
type HostClock struct {
	Wall func() time.Time     // can be set: by people, by NTP, when a machine wakes up that slept
	Ran  func() time.Duration // the age of the process: advances evenly whatever Wall does, and stops while the machine sleeps

	steady *steadyClock // of all clocks that are made of it; nil where each has its own
}

func machineClock() HostClock {
	began := time.Now()
	return HostClock{Wall: time.Now, Ran: func() time.Duration { return time.Since(began) }}
}

// Lasting is the clock for a process that opens the same database once after the other: each time it goes on with what it has learnt
// of the time. It is the machine's when zero.
func (h HostClock) Lasting() HostClock {
	h = h.orMachine()
	h.steady = newSteadyClock(h)
	return h
}

func (h HostClock) orMachine() HostClock {
	if h.Wall == nil {
		return machineClock()
	}
	return h
}

// NewClock returns the clock of a database; host is the machine's when zero. A clock with a given time shows only that.
func NewClock(db *DB, host HostClock, given func() time.Time) *Clock {
	host = host.orMachine()
	c := &Clock{Host: host, given: given, steady: host.steady}
	if c.steady == nil {
		c.steady = newSteadyClock(host)
	}
	if db.serverTime != "" {
		c.ServerTime = func(ctx context.Context) (now time.Time, err error) {
			err = db.GetContext(ctx, &now, db.serverTime)
			return now, Classify(err)
		}
	}
	return c
}

// Begin sets the clock to the server's time, unless the host's agrees with it. A clock that lasts is set once.
func (c *Clock) Begin(ctx context.Context) error {
	if c.given != nil || c.ServerTime == nil || c.steady.set {
		return nil
	}
	server, now, latency, err := c.compare(ctx)
	if err != nil {
		return err
	}
	if server.Sub(now).Abs() >= tolerableSkew+latency {
		now = server
	}
	c.steady.begin(now)
	c.steady.set = true
	return nil
}

// Now is the present moment. The shared clock may jump; Now follows only jumps that last.
func (c *Clock) Now() time.Time {
	if c.given != nil {
		return c.given()
	}
	return c.steady.now()
}

// Timestamp is Now in UTC and in the precision that both engines keep.
func (c *Clock) Timestamp() time.Time { return c.Now().UTC().Truncate(time.Microsecond) }

// Jumped is how much of the time since then has not passed, because Now jumped over it lately: a clock was corrected, or
// the machine slept. It is subtracted wherever something is late or old only if the time has really passed.
func (c *Clock) Jumped(then time.Time) time.Duration {
	if c.given != nil {
		return 0
	}
	return c.steady.jumped(then)
}

// JustJumped tells whether Now has followed a jump a moment ago.
func (c *Clock) JustJumped() bool { return c.given == nil && c.steady.lastJump() != 0 }

// JustWentBack tells whether that jump went back.
func (c *Clock) JustWentBack() bool { return c.given == nil && c.steady.lastJump() < 0 }

// Doubt is how far the shared clock has jumped away from Now, which does not follow it yet; 0 where both agree.
func (c *Clock) Doubt() time.Duration {
	if c.given != nil {
		return 0
	}
	return c.steady.doubted()
}

// Proven tells whether the clock may decide that something is late that began then. It may not for what began before the
// process, until it has agreed with the shared clock for a while: one that is wrong at the start must fail nothing.
func (c *Clock) Proven(then time.Time) bool {
	return c.given != nil || !then.Before(c.steady.started) || c.steady.proven()
}

// Sync compares Now with the shared clock, and returns how far a database server's is ahead of the host's: a
// replica whose clock is wrong would take the others' leases for expired, or lease its own jobs for too long. It returns 0
// where both agree, and on an embedded database.
func (c *Clock) Sync(ctx context.Context) (time.Duration, error) {
	switch {
	case c.given != nil:
		return 0, nil
	case c.ServerTime == nil:
		c.steady.follow(c.Host.Wall(), 0)
		return 0, nil
	}
	server, host, latency, err := c.compare(ctx)
	if err != nil {
		return 0, err
	}
	if latency > tolerableSkew { // such an answer proves nothing
		return time.Duration(c.skew.Load()), nil
	}
	c.steady.follow(server, latency)
	skew := server.Sub(host)
	if skew.Abs() < tolerableSkew+latency {
		skew = 0
	}
	c.skew.Store(int64(skew))
	return skew, nil
}

// compare reads the server's and the host's clock at one moment, give or take the latency of the question.
func (c *Clock) compare(ctx context.Context) (server, host time.Time, latency time.Duration, err error) {
	asked := c.Host.Ran()
	if server, err = c.ServerTime(ctx); err != nil {
		return server, host, 0, fmt.Errorf("asking the database for the time: %w", err)
	}
	latency = (c.Host.Ran() - asked) / 2
	return server.Add(latency), c.Host.Wall(), latency, nil
}

// steadyClock advances evenly. It follows a jump of another clock only when that has lasted, so that one that is wrong for
// a moment makes nothing overdue and delays nothing.
type steadyClock struct {
	ran     func() time.Duration
	epoch   atomic.Int64  // when ran was 0, in Unix nanoseconds
	started time.Time     // by this clock as it was then
	since   time.Duration // of ran, when it started
	set     bool          // by the time of a server

	mu    sync.Mutex
	doubt doubt
	jumps []jump
}

// doubt is a difference that is not believed yet; there is none when by is 0.
type doubt struct {
	by    time.Duration
	since time.Duration // of ran
}

// jump is a difference that was followed.
type jump struct {
	to  time.Time // what this clock showed then
	by  time.Duration
	ran time.Duration
}

// newSteadyClock begins with the host's time.
func newSteadyClock(host HostClock) *steadyClock {
	c := &steadyClock{ran: host.Ran}
	c.begin(host.Wall())
	return c
}

func (c *steadyClock) begin(now time.Time) {
	c.since, c.started = c.ran(), now
	c.epoch.Store(now.UnixNano() - int64(c.since))
}

func (c *steadyClock) now() time.Time { return time.Unix(0, c.epoch.Load()+int64(c.ran())) }

// follow takes what the other clock shows now, give or take some error.
func (c *steadyClock) follow(other time.Time, give time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ran, by := c.ran(), other.Sub(c.now())
	switch {
	case by.Abs() < tolerableSkew+give:
		c.doubt = doubt{}
	case c.doubt.by == 0 || (by-c.doubt.by).Abs() >= 2*tolerableSkew+give:
		c.doubt = doubt{by: by, since: ran}
	case ran-c.doubt.since >= believedAfter:
		c.epoch.Add(int64(by))
		c.jumps = append(c.jumps, jump{to: c.now(), by: by, ran: ran})
		c.doubt = doubt{}
	}
	c.jumps = slices.DeleteFunc(c.jumps, func(j jump) bool { return ran-j.ran > jumpsCount })
}

// jumped is how much of the time since then did not pass, because this clock jumped over it. What was written before the
// process started was written by another clock, which is assumed to have been right.
func (c *steadyClock) jumped(then time.Time) (over time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, j := range c.jumps {
		if then.Before(j.to) && (j.by > 0 || !then.Before(c.started)) {
			over += j.by
		}
	}
	return over
}

// doubted is the difference that is not believed yet.
func (c *steadyClock) doubted() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doubt.by
}

// proven tells whether this clock has been compared with the other one for long enough.
func (c *steadyClock) proven() bool { return c.doubted() == 0 && c.ran()-c.since >= believedAfter }

// lastJump is the one that was just followed; zero where that is a while ago.
func (c *steadyClock) lastJump() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.jumps); n > 0 && c.ran()-c.jumps[n-1].ran < settling {
		return c.jumps[n-1].by
	}
	return 0
}
