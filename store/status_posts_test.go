package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

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
			d, p := storetest.PushOf(1)
			accept(t, s, d, p)
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
