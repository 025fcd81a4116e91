package store_test

import (
	"slices"
	"testing"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// A scan is in the list of what it has become, and in no other: as it ends, is judged anew, is superseded, starts over,
// gets its branch, and goes.
func TestListsFollowTheLifeOfAScan(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		scan := pushTo(t, s, 1, "main")
		listedAs(t, s, scan, "pending", "main")
		run(t, s, finding("leak", core.High))
		listedAs(t, s, scan, "fail", "main")
		say(t, s, findingsOf(t, s, scan)["leak"], core.FalsePositive)
		listedAs(t, s, scan, "pass", "main")

		d, p := storetest.PushOf(2)
		old := accept(t, s, d, p)
		pushTo(t, s, 3, "main")
		listedAs(t, s, old, "failed", "main")
		d.Key, p.Ref = "a branch made of it", "refs/heads/rescue"
		accept(t, s, d, p)
		listedAs(t, s, old, "pending", "main")

		unnamed := named(t, s, 7, core.Scan{})
		deliver(t, s, unnamed, "gitleaks", core.Report{})
		listedAs(t, s, unnamed, "pass", "")
		pushTo(t, s, 7, "late")
		listedAs(t, s, unnamed, "pass", "late")
		if err := s.DeleteScan(t.Context(), unnamed.ReferenceID, "ada"); err != nil {
			t.Fatal(err)
		}
		listedAs(t, s, unnamed, "", "late")
	})
}

// listedAs expects a scan in the lists of one outcome, with and without its project and branch, and in no other list.
func listedAs(t *testing.T, s *store.Store, scan core.Scan, want, branch string) {
	t.Helper()
	for outcome, filter := range map[string]store.ScanFilter{
		"pending": {Status: core.ScanPending}, "pass": {Verdict: core.Pass}, "fail": {Verdict: core.Fail},
		"failed": {Status: core.ScanFailed},
	} {
		for _, project := range []string{"", scan.ProjectName} {
			for _, on := range []string{"", branch} {
				filter.Project, filter.Branch, filter.Limit = project, on, 50
				list, err := s.ListScans(t.Context(), filter)
				if err != nil {
					t.Fatal(err)
				}
				if got := slices.Contains(ids(list), scan.ID); got != (outcome == want) {
					t.Errorf("in the list of %+v: %t, want the scan to be %q", filter, got, want)
				}
			}
		}
	}
}
