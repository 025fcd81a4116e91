package httpx

import (
	"io"
	"sync"
	"time"
)

const (
	slowAfter  = time.Second // no sender is called slow before we have waited this long for it
	minRate    = 16 << 10    // bytes per second of waiting; platforms send a hundred times as fast
	abortEvery = 100 * time.Millisecond
)

// Transfers are requests that are still arriving and occupy a connection or memory meanwhile. While others wait for one
// of these, the slowest transfers are aborted: otherwise a thousand stalled senders could keep webhooks out until their
// timeout, and then come again. Only the time counts in which we wait for the sender, not the time in which it waits for
// us. The zero value is ready.
type Transfers struct {
	mu  sync.Mutex
	all map[*Transfer]bool
}

// Transfer is one request that is arriving. A nil Transfer has ended.
type Transfer struct {
	among    *Transfers
	abort    func()
	received int           // bytes
	waited   time.Duration // for them, before since
	since    time.Time     // when we began to wait; zero while we do not
}

// Begin adds a request for whose sender we wait from now on. abort must end it at once, without calling back.
func (t *Transfers) Begin(abort func()) *Transfer {
	transfer := &Transfer{among: t, abort: abort, since: time.Now()}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[*Transfer]bool{}
	}
	t.all[transfer] = true
	return transfer
}

// Pause says that the sender waits for us now. Its rate is measured anew when we wait for it again.
func (x *Transfer) Pause() {
	if x == nil {
		return
	}
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	x.received, x.waited, x.since = 0, 0, time.Time{}
}

// Read reads from the sender and measures how long we wait for it.
func (x *Transfer) Read(source io.Reader, p []byte) (n int, err error) {
	if x == nil {
		return source.Read(p)
	}
	x.await()
	n, err = source.Read(p)
	x.receive(n)
	return n, err
}

func (x *Transfer) await() {
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	if x.since.IsZero() {
		x.since = time.Now()
	}
}

func (x *Transfer) receive(n int) {
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	x.received, x.waited, x.since = x.received+n, x.waitedUntil(time.Now()), time.Time{}
}

// End says that the request has arrived, or never will.
func (x *Transfer) End() {
	if x == nil {
		return
	}
	x.among.mu.Lock()
	defer x.among.mu.Unlock()
	delete(x.among.all, x)
}

// AbortSlowest ends the slowest request, if we wait for one that is too slow.
func (t *Transfers) AbortSlowest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	var slowest *Transfer
	least, now := float64(minRate), time.Now()
	for x := range t.all {
		waited := x.waitedUntil(now)
		if rate := float64(x.received) / waited.Seconds(); !x.since.IsZero() && waited >= slowAfter && rate < least {
			slowest, least = x, rate
		}
	}
	if slowest != nil {
		delete(t.all, slowest)
		slowest.abort() // under the lock, so that a request that has just arrived is not aborted
	}
}

// abortUntil aborts slow requests, one after the other, until done is closed.
func (t *Transfers) abortUntil(done <-chan struct{}) {
	ticker := time.NewTicker(abortEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t.AbortSlowest()
		case <-done:
			return
		}
	}
}

func (x *Transfer) waitedUntil(now time.Time) time.Duration {
	if x.since.IsZero() {
		return x.waited
	}
	return x.waited + now.Sub(x.since)
}
