package health

import (
	"context"
	"maps"
	"slices"
	"sync"
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

// snapshots reads the state and shares it among callers.
type snapshots struct {
	store   *store.Store
	disks   map[string]string // directories by their use
	timeout time.Duration     // of the database for all queries
	now     func() time.Time

	reading sync.Mutex // held while the database is read, so that concurrent callers wait for the same snapshot
	latest  snapshot
}

// get returns the state of the last seconds. However many callers there are, the database works for them at most a
// twentieth of the time. Concurrent callers wait for the same snapshot, and one that hangs up does not cancel it.
func (s *snapshots) get(ctx context.Context) snapshot {
	s.reading.Lock()
	defer s.reading.Unlock()
	now := s.now()
	if age := now.Sub(s.latest.at); age < 0 || age >= s.latest.fresh {
		s.latest = s.read(ctx)
		s.latest.at = now
	}
	return s.latest
}

func (s *snapshots) read(ctx context.Context) snapshot {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeout)
	defer cancel()
	flow, err := s.store.ReadFlow(ctx)
	latest := snapshot{
		fresh: max(freshFor, idle*min(time.Since(start), s.timeout)), // a stall of this process is not the database's
		flow:  flow, err: err, queue: s.store.IntakeQueue(), disks: spaceOf(s.disks), full: s.store.Refusal() != nil,
	}
	if !latest.up() {
		latest.fresh = freshFor // nothing is spared by waiting, and callers want to know when it is back
	}
	return latest
}

// answers tells whether the database answered at least the first query.
func (s snapshot) answers() bool { return s.flow.Ping > 0 }

// up tells whether it answers and can write.
func (s snapshot) up() bool { return s.answers() && !s.full }

// disk is the free space for one use.
type disk struct {
	Space
	use string // of the directory
	err error
}

// spaceOf asks for the space of directories by their use.
func spaceOf(directories map[string]string) (disks []disk) {
	for _, use := range slices.Sorted(maps.Keys(directories)) {
		d := disk{use: use}
		d.Space, d.err = SpaceOf(directories[use])
		disks = append(disks, d)
	}
	return disks
}

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
