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

func TestProjectsAreListedByHowTheyStand(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		push := func(n int, platform, project, branch string, report *core.Report) {
			delivery, push := storetest.PushOf(n, storetest.OnBranch(branch), func(d *core.Delivery, p *core.Push) {
				called(project, project)(d, p)
				d.Platform = platform
			})
			receipt, err := s.Accept(t.Context(), storetest.With(delivery, push))
			if err == nil && report != nil {
				_, err = s.PutReport(t.Context(), receipt.Reference, "gitleaks", *report)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		red, green := reportOf("a"), core.Report{}
		push(1, "github", "acme/b", "main", &red)
		push(2, "github", "acme/b", "feature", &green)
		push(3, "github", "acme/a", "main", &red)
		push(4, "github", "acme/a", "main", &green)
		push(5, "gitlab", "acme/a", "main", &core.Report{Failure: "broken"})
		push(6, "gitlab", "acme/c", "main", nil)
		names := func(f store.ProjectFilter) (list []string) {
			standings, err := s.ListProjects(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, standing := range standings {
				list = append(list, fmt.Sprintf("%s %s %s %t %t", standing.SourcePlatform, standing.ProjectName, standing.Branch,
					standing.Head != nil, standing.Failing()))
			}
			return list
		}
		all := []string{
			"github acme/a main true false", "github acme/b main true true",
			"gitlab acme/a main true true", "gitlab acme/c main false false",
		}
		for _, test := range []struct {
			filter store.ProjectFilter
			want   []string
		}{
			{store.ProjectFilter{Limit: 9}, all}, {store.ProjectFilter{Limit: 2}, all[:2]},
			{store.ProjectFilter{Failing: true, Limit: 9}, all[1:3]}, {store.ProjectFilter{Platform: "gitlab", Limit: 9}, all[2:]},
			{store.ProjectFilter{AfterPlatform: "github", AfterProject: "acme/b", Limit: 9}, all[2:]},
			{store.ProjectFilter{AfterPlatform: "gitlab", AfterProject: "acme/a", Limit: 9}, all[3:]},
			{store.ProjectFilter{Platform: "none", Limit: 9}, nil},
		} {
			if diff := cmp.Diff(test.want, names(test.filter)); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", test.filter, diff)
			}
		}
		overview, err := s.GetOverview(t.Context(), []string{"github"})
		if err != nil || overview.Open != 1 || overview.Waiting != 4 || overview.LastCall == nil {
			t.Errorf("overview: %+v, %v", overview, err)
		}
	})
}

// A merge queue brings the commits of main by branches of its own.
func TestMainIsWhatItsMergeQueueBrought(t *testing.T) {
	t.Parallel()
	storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
		s := e.Open(t, store.Config{})
		moves(t, s, "main:0>1")
		run(t, s, finding("a", core.High))
		for n := 2; n < 5; n++ {
			queue := fmt.Sprintf("gh-readonly-queue/main/pr-%d-x", n)
			moves(t, s, fmt.Sprintf("%[1]s:0>%[2]d", queue, n))
			run(t, s, finding("a", core.High))
			moves(t, s, fmt.Sprintf("main:%[1]d>%[2]d %[3]s:%[2]d>0", n-1, n, queue))
		}
		head, err := s.ListScans(t.Context(), store.ScanFilter{Platform: "github", Project: "acme/shop", Branch: "main", Limit: 9})
		if err != nil || len(head) != 2 || head[0].CommitSHA != storetest.SHA(4) {
			t.Errorf("scans of main: %+v, %v, want that of its head first", head, err)
		}
		states, err := s.ListProjects(t.Context(), store.ProjectFilter{Limit: 9})
		if err != nil || len(states) != 1 || states[0].Head == nil || states[0].Head.CommitSHA != storetest.SHA(4) ||
			*states[0].Head.Verdict != core.Pass || states[0].Unresolved != 1 || !states[0].Failing() {
			t.Errorf("states: %+v, %v, want that of its head, which passes and leaves a finding of before unresolved", states, err)
		}
		trend, err := s.ListTrend(t.Context(), "github", "acme/shop", 3)
		if err != nil || len(trend) != 3 || trend[0].CommitSHA != storetest.SHA(2) || trend[2].CommitSHA != storetest.SHA(4) {
			t.Errorf("trend: %+v, %v", trend, err)
		}
		if sha, err := s.GetBaseline(t.Context(), pushed(t, s, 9, storetest.OnBranch("main"), from(4)), core.Job{Scanner: "gitleaks"}); err != nil || sha != storetest.SHA(4) {
			t.Errorf("the next commit of main is compared with %s, %v", sha, err)
		}
	})
}

// A project does not leave the list of those that fail because its branch, or what stands there, has no ended scan.
func TestProjectFailsUntilItsBranchPasses(t *testing.T) {
	t.Parallel()
	upload := func(t *testing.T, s *store.Store, n int, branch, defaultBranch string) {
		t.Helper()
		named(t, s, n, core.Scan{ProjectRef: "42", Branch: branch, DefaultBranch: defaultBranch})
	}
	bad := finding("a", core.High)
	for name, scanned := range map[string]func(t *testing.T, s *store.Store){
		"uploads without a branch": func(t *testing.T, s *store.Store) {
			upload(t, s, 1, "", "")
			run(t, s, bad)
			upload(t, s, 2, "", "")
		},
		"pipelines alone": func(t *testing.T, s *store.Store) {
			record(t, s, 1)
			run(t, s, bad)
		},
		"made anew": func(t *testing.T, s *store.Store) {
			moves(t, s, "main:0>1")
			run(t, s, bad)
			moves(t, s, "main:1>0 main:0>2")
		},
		"brought by another branch": func(t *testing.T, s *store.Store) {
			moves(t, s, "side:0>1 main:0>1")
			run(t, s, bad)
			upload(t, s, 2, "side", "main")
			w, err := s.ClaimProject(t.Context(), sighting("acme/shop", ""), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			seen(t, s, w, core.Ref{Name: "refs/heads/main", SHA: storetest.SHA(2)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.EachEngine(t, func(t *testing.T, e storetest.Engine) {
				s := e.Open(t, store.Config{})
				scanned(t, s)
				states, err := s.ListProjects(t.Context(), store.ProjectFilter{Failing: true, Limit: 9})
				if err != nil || len(states) != 1 || states[0].Head == nil || states[0].Head.CommitSHA != storetest.SHA(1) {
					t.Errorf("%+v, %v, want the project with the scan that failed the gate", states, err)
				}
			})
		})
	}
}
