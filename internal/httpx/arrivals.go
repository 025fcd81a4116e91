package httpx

import (
	"io"
	"sync"
	"time"
)

const (
	patience = time.Second // for so long nobody keeps us waiting too long
	tooSlow  = 16 << 10    // bytes for each second that we wait; platforms send a hundred times as fast
	cutEvery = 100 * time.Millisecond
)

// Arrivals are requests that are on their way in and take up a place meanwhile. While others wait for one, the slowest
// are cut off: a thousand senders that stall would keep webhooks outside until their time is over, and then come again.
// Only the time counts in which we wait for a sender, not that in which he waits for us. The zero value is ready.
type Arrivals struct {
	mu  sync.Mutex
	all map[*Arrival]bool
}

// Arrival is one request on its way in. A nil Arrival has ended.
type Arrival struct {
	among  *Arrivals
	cut    func()
	got    int           // bytes
	waited time.Duration // for them, before since
	since  time.Time     // when we began to wait; zero while we do not
}

// Begin adds a request whose sender we wait for. cut has to end it at once, without calling back.
func (a *Arrivals) Begin(cut func()) *Arrival {
	arrival := &Arrival{among: a, cut: cut, since: time.Now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[*Arrival]bool{}
	}
	a.all[arrival] = true
	return arrival
}

// Rest says that the sender waits for us now. What was before is forgotten.
func (x *Arrival) Rest() {
	if x == nil {
		return
	}
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	x.got, x.waited, x.since = 0, 0, time.Time{}
}

// Read reads from the sender, for whom we wait meanwhile.
func (x *Arrival) Read(source io.Reader, p []byte) (n int, err error) {
	if x == nil {
		return source.Read(p)
	}
	x.await()
	n, err = source.Read(p)
	x.receive(n)
	return n, err
}

func (x *Arrival) await() {
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	if x.since.IsZero() {
		x.since = time.Now()
	}
}

func (x *Arrival) receive(n int) {
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	x.got, x.waited, x.since = x.got+n, x.waitedUntil(time.Now()), time.Time{}
}

// End says that the request is there, or will not come.
func (x *Arrival) End() {
	if x == nil {
		return
	}
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	delete(x.among.all, x)
}

// cutUntil makes room for one who waits, again and again until done is closed.
func (a *Arrivals) cutUntil(done <-chan struct{}) {
	cutting := time.NewTicker(cutEvery)
	defer cutting.Stop()
	for {
		select {
		case <-cutting.C:
			a.CutSlowest()
		case <-done:
			return
		}
	}
}

// CutSlowest ends the slowest request, if we wait for one that is too slow.
func (a *Arrivals) CutSlowest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var slowest *Arrival
	least, now := float64(tooSlow), time.Now()
	for x := range a.all {
		waited := x.waitedUntil(now)
		if rate := float64(x.got) / waited.Seconds(); !x.since.IsZero() && waited >= patience && rate < least {
			slowest, least = x, rate
		}
	}
	if slowest != nil {
		delete(a.all, slowest)
		slowest.cut() // under the lock: what has arrived meanwhile is not cut off
	}
}

func (x *Arrival) waitedUntil(now time.Time) time.Duration {
	if x.since.IsZero() {
		return x.waited
	}
	return x.waited + now.Sub(x.since)
}
