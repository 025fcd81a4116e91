package health

import (
	"context"
	"time"

	"github.com/scanhook/scanhook/store"
)

const (
	freshFor = 5 * time.Second // a snapshot is shared for so long, and longer where it was dear:
	idle     = 20              // so many times as long as it took to read
)

// snapshot is how things were a moment ago.
type snapshot struct {
	at    time.Time
	fresh time.Duration // how long it is shared
	flow  store.Flow
	err   error // not all questions were answered in time
	queue int
	full  bool // the database answers, but has just refused to write deliveries
	disks []disk
}

// look returns a snapshot of the last seconds, so that however many ask the database is busy with it for a twentieth of
// the time at most. Whoever asks meanwhile waits for the same one; a caller that hangs up does not spoil it for the
// others.
func (h *Health) look(ctx context.Context) snapshot {
	h.reading.Lock()
	defer h.reading.Unlock()
	now := h.Now()
	if age := now.Sub(h.latest.at); age < 0 || age >= h.latest.fresh {
		h.latest = h.read(ctx)
		h.latest.at = now
	}
	return h.latest
}

func (h *Health) read(ctx context.Context) snapshot {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.Patience)
	defer cancel()
	flow, err := h.Store.ReadFlow(ctx)
	s := snapshot{
		fresh: max(freshFor, idle*min(time.Since(start), h.Patience)), // a stall of ours is not the database's
		flow:  flow, err: err, queue: h.Store.IntakeQueue(), disks: spaceOf(h.Disks), full: h.Store.Refusal() != nil,
	}
	if !s.up() {
		s.fresh = freshFor // there is nothing to spare, and all want to know when it is back
	}
	return s
}

// answers tells whether the database answered, if only the first question.
func (s snapshot) answers() bool { return s.flow.Ping > 0 }

// up tells whether it answers and can write.
func (s snapshot) up() bool { return s.answers() && !s.full }
