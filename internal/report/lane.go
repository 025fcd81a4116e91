package report

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scanhook/scanhook/internal/poll"
)

const (
	width  = 16                    // posts to a platform at the same time
	batch  = 8                     // of them claimed together, because a claim is a transaction
	gather = 20 * time.Millisecond // how long a claim waits for so many places to be free
)

// lane posts to one platform: different commits at the same time, so that a call that hangs holds up one place and not
// the others. Where the platform wants a pace there is one place.
type lane struct {
	*Reporter
	platform string
	free     chan struct{} // one for each place
	posting  sync.WaitGroup
	busy     atomic.Int64 // when something was claimed last, in Unix seconds
}

func (r *Reporter) newLane(platform string) *lane {
	places := width
	if r.Pace[platform] > 0 {
		places = 1
	}
	l := &lane{Reporter: r, platform: platform, free: make(chan struct{}, places)}
	for range places {
		l.free <- struct{}{}
	}
	return l
}

func (l *lane) run(ctx context.Context) {
	defer l.posting.Wait()
	poll.Loop{
		Name: "report " + l.platform, Every: lookEvery, Wake: l.Store.Changed(), Once: l.once, Log: l.Log,
	}.Run(ctx)
}

// once begins to post what is due, as much as there are places for. It has worked when there may be more.
func (l *lane) once(ctx context.Context) (worked bool, err error) {
	places := l.take(ctx)
	defer func() { l.giveBack(places) }()
	if places == 0 || l.pauses.paused(l.platform, l.Now()) {
		return false, nil
	}
	claimed, err := l.Store.ClaimStatuses(ctx, []string{l.platform}, places, lease)
	if err != nil {
		return false, err
	}
	full := len(claimed) == places
	places -= len(claimed)
	if len(claimed) > 0 {
		l.busy.Store(l.Now().Unix())
	}
	for _, status := range claimed {
		l.pauses.delay(l.platform, l.Now(), l.Pace[l.platform])
		l.posting.Go(func() {
			defer l.giveBack(1)
			l.post(ctx, status)
		})
	}
	return full, nil
}

// take waits for a place, and a moment for more; 0 when ctx has ended.
func (l *lane) take(ctx context.Context) (places int) {
	select {
	case <-l.free:
	case <-ctx.Done():
		return 0
	}
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for places = 1; places < min(batch, cap(l.free)); places++ {
		if l.takeAnother() {
			continue
		}
		select {
		case <-l.free:
		case <-timer.C:
			return places
		case <-ctx.Done():
			return places
		}
	}
	return places
}

// takeAnother takes a place that is free already, however late we are.
func (l *lane) takeAnother() bool {
	select {
	case <-l.free:
		return true
	default:
		return false
	}
}

func (l *lane) giveBack(places int) {
	for range places {
		l.free <- struct{}{}
	}
}
