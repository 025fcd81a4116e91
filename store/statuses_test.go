package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestStatusLatestWins(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		pending := claimOne(t, s)
		nothingDue(t, s, "while it is being posted")
		run(t, s)
		nothingDue(t, s, "a newer wish waits for the post under way")
		settle(t, s, pending, store.PostResult{Posted: true, PipelinePin: "77"})
		final := claimOne(t, s)
		if final.State != core.StatusSuccess || final.PostedState != core.StatusPending || final.PipelinePin != "77" {
			t.Errorf("next = %s after %s, pin %q", final.State, final.PostedState, final.PipelinePin)
		}
		settle(t, s, final, store.PostResult{Posted: true})
		nothingDue(t, s, "all is posted")
		if got := statusOf(t, s, scan); got.PostedRevision != 2 || got.PipelinePin != "77" || got.PostedAt == nil {
			t.Errorf("row = %+v", got)
		}
		if err := s.SettleStatus(t.Context(), pending, store.PostResult{Posted: true}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settling with a lost lease: %v", err)
		}
	})
}

func TestStatusRetries(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		settle(t, s, claimOne(t, s), store.PostResult{RetryAfter: time.Minute, Error: "502"})
		nothingDue(t, s, "during the pause")
		run(t, s)
		nothingDue(t, s, "a newer wish respects the pause that the platform asked for")
		clock.advance(time.Minute)
		retried := claimOne(t, s)
		if retried.State != core.StatusSuccess || retried.Attempts != 0 {
			t.Errorf("retried = %+v", retried)
		}
		settle(t, s, retried, store.PostResult{GivenUp: true, Error: "422"})
		clock.advance(24 * time.Hour)
		nothingDue(t, s, "after giving up")
	})
}

// A request to wait is no failure: the pause after the next failure does not grow because of it. Newer revisions wait
// as well.
func TestStatusWaitingIsNoFailure(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		settle(t, s, claimOne(t, s), store.PostResult{Waiting: true, RetryAfter: time.Minute, Error: "429"})
		if got := statusOf(t, s, scan); got.Attempts != 0 || got.LastError != "429" {
			t.Errorf("while it waits: %+v", got)
		}
		run(t, s, finding("r", core.High))
		nothingDue(t, s, "a newer wish")
		say(t, s, findingsOf(t, s, scan)["r"], core.FalsePositive)
		nothingDue(t, s, "a third wish")
		clock.advance(time.Minute)
		got := claimOne(t, s)
		if got.Attempts != 0 || got.Revision != 3 {
			t.Errorf("after the pause: %+v", got)
		}
		for range 5 {
			settle(t, s, got, store.PostResult{Waiting: true, Error: "429"})
			got = claimOne(t, s)
		}
		if posts, err := s.ListPosts(t.Context(), scan); err != nil || len(posts) != 2 || posts[1].Times != 5 {
			t.Errorf("waits are kept as %+v, %v, want equal ones in one row", posts, err)
		}
	})
}

// A post of an older revision that is given up must not silence the newer one.
func TestStatusGivingUpIsPerRevision(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		pending := claimOne(t, s)
		run(t, s)
		settle(t, s, pending, store.PostResult{GivenUp: true, Error: "422"})
		if got := claimOne(t, s); got.State != core.StatusSuccess {
			t.Errorf("claimed %s", got.State)
		}
	})
}

func TestStatusLeaseExpires(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		lost := claimOne(t, s)
		clock.advance(2 * time.Minute)
		claimOne(t, s)
		if err := s.SettleStatus(t.Context(), lost, store.PostResult{Posted: true}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settled with an expired lease that was handed on: %v", err)
		}
	})
}

func TestRescanReplacesTheStatus(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{PublicURL: "https://scan.example"})
		d, p := storetest.PushOf(1)
		scan := accept(t, s, d, p)
		run(t, s, finding("a", core.High))
		receipt, err := s.Rescan(t.Context(), scan.ReferenceID, "ada")
		if err != nil || receipt.Outcome != core.ScanCreated {
			t.Fatalf("rescan: %+v, %v", receipt, err)
		}
		again := get(t, s, receipt.Reference)
		if again.Attempt != 2 || again.Origin != "rescan" || again.Status != core.ScanPending || again.BaselineScanID != nil {
			t.Errorf("second attempt = %+v", again)
		}
		st := statusOf(t, s, again)
		if st.State != core.StatusPending || st.TargetURL != "https://scan.example/scans/"+receipt.Reference {
			t.Errorf("status = %s %s", st.State, st.TargetURL)
		}
		run(t, s)
		if st := statusOf(t, s, again); st.State != core.StatusSuccess {
			t.Errorf("status after the rescan = %s", st.State)
		}
	})
}

// A post that lost its lease may have come after a newer one: the newer one is posted once more.
func TestLatePostIsOverwritten(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		d, p := storetest.PushOf(1)
		accept(t, s, d, p)
		late := claimOne(t, s)
		clock.advance(2 * time.Minute)
		settle(t, s, claimOne(t, s), store.PostResult{Posted: true})
		if err := s.SettleStatus(t.Context(), late, store.PostResult{Posted: true}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settling without the lease: %v, want ErrConflict", err)
		}
		nothingDue(t, s, "the late post was the same")
		run(t, s)
		settle(t, s, claimOne(t, s), store.PostResult{Posted: true})
		if err := s.SettleStatus(t.Context(), late, store.PostResult{Posted: true}); !errors.Is(err, core.ErrConflict) {
			t.Errorf("settling without the lease: %v, want ErrConflict", err)
		}
		if again := claimOne(t, s); again.State != core.StatusSuccess {
			t.Errorf("posted again: %s, want success", again.State)
		}
	})
}

// An earlier attempt that ends later does not change the commit's status any more.
func TestEarlierAttemptComesTooLate(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := twoScanners(t, e)
		first := pushed(t, s, 1)
		again, err := s.Rescan(t.Context(), first.ReferenceID, "somebody")
		if err != nil {
			t.Fatal(err)
		}
		second := get(t, s, again.Reference)
		for _, scanner := range []string{"semgrep", "trivy"} {
			deliver(t, s, second, scanner, core.Report{})
			deliver(t, s, first, scanner, core.Report{Failure: "too late"})
		}
		wantStatus(t, s, second, "the newest attempt", core.StatusSuccess, "No findings")
	})
}
