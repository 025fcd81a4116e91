package health

import (
	"context"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

const (
	freshFor = 5 * time.Second // a snapshot is shared at least this long,
	idle     = 20              // and this many times as long as it took to read
)

// snapshot is the state of a moment ago.
type snapshot struct {
	at    time.Time
	fresh time.Duration // how long it is shared
	flow  store.Flow
	err   error // not all queries were answered in time
	queue int
	full  bool // the database answers, but has just refused to write deliveries
	disks []disk
}

// snapshot returns the state of the last seconds. However many callers there are, the database works for them at most a
// twentieth of the time. Concurrent callers wait for the same snapshot, and one that hangs up does not cancel it.
func (h *Health) snapshot(ctx context.Context) snapshot {
	h.reading.Lock()
	defer h.reading.Unlock()
	now := h.Now()
	if age := now.Sub(h.latest.at); age < 0 || age >= h.latest.fresh {
		h.latest = h.readSnapshot(ctx)
		h.latest.at = now
	}
	return h.latest
}

func (h *Health) readSnapshot(ctx context.Context) snapshot {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.Timeout)
	defer cancel()
	flow, err := h.Store.ReadFlow(ctx)
	s := snapshot{
		fresh: max(freshFor, idle*min(time.Since(start), h.Timeout)), // a stall of this process is not the database's
		flow:  flow, err: err, queue: h.Store.IntakeQueue(), disks: spaceOf(h.Disks), full: h.Store.Refusal() != nil,
	}
	if !s.up() {
		s.fresh = freshFor // nothing is spared by waiting, and callers want to know when it is back
	}
	return s
}

// answers tells whether the database answered at least the first query.
func (s snapshot) answers() bool { return s.flow.Ping > 0 }

// up tells whether it answers and can write.
func (s snapshot) up() bool { return s.answers() && !s.full }

// backlog is a number of things that wait, and since when the first does.
type backlog struct {
	count int
	since time.Time
}

func (b backlog) with(count int, since time.Time) backlog {
	if b.since.IsZero() || since.Before(b.since) {
		b.since = since
	}
	return backlog{b.count + count, b.since}
}

// editionOf is the date of a list, or of its import if it has none.
func editionOf(list core.FeedImport) time.Time {
	if list.Date != nil {
		return *list.Date
	}
	return list.ImportedAt
}
