package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// However many scans have the finding, its own commit hears of it within the second and before the others.
func TestTriageOfAFindingInManyScans(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		var first core.Scan
		for n := range 230 {
			scan := scanOn(t, s, n+1, fmt.Sprint("b", n), finding("leak", core.High))
			if n == 0 {
				first = scan
			}
		}
		postAll(t, s)
		f := findingsOf(t, s, first)["leak"]
		start := time.Now()
		say(t, s, f, core.FalsePositive)
		took := time.Since(start)
		t.Logf("judging again took %s", took)
		claimed, err := s.ClaimStatuses(t.Context(), github, 1, time.Minute)
		if err != nil || len(claimed) != 1 || claimed[0].ScanID != first.ID {
			t.Errorf("the first status due is %+v, %v, want that of scan %d", claimed, err, first.ID)
		}
		passed, err := s.ListScans(t.Context(), store.ScanFilter{Verdict: core.Pass, Limit: 500})
		if err != nil || len(passed) != 200 || passed[0].ID != 230 {
			t.Errorf("%d scans pass, %v, want its own and the newest 199", len(passed), err)
		}
	})
}

// postAll makes the platform show all that is wanted.
func postAll(t *testing.T, s *store.Store) {
	t.Helper()
	for {
		claimed, err := s.ClaimStatuses(t.Context(), github, 100, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(claimed) == 0 {
			return
		}
		for _, status := range claimed {
			settle(t, s, status, store.Settlement{Posted: true})
		}
	}
}
