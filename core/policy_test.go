package core_test

import (
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
