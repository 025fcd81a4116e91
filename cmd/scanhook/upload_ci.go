package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
)

// commitRef says which commit a report is about.
type commitRef struct {
	platform string // key in the server's configuration
	project  string // full path
	sha      string // full
	branch   string // short; empty when unknown
}

// complete fills what is empty from the variables of the CI system, else the commit from git.
func (c *commitRef) complete(ctx context.Context, env lookup) error {
	found, err := c.ofCI(env)
	if err != nil {
		return err
	}
	*c = commitRef{
		platform: cmp.Or(c.platform, found.platform), project: cmp.Or(c.project, found.project),
		sha: cmp.Or(c.sha, found.sha), branch: cmp.Or(c.branch, found.branch),
	}
	if c.sha == "" {
		if c.sha, err = headCommit(ctx); err != nil {
			return err
		}
	}
	switch {
	case c.platform == "":
		return wrongUpload("the platform is not known here: give its key in Scanhook's configuration with --platform")
	case c.project == "":
		return wrongUpload("the project is not known here: give its full path, such as acme/shop, with --project")
	case !core.IsCommitSHA(c.sha):
		return wrongUpload("--commit must be a full commit id of 40 or 64 hexadecimal digits, not %q", c.sha)
	}
	return nil
}

func (c *commitRef) ofCI(env lookup) (commitRef, error) {
	switch {
	case env.get("CI_PROJECT_PATH") != "":
		return gitlabCommit(env), nil
	case env.get("GITHUB_REPOSITORY") != "":
		return githubCommit(env, c.sha == "")
	}
	return commitRef{}, nil
}

// gitlabCommit reads GitLab's variables, see https://docs.gitlab.com/ci/variables/predefined_variables/. In pipelines
// for merged results CI_COMMIT_SHA is a merge that nobody pushed.
func gitlabCommit(env lookup) commitRef {
	branch := env.get("CI_COMMIT_REF_NAME")
	if env.get("CI_COMMIT_TAG") != "" {
		branch = ""
	}
	return commitRef{
		platform: config.TypeGitLab,
		project:  env.get("CI_PROJECT_PATH"),
		sha:      cmp.Or(env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"), env.get("CI_COMMIT_SHA")),
		branch:   cmp.Or(env.get("CI_COMMIT_BRANCH"), gitlabSource(env), branch),
	}
}

// gitlabSource is a merge request's branch. One of a fork may be called like our own, whose baseline it must not
// become: then it is the ref that GitLab gives the merge request's pipeline.
func gitlabSource(env lookup) string {
	from := env.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH")
	if from == "" || from == env.get("CI_PROJECT_PATH") {
		return env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
	}
	return env.get("CI_MERGE_REQUEST_REF_PATH")
}

// githubCommit reads the variables of GitHub Actions and of those that look like them, see
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables.
func githubCommit(env lookup, needsSHA bool) (commitRef, error) {
	c := commitRef{platform: githubPlatform(env), project: env.get("GITHUB_REPOSITORY"), sha: env.get("GITHUB_SHA")}
	if strings.HasPrefix(env.get("GITHUB_EVENT_NAME"), "pull_request") {
		return c.ofPullRequest(env, needsSHA)
	}
	if env.get("GITHUB_REF_TYPE") != "tag" {
		c.branch = env.get("GITHUB_REF_NAME")
	}
	return c, nil
}

// githubPlatform guesses no key for the lookalikes: Scanhook serves them as further platforms of the type github.
func githubPlatform(env lookup) string {
	for _, lookalike := range []string{"GITEA_ACTIONS", "FORGEJO_ACTIONS"} {
		if env.get(lookalike) == "true" {
			return ""
		}
	}
	return config.TypeGitHub
}
