package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func TestStatusLatestWins(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushed(t, s, 1)
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
		pushed(t, s, 1)
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
		scan := pushed(t, s, 1)
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
		pushed(t, s, 1)
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
		pushed(t, s, 1)
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
		scan := pushed(t, s, 1)
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
		pushed(t, s, 1)
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

func TestPostsAreKeptAndEqualOnesCounted(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		clock := newClock()
		s := e.Open(t, store.Config{Now: clock.Now})
		scan := pushTo(t, s, 1, "main")
		for _, end := range []store.PostResult{
			{Error: "too early", Waiting: true}, {Error: "502", Code: 502}, {Error: "502", Code: 502}, {Error: "502", Code: 502},
			{Posted: true, Code: 201, PostedID: 7, Latency: 85 * time.Millisecond},
		} {
			settle(t, s, claimOne(t, s), end)
			clock.advance(time.Second)
		}
		run(t, s)
		settle(t, s, claimOne(t, s), store.PostResult{GivenUp: true, Error: "422", Code: 422})
		var got []string
		for _, p := range posts(t, s, scan) {
			got = append(got, fmt.Sprintf("%s %s %d %q ×%d +%s %d ms", p.State, p.Outcome, p.Code, p.Answer, p.Times, p.LastAt.Sub(p.At), p.Milliseconds))
		}
		want := []string{
			`pending waiting 0 "too early" ×1 +0s 0 ms`, `pending retry 502 "502" ×3 +2s 0 ms`, `pending posted 201 "" ×1 +0s 85 ms`,
			`success given_up 422 "422" ×1 +0s 0 ms`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("posts (-want +got):\n%s", diff)
		}
		if err := s.DeleteScan(t.Context(), scan.ReferenceID, "ops"); err != nil {
			t.Fatal(err)
		}
		if left := posts(t, s, scan); len(left) != 0 {
			t.Errorf("%d posts outlive their scan", len(left))
		}
	})
}

// A platform that gives a different answer each time leaves few rows, too.
func TestPostsAreBounded(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushTo(t, s, 1, "main")
		for n := range 200 {
			settle(t, s, claimOne(t, s), store.PostResult{Error: fmt.Sprint("request ", n), Code: 500 + n%2})
		}
		times := 0
		list := posts(t, s, scan)
		for _, p := range list {
			times += p.Times
		}
		if len(list) > 22 || times != 200 {
			t.Errorf("%d rows of %d attempts", len(list), times)
		}
	})
}

func ofMergeRequest(id int64) func(*core.Pipeline) {
	return func(p *core.Pipeline) { p.ID, p.Source = id, core.SourceMergeRequest }
}

// A merge request shows its own pipeline only: what was posted elsewhere before it was made is posted there, once.
func TestStatusFollowsTheMergeRequest(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ before, pending, final bool }{ // when the pipeline becomes known: before each post settles
		"known first":             {before: true},
		"known after the pending": {pending: true},
		"known after the final":   {final: true},
	}
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for name, when := range cases {
			s := e.Open(t, store.Config{})
			tell := func(now bool) {
				if now {
					record(t, s, 1, ofMergeRequest(90))
				}
			}
			pushed(t, s, 1)
			tell(when.before)
			pending := claimOne(t, s)
			tell(when.pending) // while it is being posted
			settle(t, s, pending, store.PostResult{Posted: true, PipelinePin: pin(pending, "77")})
			run(t, s)
			final := claimOne(t, s)
			settle(t, s, final, store.PostResult{Posted: true, PipelinePin: pin(final, "77")})
			tell(when.final)
			if !when.before {
				again := claimOne(t, s)
				if again.MergePipeline != 90 || again.State != core.StatusSuccess || again.PipelinePin != "77" {
					t.Errorf("%s: again = %+v", name, again)
				}
				settle(t, s, again, store.PostResult{Posted: true, PipelinePin: "90"})
			}
			record(t, s, 1, ofMergeRequest(90), func(p *core.Pipeline) { p.Status = "in_progress" })
			nothingDue(t, s, name)
		}
	})
}

// pin is where an adapter posts a status: in the merge request's pipeline, unless it must end where it began.
func pin(status core.Status, otherwise string) string {
	if status.MergePipeline == 90 && (status.PostedState != core.StatusPending || status.PipelinePin == "90") {
		return "90"
	}
	return otherwise
}

// A pipeline that accepts no status, because it was deleted, is not tried forever.
func TestStatusStaysWhereItIsTaken(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		record(t, s, 1, ofMergeRequest(90))
		run(t, s)
		for range 2 {
			claimed, err := s.ClaimStatuses(t.Context(), github, 10, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range claimed {
				settle(t, s, status, store.PostResult{Posted: true, PipelinePin: "77"})
			}
		}
		nothingDue(t, s, "it stands in another pipeline")
	})
}

// What a scan shows in two ways, the push has waited for once.
func TestOneFinalStatusIsTheFirst(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		policy := storetest.Policy
		policy.Publish = core.PublishBoth
		s := e.Open(t, store.Config{
			Policies: core.Policies{{Match: "**", Policy: policy}}, Checks: func(string) bool { return true },
		})
		pushTo(t, s, 1, "main")
		post := func(what string, posts, firsts int) {
			t.Helper()
			for {
				claimed, err := s.ClaimStatuses(t.Context(), []string{"github"}, 10, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				if len(claimed) == 0 {
					break
				}
				for _, status := range claimed {
					if posts--; status.FirstFinal() {
						firsts--
					}
					settle(t, s, status, store.PostResult{Posted: true})
				}
			}
			if posts != 0 || firsts != 0 {
				t.Errorf("%s: %d posts and %d first final ones too few", what, posts, firsts)
			}
		}
		post("while the scan goes on", 2, 0)
		run(t, s, finding("one", core.High))
		post("with the verdict", 2, 1)
	})
}
