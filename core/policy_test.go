package core_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	policies := core.Policies{
		{Match: "github/acme/*", Policy: core.Policy{Context: "first"}},
		{Match: "github/**", Policy: core.Policy{Context: "second"}},
	}
	got := map[string]string{}
	for _, project := range []string{"acme/shop", "acme/sub/shop", "other/x"} {
		policy, _ := policies.For("github", project)
		got[project] = policy.Context
	}
	want := map[string]string{"acme/shop": "first", "acme/sub/shop": "second", "other/x": "second"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if _, known := policies.For("gitlab", "acme/shop"); known {
		t.Error("a platform without a rule is known")
	}
}

func TestRefusesPipeline(t *testing.T) {
	t.Parallel()
	policy := core.Policy{Branches: []string{"main", "feature/**"}, Tags: []string{"v*"}}
	for name, c := range map[string]struct {
		branch, tag string
		want        string
	}{
		"a branch":       {"feature/a/b", "", ""},
		"another branch": {"old", "", "branch old is not among the configured branches"},
		"a tag":          {"", "v1", ""},
		"another tag":    {"", "x", "tag x is not among the configured tags"},
		"unknown branch": {"", "", ""},
		"another ref":    {"refs/a/b", "", "branch refs/a/b is not among the configured branches"},
	} {
		run := core.Pipeline{ID: 1, CommitSHA: strings.Repeat("a", 40), Branch: c.branch, Tag: c.tag}
		if got := policy.RefusesPipeline(run); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestScopesSpeakForTheFirstMatch(t *testing.T) {
	t.Parallel()
	scopes := core.Scopes{"github/acme/web", "github/acme/**", "{github,gitlab}/shared/*", "github/[l-m]*/open"}
	for project, want := range map[string]int{
		"acme/web": 0, "acme/shop": 1, "acme/a/b": 1, "shared/x": 2, "lower/open": 3, "other/x": -1, "": -1,
		"acme/Web": 0, "ACME/web": 0, "acme/web.git": -1, "acme/WEB.GIT": -1, "ACME/shop": 1, "Shared/x": 2,
		"acme/web/": 1, "acme/website": 1, "acme": 1, "acme/shop.git": 1,
	} {
		if got := scopes.Of("github", project); got != want {
			t.Errorf("%q: want scope %d, got %d", project, want, got)
		}
	}
	if got := scopes.Of("gitlab", "acme/web"); got != -1 {
		t.Errorf("another platform: want no scope, got %d", got)
	}
}

// The job that waits for any report of a scanner becomes that of the first category; with configured categories a scan waits for all.
func TestPlanReports(t *testing.T) {
	t.Parallel()
	job := func(id int64, name string, state core.JobState) core.Job {
		return core.Job{ID: id, Scanner: name, State: state}
	}
	plain, other := job(1, "codeql", core.JobPending), job(2, "trivy", core.JobPending)
	listed := core.Policy{Scanners: []string{"codeql", "trivy"}, Categories: map[string][]string{"codeql": {"go", "js"}}}
	if diff := cmp.Diff([]string{"codeql/go", "codeql/js", "trivy"}, listed.Jobs()); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct {
		policy     core.Policy
		jobs       []core.Job
		categories []string
		want       core.JobPlan
	}{
		"no category":            {core.Policy{}, []core.Job{plain, other}, []string{""}, core.JobPlan{}},
		"the first category":     {core.Policy{}, []core.Job{plain, other}, []string{"go"}, core.JobPlan{Renamed: 1, Name: "codeql/go"}},
		"two at once":            {core.Policy{}, []core.Job{plain}, []string{"go", "js"}, core.JobPlan{Renamed: 1, Name: "codeql/go"}},
		"one of them is none":    {core.Policy{}, []core.Job{plain}, []string{"go", ""}, core.JobPlan{}},
		"the second category":    {core.Policy{}, []core.Job{job(1, "codeql/go", core.JobCompleted)}, []string{"js"}, core.JobPlan{}},
		"after a plain report":   {core.Policy{}, []core.Job{job(1, "codeql", core.JobCompleted)}, []string{"js"}, core.JobPlan{}},
		"too late":               {core.Policy{}, []core.Job{job(1, "codeql", core.JobFailed)}, []string{"js"}, core.JobPlan{Renamed: 1, Name: "codeql/js"}},
		"the category is there":  {core.Policy{}, []core.Job{plain, job(3, "codeql/go", core.JobFailed)}, []string{"go"}, core.JobPlan{}},
		"configured":             {listed, []core.Job{job(1, "codeql/go", core.JobPending), job(2, "codeql/js", core.JobPending)}, []string{"go"}, core.JobPlan{}},
		"configured since":       {listed, []core.Job{plain}, []string{"js"}, core.JobPlan{Renamed: 1, Name: "codeql/js", Await: []string{"codeql/go"}}},
		"configured, not listed": {listed, nil, []string{"rust"}, core.JobPlan{Await: []string{"codeql/go", "codeql/js"}}},
	} {
		got, err := c.policy.PlanReports(core.Scan{Status: core.ScanPending}, c.jobs, "codeql", c.categories)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got):\n%s%v", name, diff, err)
		}
	}
	if ended, err := listed.PlanReports(core.Scan{Status: core.ScanCompleted}, nil, "codeql", []string{"go"}); len(ended.Await) > 0 || err != nil {
		t.Errorf("an ended scan waits again: %+v, %v", ended, err)
	}
	var many []core.Job
	for n := range 100 {
		many = append(many, job(int64(n), core.JobName("codeql", "run-"+strings.Repeat("x", n)), core.JobCompleted))
	}
	if _, err := listed.PlanReports(core.Scan{}, many, "codeql", []string{"one more"}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a category for each run: %v", err)
	}
}
