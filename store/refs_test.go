package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// standsAt expects the project to be shown as its branch is, and the next scan to be compared with that.
func standsAt(t *testing.T, s *store.Store, steps string, want int) {
	t.Helper()
	list, err := s.ListProjects(t.Context(), store.ProjectFilter{Limit: 9})
	if err != nil || len(list) != 1 || list[0].Head == nil || list[0].Head.CommitSHA != storetest.SHA(want) {
		t.Errorf("%s: %+v, %v, want it to stand at %d", steps, list, err, want)
	}
	d, p := storetest.PushOf(500, storetest.OnBranch("side"))
	next := accept(t, s, d, p)
	if sha, err := s.GetBaseline(t.Context(), next, core.Job{Scanner: "gitleaks"}); err != nil || sha != storetest.SHA(want) {
		t.Errorf("%s: compared with %s, %v, want %d", steps, sha, err, want)
	}
}

// An old commit that is scanned once more stays old.
func TestRescanOfAnOldCommit(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		old := pushed(t, s, 1)
		run(t, s)
		pushed(t, s, 2)
		run(t, s)
		if _, err := s.Rescan(t.Context(), old.ReferenceID, "ada"); err != nil {
			t.Fatal(err)
		}
		run(t, s)
		standsAt(t, s, "rescan", 2)
	})
}

// A branch is where it was seen.
func TestBranchIsSeenWhereItStands(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		for n, text := range []string{"1>2", "0>1"} {
			d, p := step(t, text, n)
			accept(t, s, d, p)
			run(t, s)
		}
		known := store.KnownProject{SourcePlatform: "github", ProjectName: "acme/shop"}
		watched, err := s.ClaimProject(t.Context(), known, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		head := core.Head{Ref: "refs/heads/main", SHA: storetest.SHA(1)}
		if err := s.PutHeads(t.Context(), watched.ID, []core.Head{head}, nil); err != nil {
			t.Fatal(err)
		}
		standsAt(t, s, "seen", 1)
	})
}

// The state of a project is that of its branch, in whatever order pushes are announced: a late push is old, however new
// its scan is.
func TestProjectStandsWhereItsBranchStands(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		for steps, want := range map[string]int{
			"0>1 1>2":                  2,
			"1>2 0>1":                  2,
			"1>2 0>1 2>3":              3,
			"2>3 0>1 1>2":              3,
			"2>3 1>2 0>1":              3,
			"9>0 ~0>3 0>1 1>2 2>3":     3,
			"9>0 ~0>3 1>2 0>1":         3,
			"9>0 ~0>3 0>1 1>2 3>4":     4,
			"0>1 1>2 2>1":              1,
			"0>1 1>2 2>1 1>2":          2,
			"0>1 1>2 2>1 1>4 4>5":      5,
			"0>1 3>4":                  4, // the push between is lost
			"0>1 3>4 1>3":              4,
			"0>1 ~1>4 4>5 1>3 3>4":     5,
			"1>2 0>1 ~2>1":             1, // set back to what came late
			"0>1 1>2 ~2>5 2>3 3>4 5>6": 6,
		} {
			s := e.Open(t, store.Config{})
			for n, text := range strings.Fields(steps) {
				d, p := step(t, text, n)
				if receipt, err := s.AcceptPush(t.Context(), d, p); err != nil {
					t.Fatal(err)
				} else if receipt.Outcome == core.ScanCreated {
					run(t, s)
				}
			}
			standsAt(t, s, steps, want)
		}
	})
}
