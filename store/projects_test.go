package store_test

import (
	"fmt"
	"testing"

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
				d.Platform, d.Project, p.Project.Name = platform, project, project
			})
			receipt, err := s.AcceptPush(t.Context(), delivery, push)
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
