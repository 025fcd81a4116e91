package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/scanhook/scanhook/webhooks"
)

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
func (c commitRef) ofPullRequest(env lookup, needsSHA bool) (commitRef, error) {
	event, err := readGitHubEvent(env.get("GITHUB_EVENT_PATH"))
	if needsSHA && err != nil {
		return commitRef{}, wrongUpload("the commit of the pull request is not known: %w; give it with --commit", err)
	}
	head := event.PullRequest.Head
	c.sha, c.branch = head.SHA, cmp.Or(env.get("GITHUB_HEAD_REF"), head.Ref)
	if from := head.Repo.FullName; from != "" && !strings.EqualFold(from, c.project) {
		c.branch = from + ":" + c.branch // a fork's may be called like our own, whose baseline it must not become
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
