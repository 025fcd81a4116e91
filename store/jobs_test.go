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
				for {
					job, scan, err := s.ClaimJob(t.Context(), scanners, fmt.Sprint("w", n), time.Minute)
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

func TestLease(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		claim := func() (core.Job, error) {
			job, _, err := s.ClaimJob(t.Context(), scanners, "w", time.Minute)
			return job, err
		}
		first, err := claim()
		if err != nil {
			t.Fatal(err)
		}
		clock.advance(50 * time.Second)
		if err := s.ExtendLease(t.Context(), first, time.Minute); err != nil {
			t.Fatal(err)
		}
		clock.advance(50 * time.Second)
		if _, err := claim(); !errors.Is(err, core.ErrNotFound) {
			t.Fatalf("an extended lease was taken over: %v", err)
		}
		clock.advance(time.Minute)
		second, err := claim()
		if err != nil || second.Attempt != 2 {
			t.Fatalf("after the lease: %+v, %v", second, err)
		}
		for name, err := range map[string]error{
			"finish": s.FinishJob(t.Context(), first, core.Report{}),
			"extend": s.ExtendLease(t.Context(), first, time.Minute),
			"return": s.ReturnJob(t.Context(), first),
		} {
			if !errors.Is(err, core.ErrConflict) {
				t.Errorf("%s by the worker that lost the job: %v, want ErrConflict", name, err)
			}
		}
		if err := s.ReturnJob(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		third, err := claim()
		if err != nil || third.Attempt != 2 {
			t.Fatalf("a returned job counts no attempt: %+v, %v", third, err)
		}
		clock.advance(2 * time.Minute)
		if _, err = claim(); err != nil {
			t.Fatal(err)
		}
		clock.advance(2 * time.Minute)
		if _, err := claim(); !errors.Is(err, core.ErrNotFound) {
			t.Fatalf("a fourth attempt: %v", err)
		}
		if n, err := s.ExpireScans(t.Context()); n != 1 || err != nil {
			t.Fatalf("ExpireScans = %d, %v", n, err)
		}
		scan = get(t, s, scan.ReferenceID)
		if scan.Status != core.ScanFailed || statusOf(t, s, scan).State != core.StatusError {
			t.Errorf("after three lost attempts the scan is %s: %s", scan.Status, scan.Error)
		}
	})
}

func TestRetryJob(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		for attempt := 1; ; attempt++ {
			job, _, err := s.ClaimJob(t.Context(), scanners, "w", time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			err = s.RetryJob(t.Context(), job, 10*time.Second)
			if attempt == 3 {
				if !errors.Is(err, core.ErrConflict) {
					t.Errorf("third retry: %v, want ErrConflict", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.ClaimJob(t.Context(), scanners, "w", time.Minute); !errors.Is(err, core.ErrNotFound) {
				t.Fatalf("claimed during the pause: %v", err)
			}
			clock.advance(10 * time.Second)
		}
	})
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
				if n, err := s.ExpireScans(t.Context()); n != 0 || err != nil {
					t.Fatalf("before the deadline: %d, %v", n, err)
				}
				clock.advance(time.Minute)
				if n, err := s.ExpireScans(t.Context()); n != 1 || err != nil {
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
