package store_test

import (
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

func ofMergeRequest(id int64) func(*core.Pipeline) {
	return func(p *core.Pipeline) { p.ID, p.Source = id, core.SourceMergeRequest }
}

// A merge request shows its own pipeline only: what was posted elsewhere before that was made is posted there, once.
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
			settle(t, s, pending, store.Settlement{Posted: true, PipelinePin: pin(pending, "77")})
			run(t, s)
			final := claimOne(t, s)
			settle(t, s, final, store.Settlement{Posted: true, PipelinePin: pin(final, "77")})
			tell(when.final)
			if !when.before {
				again := claimOne(t, s)
				if again.MergePipeline != 90 || again.State != core.StatusSuccess || again.PipelinePin != "77" {
					t.Errorf("%s: again = %+v", name, again)
				}
				settle(t, s, again, store.Settlement{Posted: true, PipelinePin: "90"})
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

// A pipeline that takes no status, because it was deleted, is not tried for ever.
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
				settle(t, s, status, store.Settlement{Posted: true, PipelinePin: "77"})
			}
		}
		nothingDue(t, s, "it stands in another pipeline")
	})
}
