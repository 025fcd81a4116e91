package ghapi

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/scanhook/scanhook/platforms"
)

// maxEventFile bounds the event file of a workflow, in bytes.
const maxEventFile = 25 << 20

// WorkflowCommit reads the variables of GitHub Actions, which Gitea Actions have as well, see
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables. It is false outside a workflow.
func WorkflowCommit(getenv func(string) string) (commit platforms.CICommit, found bool) {
	commit.Project, commit.SHA = getenv("GITHUB_REPOSITORY"), getenv("GITHUB_SHA")
	if commit.ProjectID = getenv("GITHUB_REPOSITORY_ID"); commit.ProjectID == "" && commit.Project != "" { // older runners
		event, _ := readEvent(getenv("GITHUB_EVENT_PATH"))
		commit.ProjectID = event.Repository.ID.ID()
	}
	switch {
	case commit.Project == "":
		return commit, false
	case strings.HasPrefix(getenv("GITHUB_EVENT_NAME"), "pull_request"):
		return ofPullRequest(commit, getenv), true
	case getenv("GITHUB_REF_TYPE") != "tag":
		commit.Branch = getenv("GITHUB_REF_NAME")
	}
	return commit, true
}

// ofPullRequest names the commit that was pushed: GITHUB_SHA is a merge that nobody pushed, or the base branch.
func ofPullRequest(commit platforms.CICommit, getenv func(string) string) platforms.CICommit {
	event, err := readEvent(getenv("GITHUB_EVENT_PATH"))
	if err == nil && event.PullRequest.Head.SHA == "" {
		err = errors.New("GITHUB_EVENT_PATH has no pull_request.head.sha")
	}
	if err != nil {
		commit.Err = fmt.Errorf("the commit of the pull request is not known: %w", err)
	}
	head := event.PullRequest.Head
	commit.SHA, commit.Branch = head.SHA, cmp.Or(getenv("GITHUB_HEAD_REF"), head.Ref)
	if from := head.Repo.FullName; from != "" && !strings.EqualFold(from, commit.Project) {
		commit.Branch = from + ":" + commit.Branch // must not become the baseline of a branch of ours with that name
	}
	return commit
}

// workflowEvent is the part of a workflow's event that describes its repository and a pull request.
type workflowEvent struct {
	Repository struct {
		ID platforms.Number `json:"id"`
	} `json:"repository"`
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

// readEvent reads the file that GITHUB_EVENT_PATH names.
func readEvent(path string) (workflowEvent, error) {
	var event workflowEvent
	if path == "" {
		return event, errors.New("GITHUB_EVENT_PATH is not set")
	}
	file, err := os.Open(path)
	if err != nil {
		return event, fmt.Errorf("reading GITHUB_EVENT_PATH: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := json.NewDecoder(io.LimitReader(file, maxEventFile)).Decode(&event); err != nil {
		return event, fmt.Errorf("reading GITHUB_EVENT_PATH: %w", err)
	}
	return event, nil
}
