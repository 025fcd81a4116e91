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

// trouble decides over the faults of one platform, and watches whether its wish for a pause is respected. A process is
// told apart by the address at which it calls.
type trouble struct {
	platform *fakeforge.Server
	hang     time.Duration // at most

	mu       sync.Mutex
	random   *rand.Rand
	over     bool                 // the platform behaves from now on
	next     map[string]time.Time // of the next limit, by process
	quiet    map[string]quiet     // by process
	revoked  time.Time            // until when the token may do nothing
	counts   map[string]int
	breaches []string
}

// window is the time in which a process shall not call.
type window struct{ from, until time.Time }

// quiet is a pause that a process was asked for. Each call in it is told so again, as platforms do, for an answer can be
// lost: with its connection, or with the process that asked.
type quiet struct {
	window
	told int       // answers
	sure time.Time // of the last that was needed for the process to know
}

// surely is how many answers are needed for that.
const surely = 3

func newTrouble(s scale) *trouble {
	return &trouble{
		hang: max(s.Hang, time.Second), random: rand.New(rand.NewPCG(s.Seed, 2)),
		next: map[string]time.Time{}, quiet: map[string]quiet{}, counts: map[string]int{},
	}
}

// fault is asked for every call to the API.
func (t *trouble) fault(r *http.Request) *fakeforge.Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if q := t.quiet[r.Host]; now.Before(q.until) {
		t.quiet[r.Host] = t.watch(r, q, now)
		return t.refusal(q.until.Sub(now))
	}
	if t.over {
		return nil
	}
	if now.Before(t.revoked) {
		t.counts["token refused"]++
		fault := t.platform.Forbidden(http.StatusForbidden)
		return &fault
	}
	if now.After(t.next[r.Host]) {
		return t.limit(r.Host, now)
	}
	name, fault := t.draw(r.PathValue("sha"))
	if fault != nil {
		t.counts[name]++
	}
	return fault
}

// limit asks a process to stay away.
func (t *trouble) limit(process string, now time.Time) *fakeforge.Fault {
	first := t.next[process].IsZero()
	t.next[process] = now.Add(limitEvery/2 + time.Duration(t.random.Int64N(int64(limitEvery))))
	if first {
		return nil
	}
	pause := underWay + time.Duration(1+t.random.IntN(limitPause))*time.Second
	t.quiet[process] = quiet{window: window{from: now, until: now.Add(pause)}, told: 1, sure: now}
	fault := t.refusal(pause)
	t.counts[fmt.Sprint(fault.Status, " Retry-After")]++
	return fault
}

// watch notes a call that comes during a pause.
func (t *trouble) watch(r *http.Request, q quiet, now time.Time) quiet {
	switch {
	case q.told < surely:
		q.told, q.sure = q.told+1, now
	case now.After(q.sure.Add(underWay)):
		t.breaches = append(t.breaches, fmt.Sprintf("%s %s came %s after a limit, %s after its process must have known, and %s before its end",
			r.Method, r.URL.Path, now.Sub(q.from).Round(time.Millisecond), now.Sub(q.sure).Round(time.Millisecond),
			q.until.Sub(now).Round(time.Millisecond)))
	}
	return q
}

// refusal asks to stay away for a while, in whole seconds.
func (t *trouble) refusal(pause time.Duration) *fakeforge.Fault {
	pause = (pause + time.Second - 1).Truncate(time.Second)
	limits := t.platform.RateLimits(pause)
	return &limits[t.random.IntN(len(limits))]
}

// revoke takes the token's rights away for a while. Nothing is posted meanwhile, and everything afterwards.
func (t *trouble) revoke(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.revoked = time.Now().Add(d)
}

func (t *trouble) draw(sha string) (name string, fault *fakeforge.Fault) {
	at := t.random.Float64()
	for _, kind := range []struct {
		name  string
		share float64
		make  func() fakeforge.Fault
	}{
		{"502", shareUnavailable, fakeforge.BadGateway},
		{"unknown commit", shareUnknown, func() fakeforge.Fault { return t.platform.UnknownCommit(sha) }},
		{"409", shareConflict, func() fakeforge.Fault {
			return fakeforge.Fault{Status: http.StatusConflict, Body: `{"message":"Another update is in progress"}`}
		}},
		{"lost answer", shareLostAnswer, fakeforge.Lost},
		{"dropped", shareDropped, fakeforge.Drop},
		{"hanging", shareHanging, func() fakeforge.Fault {
			return fakeforge.Hang(time.Duration(t.random.Int64N(int64(t.hang))))
		}},
	} {
		if at -= kind.share; at < 0 {
			made := kind.make()
			return kind.name, &made
		}
	}
	return "", nil
}

// forget ends what a process was asked for, because the one that was asked is dead.
func (t *trouble) forget(process string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.quiet, process)
}

// end lets the platform behave, so that everything can come to rest.
func (t *trouble) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}
