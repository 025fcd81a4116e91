package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// clock is a settable time for a store.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var scanners = []string{"gitleaks"}

// by is a worker that leases a job for a minute.
func by(worker string, scanners ...string) store.Claimant {
	return store.Claimant{Worker: worker, Scanners: scanners, Lease: time.Minute}
}

func TestClaimJobHandsOutEachJobOnce(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		const jobs = 60
		for n := range jobs {
			d, p := storetest.PushOf(n, storetest.OnBranch(fmt.Sprint("b", n)))
			accept(t, s, d, p)
		}
		var mu sync.Mutex
		claimed := map[int64]int{}
		var wg sync.WaitGroup
		for n := range 16 {
			wg.Go(func() {
				for i := 0; ; i++ { // none has a job already
					job, scan, err := s.ClaimJob(t.Context(), by(fmt.Sprint(n, "/", i), scanners...))
					if errors.Is(err, core.ErrNotFound) {
						return
					}
					if err != nil || scan.ID != job.ScanID || scan.Status != core.ScanProcessing {
						t.Errorf("claim: %+v %+v %v", job, scan, err)
						return
					}
					mu.Lock()
					claimed[job.ID]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(claimed) != jobs {
			t.Errorf("%d jobs claimed, want %d", len(claimed), jobs)
		}
		for id, n := range claimed {
			if n != 1 {
				t.Errorf("job %d was claimed %d times", id, n)
			}
		}
	})
}

func TestRetryJob(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		until time.Duration // from the push on; zero for a few tries
		tries int
	}{
		"a few times":            {0, 3},
		"until there is no time": {95 * time.Second, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				clock := newClock()
				s := e.Open(t, store.Config{Now: clock.Now})
				d, p := storetest.PushOf(1)
				scan := accept(t, s, d, p)
				retry := store.Retry{Pause: 10 * time.Second, Reason: "the server is away"}
				if test.until > 0 {
					retry.Until = clock.Now().Add(test.until)
				}
				for try := 1; ; try++ {
					job := claimJob(t, s, by("w", scanners...))
					err := s.RetryJob(t.Context(), job, retry)
					if try == test.tries {
						if !errors.Is(err, core.ErrConflict) {
							t.Errorf("try %d: %v, want ErrConflict", try, err)
						}
						return
					}
					if err != nil {
						t.Fatalf("try %d: %v", try, err)
					}
					noJob(t, s, by("w", scanners...), "during the pause, the job")
					if jobs, err := s.ListJobs(t.Context(), scan); err != nil || jobs[0].Error != retry.Reason {
						t.Errorf("while it waits: %+v, %v", jobs, err)
					}
					clock.advance(10 * time.Second)
				}
			})
		})
	}
}

func TestExpireScans(t *testing.T) {
	t.Parallel()
	waiting := storetest.Policy
	waiting.Scanners = nil
	uploads := storetest.Policy
	uploads.Scanners = []string{"trivy"}
	for name, policy := range map[string]core.Policy{"no scanner": waiting, "upload": uploads} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				clock := newClock()
				s := e.Open(t, store.Config{Now: clock.Now, Policies: core.Policies{{Match: "**", Policy: policy}}})
				d, p := storetest.PushOf(1)
				scan := accept(t, s, d, p)
				clock.advance(59 * time.Minute)
				if n, err := s.ExpireScans(t.Context(), false); n != 0 || err != nil {
					t.Fatalf("before the deadline: %d, %v", n, err)
				}
				clock.advance(time.Minute)
				if n, err := s.ExpireScans(t.Context(), false); n != 1 || err != nil {
					t.Fatalf("at the deadline: %d, %v", n, err)
				}
				if scan = get(t, s, scan.ReferenceID); scan.Status != core.ScanFailed {
					t.Errorf("scan is %s", scan.Status)
				}
				if st := statusOf(t, s, scan); st.State != core.StatusError {
					t.Errorf("status is %s %q", st.State, st.Description)
				}
				late, err := s.PutReport(t.Context(), scan.ReferenceID, "trivy", core.Report{})
				if err != nil || late.Status != core.ScanCompleted || statusOf(t, s, scan).State != core.StatusSuccess {
					t.Errorf("a late report: %s, %v", late.Status, err)
				}
			})
		})
	}
}
