package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// searchedAll ends a search of all commits.
func searchedAll(t *testing.T, s *store.Store, scan core.Scan, h store.History) {
	t.Helper()
	h.Project, h.Branch, h.Scanner, h.Rules = scan.ProjectID, "main", "gitleaks", "rules 1"
	if _, _, err := s.PutHistory(t.Context(), h); err != nil {
		t.Fatal(err)
	}
}

// Once the heads count as searched, contents of them of which nothing is known are clean: so what was found is known, but for what a
// scan has found out meanwhile.
func TestHistoryKeepsContents(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := scannedBy(t, e, "gitleaks")
		scan := deliver(t, s, pushed(t, s, 1), "gitleaks", core.Report{})
		key := func(blob string) core.ContentsKey { return core.ContentsKey{Blob: blob, Class: "0"} }
		of := func(rule string) core.Contents {
			return core.Contents{Findings: []core.Finding{finding(rule, core.Low)}}
		}
		if err := s.RecordContents(t.Context(), scan, "rules 1", core.SearchedContents{key("both"): of("scan")}); err != nil {
			t.Fatal(err)
		}
		fresh := core.SearchedContents{key("both"): of("history"), key("one"): of("history"), key("clean"): {}}
		if err := s.RecordProgress(t.Context(), scan.ProjectID, "rules 1", []string{scan.CommitSHA}, fresh); err != nil {
			t.Fatal(err)
		}
		searchedAll(t, s, scan, store.History{Heads: []string{scan.CommitSHA}})
		known, err := s.ListSearched(t.Context(), scan.ProjectID, "rules 1")
		if err != nil || len(known) != 2 || known[key("both")].Findings[0].RuleID != "scan" || known[key("one")].Findings[0].RuleID != "history" {
			t.Errorf("got %+v, %v", known, err)
		}
		if commits, kept, err := s.LoadProgress(t.Context(), scan.ProjectID, "rules 1"); err != nil || len(commits)+len(kept) > 0 {
			t.Errorf("want no progress kept, got %v, %v, %v", commits, kept, err)
		}
	})
}

// What a search of all commits leaves out replaces what the scan told, unless that is of a commit that came after it began. Heads that
// it could not search are told.
func TestHistoryPutsWhatIsLeft(t *testing.T) {
	t.Parallel()
	own := core.Stretch{Tips: []string{storetest.SHA(5)}, Commits: 3}
	lost := core.Stretch{Tips: []string{storetest.SHA(8)}, Commits: 1}
	for name, test := range map[string]struct {
		history store.History
		want    []core.Stretch
	}{
		"all":        {store.History{Heads: []string{storetest.SHA(1)}}, nil},
		"another":    {store.History{Heads: []string{storetest.SHA(7)}}, []core.Stretch{own}},
		"but a head": {store.History{Heads: []string{storetest.SHA(1)}, Lost: lost.Tips}, []core.Stretch{lost}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := scannedBy(t, e, "gitleaks")
				var coverage core.Coverage
				coverage.LeaveCommits(own)
				scan := deliver(t, s, pushed(t, s, 1), "gitleaks", core.Report{Coverage: &coverage})
				searchedAll(t, s, scan, test.history)
				got, err := s.LoadCoverage(t.Context(), scan.ProjectID, scan.CommitSHA, "gitleaks")
				if diff := cmp.Diff(test.want, got.Unread()); diff != "" || err != nil {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
		})
	}
}

// What was pushed and not searched is followed to where a search begins.
func TestFindUnsearched(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		created, back := pushed(t, s, 20, newBranch), pushed(t, s, 30, from(31))
		for n := 3; n <= 6; n++ {
			scan := pushed(t, s, n)
			if n != 4 {
				continue
			}
			if err := s.RecordSearch(t.Context(), scan, "rules", nil, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		sha := storetest.SHA
		for name, test := range map[string]struct {
			scan  core.Scan
			rules string
			want  store.Unsearched
		}{
			"to a searched commit":       {pushed(t, s, 7), "rules", store.Unsearched{From: sha(4), Pushed: []string{sha(6), sha(5)}}},
			"by other rules":             {pushed(t, s, 8, from(6)), "others", store.Unsearched{From: sha(2), Pushed: []string{sha(6), sha(5), sha(4), sha(3)}}},
			"to a commit without a scan": {pushed(t, s, 9, from(90)), "rules", store.Unsearched{From: sha(90)}},
			"a new branch":               {created, "rules", store.Unsearched{}},
			"to a new branch":            {pushed(t, s, 21), "rules", store.Unsearched{From: sha(20), Begins: true}},
			"to and fro":                 {pushed(t, s, 31, from(30)), "rules", store.Unsearched{From: sha(30), Begins: true}},
			"to the commit that it had":  {back, "rules", store.Unsearched{From: sha(31), Begins: true}},
		} {
			got, err := s.FindUnsearched(t.Context(), test.scan, test.rules)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%s (-want +got):\n%s%v", name, diff, err)
			}
		}
	})
}
