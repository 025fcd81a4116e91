package httpx

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	patience = time.Second // nobody is cut off before
	tooSlow  = 16 << 10    // bytes a second; platforms send a hundred times as fast
	cutEvery = 100 * time.Millisecond
)

// Arrivals are requests that are on their way in and take up a place meanwhile. While others wait for one, the slowest
// are cut off: a thousand senders that stall would keep webhooks outside until their time is over, and then come again.
// The zero value is ready.
type Arrivals struct {
	mu  sync.Mutex
	all map[*Arrival]bool
}

// Arrival is one request on its way in.
type Arrival struct {
	among *Arrivals
	began time.Time
	got   atomic.Int64 // bytes
	cut   func()
}

// Begin adds a request; cut has to end it.
func (a *Arrivals) Begin(cut func()) *Arrival {
	arrival := &Arrival{among: a, began: time.Now(), cut: cut}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[*Arrival]bool{}
	}
	a.all[arrival] = true
	return arrival
}

// Got counts what has come of the request, in bytes.
func (x *Arrival) Got(n int) {
	if x != nil {
		x.got.Add(int64(n))
	}
}

// End says that the request is there, or will not come. A nil Arrival has ended.
func (x *Arrival) End() {
	if x == nil {
		return
	}
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	delete(x.among.all, x)
}

// CutSlowest ends the slowest request, if one is too slow.
func (a *Arrivals) CutSlowest() {
	if slowest := a.takeSlowest(time.Now()); slowest != nil {
		slowest.cut()
	}
}

func (a *Arrivals) takeSlowest(now time.Time) (slowest *Arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	least := float64(tooSlow)
	for arrival := range a.all {
		age := now.Sub(arrival.began)
		if rate := float64(arrival.got.Load()) / age.Seconds(); age >= patience && rate < least {
			slowest, least = arrival, rate
		}
	}
	delete(a.all, slowest)
	return slowest
}
