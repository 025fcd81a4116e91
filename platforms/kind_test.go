package platforms_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/platforms"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	links := platforms.Links{
		Commit: "/c/{sha}", Branch: "/b/{branch}", File: "/f/{sha}/{path}", Line: "#{line}", Lines: "#{line}-{end}",
		Request: "/r/{number}", Pipeline: "/p/{id}",
	}
	for want, got := range map[string]string{
		"P/c/abc":                   links.CommitURL("P", "abc"),
		"P/b/fix/%23%201":           links.BranchURL("P", "fix/# 1"),
		"P/f/abc/src/a%20%7Bsha%7D": links.FileURL("P", "abc", "src/a {sha}", 0, 9),
		"P/f/abc/a#3":               links.FileURL("P", "abc", "a", 3, 3),
		"P/f/abc/a#3-5":             links.FileURL("P", "abc", "a", 3, 5),
		"P/r/7":                     links.RequestURL("P", 7),
		"P/p/9007199254740993":      links.PipelineURL("P", 9007199254740993),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// kindsOfTests are a platform and one that imitates it.
var kindsOfTests = platforms.Kinds{
	{Name: "hub", Aliases: []string{"center"}, CI: func(getenv func(string) string) (platforms.CICommit, bool) {
		return platforms.CICommit{Platform: "hub", Project: getenv("REPOSITORY")}, getenv("REPOSITORY") != ""
	}},
	{
		Name: "copy", Imitates: "hub", Claims: func(api *url.URL) bool { return strings.HasSuffix(api.Path, "/copy") },
		CI: func(getenv func(string) string) (platforms.CICommit, bool) {
			return platforms.CICommit{Project: getenv("REPOSITORY")}, getenv("COPY") != ""
		},
	},
	{Name: "other"},
}

func TestKindsResolve(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, api, want string }{
		{"hub", "", "hub"}, {"center", "https://hub.example/api", "hub"}, {"hub", "https://copy.example/copy", "copy"},
		{"copy", "", "copy"}, {"other", "https://other.example/copy", "other"}, {"unknown", "https://copy.example/copy", ""},
		{"hub", "://", "hub"},
	} {
		kind, known := kindsOfTests.Resolve(test.name, test.api)
		if kind.Name != test.want || known != (test.want != "") {
			t.Errorf("%s at %q is of the kind %q, want %q", test.name, test.api, kind.Name, test.want)
		}
	}
}

func TestCICommitOfAnImitation(t *testing.T) {
	t.Parallel()
	for want, env := range map[string]map[string]string{
		"hub a/b": {"REPOSITORY": "a/b"}, " a/b": {"REPOSITORY": "a/b", "COPY": "true"}, " ": {},
	} {
		commit, found := kindsOfTests.CICommit(func(name string) string { return env[name] })
		if got := commit.Platform + " " + commit.Project; got != want || found != (want != " ") {
			t.Errorf("%v: got %q, %t, want %q", env, got, found, want)
		}
	}
}
