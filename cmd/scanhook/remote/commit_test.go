package remote

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
)

const (
	headSHA  = "1111111111111111111111111111111111111111"
	mergeSHA = "2222222222222222222222222222222222222222"
	flagSHA  = "3333333333333333333333333333333333333333"
)

func environment(variables map[string]string) Env {
	return func(name string) (string, bool) {
		value, set := variables[name]
		return value, set
	}
}

func TestCommitOfCI(t *testing.T) {
	t.Parallel()
	head := `{"pull_request": {"head": {"sha": "` + headSHA + `"`
	pull := writeFile(t, head+`, "ref": "fix", "repo": {"full_name": "acme/shop"}}}}`)
	fork := writeFile(t, head+`, "ref": "main", "repo": {"full_name": "eve/shop"}}}}`)
	bare := writeFile(t, head+`}}}`)
	for name, test := range map[string]struct {
		flags Commit
		env   map[string]string
		want  Commit
	}{
		"GitHub push": {Commit{}, map[string]string{
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": headSHA, "GITHUB_REF_NAME": "release/1", "GITHUB_REF_TYPE": "branch",
			"GITHUB_EVENT_NAME": "push", "GITHUB_HEAD_REF": "",
		}, Commit{"github", "acme/shop", headSHA, "release/1", ""}},
		"GitHub tag": {Commit{}, map[string]string{
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": headSHA, "GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag",
		}, Commit{"github", "acme/shop", headSHA, "", ""}},
		"GitHub pull request": {Commit{}, map[string]string{
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": mergeSHA, "GITHUB_REF_NAME": "7/merge", "GITHUB_REF_TYPE": "branch",
			"GITHUB_EVENT_NAME": "pull_request", "GITHUB_HEAD_REF": "fix", "GITHUB_EVENT_PATH": pull,
		}, Commit{"github", "acme/shop", headSHA, "fix", ""}},
		"GitHub review, without GITHUB_HEAD_REF": {Commit{}, map[string]string{
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": mergeSHA, "GITHUB_REF_NAME": "7/merge", "GITHUB_REF_TYPE": "branch",
			"GITHUB_EVENT_NAME": "pull_request_review", "GITHUB_EVENT_PATH": pull,
		}, Commit{"github", "acme/shop", headSHA, "fix", ""}},
		"GitHub pull request of a fork's main": {Commit{}, map[string]string{
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": mergeSHA, "GITHUB_EVENT_NAME": "pull_request_target",
			"GITHUB_HEAD_REF": "main", "GITHUB_EVENT_PATH": fork,
		}, Commit{"github", "acme/shop", headSHA, "eve/shop:main", ""}},
		"GitHub pull request, commit given": {Commit{SHA: flagSHA}, map[string]string{
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": mergeSHA, "GITHUB_EVENT_NAME": "pull_request",
			"GITHUB_HEAD_REF": "fix",
		}, Commit{"github", "acme/shop", flagSHA, "fix", ""}},
		"Gitea": {Commit{Platform: "gitea"}, map[string]string{
			"GITEA_ACTIONS": "true", "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": mergeSHA,
			"GITHUB_EVENT_NAME": "pull_request", "GITHUB_HEAD_REF": "fix", "GITHUB_EVENT_PATH": bare,
		}, Commit{"gitea", "acme/shop", headSHA, "fix", ""}},
		"GitLab branch": {Commit{}, map[string]string{
			"CI_PROJECT_PATH": "acme/sub/shop", "CI_COMMIT_SHA": headSHA, "CI_COMMIT_BRANCH": "main",
			"CI_COMMIT_REF_NAME": "main",
		}, Commit{"gitlab", "acme/sub/shop", headSHA, "main", ""}},
		"GitLab, with a variable of GitHub's": {Commit{}, map[string]string{
			"CI_PROJECT_PATH": "acme/shop", "CI_COMMIT_SHA": headSHA, "CI_COMMIT_BRANCH": "main", "GITHUB_REPOSITORY": "acme/mirror",
		}, Commit{"gitlab", "acme/shop", headSHA, "main", ""}},
		"GitLab tag": {Commit{}, map[string]string{
			"CI_PROJECT_PATH": "acme/shop", "CI_COMMIT_SHA": headSHA, "CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1",
		}, Commit{"gitlab", "acme/shop", headSHA, "", ""}},
		"GitLab merge request, detached": {Commit{}, map[string]string{
			"CI_PROJECT_PATH": "acme/shop", "CI_COMMIT_SHA": headSHA, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
			"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "fix", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "acme/shop",
			"CI_COMMIT_REF_NAME": "fix",
		}, Commit{"gitlab", "acme/shop", headSHA, "fix", ""}},
		"GitLab merged result": {Commit{}, map[string]string{
			"CI_PROJECT_PATH": "acme/shop", "CI_COMMIT_SHA": mergeSHA, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": headSHA,
			"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "fix", "CI_COMMIT_REF_NAME": "fix",
		}, Commit{"gitlab", "acme/shop", headSHA, "fix", ""}},
		"GitLab merge request of a fork's main": {Commit{}, map[string]string{
			"CI_PROJECT_PATH": "acme/shop", "CI_COMMIT_SHA": headSHA, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "main",
			"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "eve/shop", "CI_MERGE_REQUEST_REF_PATH": "refs/merge-requests/7/head",
			"CI_COMMIT_REF_NAME": "main",
		}, Commit{"gitlab", "acme/shop", headSHA, "refs/merge-requests/7/head", ""}},
		"flags win": {Commit{"forge", "a/b", flagSHA, "next", ""}, map[string]string{
			"CI_PROJECT_PATH": "acme/shop", "CI_COMMIT_SHA": headSHA, "CI_COMMIT_BRANCH": "main",
		}, Commit{"forge", "a/b", flagSHA, "next", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := test.flags
			if err := got.complete(t.Context(), environment(test.env), kinds.CICommit); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("commit (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCommitOfCIRefuses(t *testing.T) {
	t.Parallel()
	event := func(path string) map[string]string {
		return map[string]string{
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": mergeSHA,
			"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": path,
		}
	}
	for name, test := range map[string]struct {
		flags Commit
		env   map[string]string
		want  string
	}{
		"no project":     {Commit{Platform: "github", SHA: flagSHA}, nil, "--project"},
		"no platform":    {Commit{Project: "acme/shop", SHA: flagSHA}, nil, "--platform"},
		"short commit":   {Commit{"github", "acme/shop", "1234567", "", ""}, nil, "--commit must be a full commit id"},
		"no event":       {Commit{}, event(""), "GITHUB_EVENT_PATH is not set; give it with --commit"},
		"event is gone":  {Commit{}, event("gone.json"), "no such file"},
		"event is empty": {Commit{}, event(writeFile(t, "{}")), "has no pull_request.head.sha"},
		"event is torn":  {Commit{}, event(writeFile(t, "{")), "reading GITHUB_EVENT_PATH: unexpected EOF"},
		"Gitea": {Commit{}, map[string]string{"GITHUB_REPOSITORY": "acme/shop", "GITHUB_SHA": headSHA,
			"FORGEJO_ACTIONS": "true"}, "--platform"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.flags.complete(t.Context(), environment(test.env), kinds.CICommit)
			if usage := new(cli.UsageError); !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want wrong usage that says %q", err, test.want)
			}
		})
	}
}
