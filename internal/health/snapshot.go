package health

import (
	"context"
	"time"

	"github.com/scanhook/scanhook/store"
)

const (
	freshFor    = 5 * time.Second // a snapshot is shared for so long
	readTimeout = 2 * time.Second // the database may take so long for all questions together
)

// snapshot is how things were a moment ago.
type snapshot struct {
	at    time.Time
	flow  store.Flow
	err   error // the database did not answer, or not all questions in time
	queue int
	disks []disk
}

// look returns a snapshot that is no older than freshFor. Whoever asks meanwhile waits for the same one. A caller that
// hangs up does not spoil it for the others.
func (h *Health) look(ctx context.Context) snapshot {
	h.reading.Lock()
	defer h.reading.Unlock()
	if now := h.Now(); h.latest.at.IsZero() || now.Sub(h.latest.at) >= freshFor || now.Before(h.latest.at) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		flow, err := h.Store.ReadFlow(ctx)
		h.latest = snapshot{at: now, flow: flow, err: err, queue: h.Store.IntakeQueue(), disks: spaceOf(h.Disks)}
	}
	return h.latest
}
