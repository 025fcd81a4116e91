package store

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tolerableSkew is how far two clocks may be apart without being put right. Leases are much longer.
	tolerableSkew = time.Second
	// believedAfter is how long a clock that jumped has to stay so before it is followed: wrong ones are put right soon.
	believedAfter = 5 * time.Minute
	// settling is how long after a jump was followed leases prove nothing: other replicas follow it a little later.
	settling = 3 * time.Minute
	// jumpsCount is how long a jump that was followed counts in what is said to have lasted.
	jumpsCount = 24 * time.Hour
)

// HostClock is what a machine knows of the time.
type HostClock struct {
	Wall func() time.Time     // can be set: by people, by NTP, when a machine wakes up that slept
	Ran  func() time.Duration // the age of the process: goes on evenly whatever Wall does, and rests while the machine sleeps
}

func machineClock() HostClock {
	began := time.Now()
	return HostClock{Wall: time.Now, Ran: func() time.Duration { return time.Since(began) }}
}

// steadyClock goes on evenly. It follows a jump of another clock only when that has lasted: so one that is wrong for a
// moment makes nothing overdue, and delays nothing.
type steadyClock struct {
	HostClock
	epoch   atomic.Int64 // when Ran was 0, in Unix nanoseconds
	started time.Time    // by this clock as it was then

	mu    sync.Mutex
	doubt doubt
	jumps []jump
}

// doubt is a difference that is not believed yet; there is none when by is 0.
type doubt struct {
	by    time.Duration
	since time.Duration // of Ran
}

// jump is a difference that was followed.
type jump struct {
	to  time.Time // what this clock showed then
	by  time.Duration
	ran time.Duration
}

// newSteadyClock begins with the host's time.
func newSteadyClock(host HostClock) *steadyClock {
	c := &steadyClock{HostClock: host}
	c.begin(host.Wall())
	return c
}

func (c *steadyClock) begin(now time.Time) {
	c.epoch.Store(now.UnixNano() - int64(c.Ran()))
	c.started = now
}

func (c *steadyClock) now() time.Time { return time.Unix(0, c.epoch.Load()+int64(c.Ran())) }

// follow hears what the other clock says now, give or take some error.
func (c *steadyClock) follow(said time.Time, give time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ran, by := c.Ran(), said.Sub(c.now())
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

// jumped is how much of the time since then did not pass, for this clock jumped over it. What was written before the
// process started was written by another clock, which was right for all we know.
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

// proven tells whether this clock has been held against the other one for long enough.
func (c *steadyClock) proven() bool { return c.doubted() == 0 && c.Ran() >= believedAfter }

// lastJump is the one that was just followed; zero where that is a while ago.
func (c *steadyClock) lastJump() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.jumps); n > 0 && c.Ran()-c.jumps[n-1].ran < settling {
		return c.jumps[n-1].by
	}
	return 0
}
