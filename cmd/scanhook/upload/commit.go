package upload

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/scanhook/scanhook/cmd/scanhook/cli"
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/config"
	"github.com/scanhook/scanhook/webhooks"
)

// Commit says which commit a report is about.
type Commit struct {
	Platform string // key in the server's configuration
	Project  string // full path
	SHA      string // full
	Branch   string // short; empty when unknown
}

// complete fills what is empty from the variables of the CI system, else the commit from git.
func (c *Commit) complete(ctx context.Context, env Env) error {
	found, err := c.ofCI(env)
	if err != nil {
		return err
	}
	*c = Commit{
		Platform: cmp.Or(c.Platform, found.Platform), Project: cmp.Or(c.Project, found.Project),
		SHA: cmp.Or(c.SHA, found.SHA), Branch: cmp.Or(c.Branch, found.Branch),
	}
	if c.SHA == "" {
		if c.SHA, err = headCommit(ctx); err != nil {
			return err
		}
	}
	switch {
	case c.Platform == "":
		return cli.WrongUse("the platform is not known here: give its key in Scanhook's configuration with --platform")
	case c.Project == "":
		return cli.WrongUse("the project is not known here: give its full path, such as acme/shop, with --project")
	case !core.IsCommitSHA(c.SHA):
		return cli.WrongUse("--commit must be a full commit id of 40 or 64 hexadecimal digits, not %q", c.SHA)
	}
	return nil
}

func (c *Commit) ofCI(env Env) (Commit, error) {
	switch {
	case env.get("CI_PROJECT_PATH") != "":
		return gitlabCommit(env), nil
	case env.get("GITHUB_REPOSITORY") != "":
		return githubCommit(env, c.SHA == "")
	}
	return Commit{}, nil
}

// gitlabCommit reads GitLab's variables, see https://docs.gitlab.com/ci/variables/predefined_variables/. In pipelines
// for merged results CI_COMMIT_SHA is a merge that nobody pushed.
func gitlabCommit(env Env) Commit {
	branch := env.get("CI_COMMIT_REF_NAME")
	if env.get("CI_COMMIT_TAG") != "" {
		branch = ""
	}
	return Commit{
		Platform: config.TypeGitLab,
		Project:  env.get("CI_PROJECT_PATH"),
		SHA:      cmp.Or(env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA"), env.get("CI_COMMIT_SHA")),
		Branch:   cmp.Or(env.get("CI_COMMIT_BRANCH"), gitlabSource(env), branch),
	}
}

// gitlabSource is a merge request's branch. One of a fork may be called like our own, whose baseline it must not
// become: then it is the ref that GitLab gives the merge request's pipeline.
func gitlabSource(env Env) string {
	from := env.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH")
	if from == "" || from == env.get("CI_PROJECT_PATH") {
		return env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
	}
	return env.get("CI_MERGE_REQUEST_REF_PATH")
}

// githubCommit reads the variables of GitHub Actions and of those that look like them, see
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables.
func githubCommit(env Env, needsSHA bool) (Commit, error) {
	c := Commit{Platform: githubPlatform(env), Project: env.get("GITHUB_REPOSITORY"), SHA: env.get("GITHUB_SHA")}
	if strings.HasPrefix(env.get("GITHUB_EVENT_NAME"), "pull_request") {
		return c.ofPullRequest(env, needsSHA)
	}
	if env.get("GITHUB_REF_TYPE") != "tag" {
		c.Branch = env.get("GITHUB_REF_NAME")
	}
	return c, nil
}

// githubPlatform guesses no key for the lookalikes: Scanhook serves them as further platforms of the type github.
func githubPlatform(env Env) string {
	for _, lookalike := range []string{"GITEA_ACTIONS", "FORGEJO_ACTIONS"} {
		if env.get(lookalike) == "true" {
			return ""
		}
	}
	return config.TypeGitHub
}

// githubEvent is the part of a workflow's event that says what a pull request is about.
type githubEvent struct {
	PullRequest struct {
		Head struct {
			SHA  string `json:"sha"`
			Ref  string `json:"ref"`
			Repo struct {
				FullName string `json:"full_name"`
			} `json:"repo"`
		} `json:"head"`
	} `json:"pull_request"`
}

// ofPullRequest names the commit that was pushed: GITHUB_SHA is a merge that nobody pushed, or the base branch.
func (c Commit) ofPullRequest(env Env, needsSHA bool) (Commit, error) {
	event, err := readGitHubEvent(env.get("GITHUB_EVENT_PATH"))
	if needsSHA && err != nil {
		return Commit{}, cli.WrongUse("the commit of the pull request is not known: %w; give it with --commit", err)
	}
	head := event.PullRequest.Head
	c.SHA, c.Branch = head.SHA, cmp.Or(env.get("GITHUB_HEAD_REF"), head.Ref)
	if from := head.Repo.FullName; from != "" && !strings.EqualFold(from, c.Project) {
		c.Branch = from + ":" + c.Branch // a fork's may be called like our own, whose baseline it must not become
	}
	return c, nil
}

// readGitHubEvent reads the file that GITHUB_EVENT_PATH names.
func readGitHubEvent(path string) (githubEvent, error) {
	var event githubEvent
	if path == "" {
		return event, errors.New("GITHUB_EVENT_PATH is not set")
	}
	file, err := os.Open(path)
	if err != nil {
		return event, fmt.Errorf("reading GITHUB_EVENT_PATH: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := json.NewDecoder(io.LimitReader(file, webhooks.MaxBody)).Decode(&event); err != nil {
		return event, fmt.Errorf("reading GITHUB_EVENT_PATH: %w", err)
	}
	if event.PullRequest.Head.SHA == "" {
		return event, errors.New("GITHUB_EVENT_PATH has no pull_request.head.sha")
	}
	return event, nil
}

// gitTimeout bounds a question to git that it answers from one file.
const gitTimeout = 10 * time.Second

// headCommit is the commit that is checked out in the working directory. The directory may belong to another user, as
// in most containers; the question runs nothing of it.
func headCommit(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", cli.WrongUse("the commit is not known, and git is not installed to ask: give it with --commit")
	case err != nil:
		return "", cli.WrongUse("the commit is not known: run this inside the git repository, or give it with --commit")
	}
	return strings.TrimSpace(string(out)), nil
}
