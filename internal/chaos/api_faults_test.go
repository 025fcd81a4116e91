//go:build linux

package chaos

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// Shares of the API calls that are answered with a fault; the rest follows the rules.
const (
	shareUnavailable = 0.010 // 502
	shareUnknown     = 0.010 // the commit is not known yet: 422, 404
	shareConflict    = 0.005 // 409
	shareLostAnswer  = 0.005 // takes effect, and the connection closes
	shareDropped     = 0.005 // the connection closes
	shareHanging     = 0.002 // answered after a while, or too late
)

const (
	limitEvery = 8 * time.Second // on average, for each process and platform
	limitPause = 3               // seconds at most, beside those that calls are under way
	underWay   = 2 * time.Second // a call that arrives so soon after a limit was on its way already
)

// apiFaults decides which calls to one platform fail, and checks that requested pauses are respected. It knows a process
// by the address that it calls.
type apiFaults struct {
	platform *fakeforge.Server
	hang     time.Duration // at most

	mu       sync.Mutex
	random   *rand.Rand
	over     bool                 // no more faults
	next     map[string]time.Time // of the next limit, by process
	pauses   map[string]pause     // by process
	revoked  time.Time            // until when the token may do nothing
	counts   map[string]int
	breaches []string // calls during a pause
}

// pause is a time in which a process must not call. Each call in it is refused again, as platforms do, because an answer
// can be lost with its connection or with the process that called.
type pause struct {
	from, until time.Time
	told        int       // refusals that were sent
	sure        time.Time // when the process must have known of the pause
}

// certainAfter is how many refusals it takes until a process must know of a pause.
const certainAfter = 3

func newAPIFaults(s scale) *apiFaults {
	return &apiFaults{
		hang: max(s.Hang, time.Second), random: rand.New(rand.NewPCG(s.Seed, 2)),
		next: map[string]time.Time{}, pauses: map[string]pause{}, counts: map[string]int{},
	}
}

// fault chooses the fault of a call to the API; nil: none.
func (f *apiFaults) fault(r *http.Request) *fakeforge.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if q := f.pauses[r.Host]; now.Before(q.until) {
		f.pauses[r.Host] = f.watch(r, q, now)
		return f.refusal(q.until.Sub(now))
	}
	if f.over {
		return nil
	}
	if now.Before(f.revoked) {
		f.counts["token refused"]++
		fault := f.platform.Forbidden(http.StatusForbidden)
		return &fault
	}
	if now.After(f.next[r.Host]) {
		return f.limit(r.Host, now)
	}
	name, fault := f.draw(r.PathValue("sha"))
	if fault != nil {
		f.counts[name]++
	}
	return fault
}

// limit asks a process for a pause.
func (f *apiFaults) limit(process string, now time.Time) *fakeforge.Fault {
	first := f.next[process].IsZero()
	f.next[process] = now.Add(limitEvery/2 + time.Duration(f.random.Int64N(int64(limitEvery))))
	if first {
		return nil
	}
	length := underWay + time.Duration(1+f.random.IntN(limitPause))*time.Second
	f.pauses[process] = pause{from: now, until: now.Add(length), told: 1, sure: now}
	fault := f.refusal(length)
	f.counts[fmt.Sprint(fault.Status, " Retry-After")]++
	return fault
}

// watch records a call that comes during a pause.
func (f *apiFaults) watch(r *http.Request, q pause, now time.Time) pause {
	switch {
	case q.told < certainAfter:
		q.told, q.sure = q.told+1, now
	case now.After(q.sure.Add(underWay)):
		f.breaches = append(f.breaches, fmt.Sprintf("%s %s came %s after a limit, %s after its process must have known, and %s before its end",
			r.Method, r.URL.Path, now.Sub(q.from).Round(time.Millisecond), now.Sub(q.sure).Round(time.Millisecond),
			q.until.Sub(now).Round(time.Millisecond)))
	}
	return q
}

// refusal asks for a pause, in whole seconds.
func (f *apiFaults) refusal(length time.Duration) *fakeforge.Fault {
	length = (length + time.Second - 1).Truncate(time.Second)
	limits := f.platform.RateLimits(length)
	return &limits[f.random.IntN(len(limits))]
}

// revoke takes the token's rights away for a while. Meanwhile nothing can be posted; afterwards everything must be.
func (f *apiFaults) revoke(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revoked = time.Now().Add(d)
}

func (f *apiFaults) draw(sha string) (name string, fault *fakeforge.Fault) {
	at := f.random.Float64()
	for _, kind := range []struct {
		name  string
		share float64
		make  func() fakeforge.Fault
	}{
		{"502", shareUnavailable, fakeforge.BadGateway},
		{"unknown commit", shareUnknown, func() fakeforge.Fault { return f.platform.UnknownCommit(sha) }},
		{"409", shareConflict, func() fakeforge.Fault {
			return fakeforge.Fault{Status: http.StatusConflict, Body: `{"message":"Another update is in progress"}`}
		}},
		{"lost answer", shareLostAnswer, fakeforge.Lost},
		{"dropped", shareDropped, fakeforge.Drop},
		{"hanging", shareHanging, func() fakeforge.Fault {
			return fakeforge.Hang(time.Duration(f.random.Int64N(int64(f.hang))))
		}},
	} {
		if at -= kind.share; at < 0 {
			made := kind.make()
			return kind.name, &made
		}
	}
	return "", nil
}

// forget ends the pause of a process that has died: its successor does not know of it.
func (f *apiFaults) forget(process string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pauses, process)
}

// lostAnswers counts the answers that can have been lost.
func (f *apiFaults) lostAnswers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts["lost answer"] + f.counts["hanging"] + f.counts["dropped"]
}

// end stops all faults, so that all work can end.
func (f *apiFaults) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}
