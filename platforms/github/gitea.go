package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	giteaPageSize = 50 // as much as a Gitea gives by default
	maxGiteaPages = 10
)

// isGitea tells Gitea and Forgejo by the address of their API.
func (p *Platform) isGitea() bool { return strings.HasSuffix(p.api.Path, "/api/v1") }

// methodKeeper has redirects followed with the method of the first call: for a project that was renamed, Gitea answers
// 301 where 308 is meant.
type methodKeeper struct{ http.RoundTripper }

func (k methodKeeper) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := k.RoundTripper.RoundTrip(request)
	if err == nil && response.StatusCode == http.StatusMovedPermanently && request.Method != http.MethodGet {
		response.StatusCode = http.StatusPermanentRedirect
	}
	return response, err
}

// giteaHooks are the webhooks at a path of the API of Gitea or Forgejo. It has GitHub's addresses and differs in the
// rest: its pages, a type for each webhook, no ping, no deliveries, and a PATCH that resets what it is not told and
// leaves the secret as it is.
type giteaHooks struct {
	client *gogithub.Client
	path   string
}

// giteaHook is a webhook with what GitHub's have not.
type giteaHook struct {
	Type                string `json:"type"`
	BranchFilter        string `json:"branch_filter,omitempty"`
	AuthorizationHeader string `json:"authorization_header,omitempty"`
	*gogithub.Hook
}

func (h giteaHooks) calls() hookCalls {
	return hookCalls{
		list: h.list,
		create: func(ctx context.Context, wanted *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error) {
			answer, err := h.call(ctx, http.MethodPost, h.path, giteaHook{Type: "gitea", Hook: wanted}, nil)
			return nil, answer, err
		},
		edit: h.replace,
	}
}

func (h giteaHooks) at(id int64) string { return h.path + "/" + strconv.FormatInt(id, 10) }

func (h giteaHooks) call(ctx context.Context, method, path string, question, answer any) (*gogithub.Response, error) {
	request, err := h.client.NewRequest(method, path, question)
	if err != nil {
		return nil, err
	}
	return h.client.Do(ctx, request, answer)
}

func (h giteaHooks) list(ctx context.Context) (all []*gogithub.Hook, answer *gogithub.Response, err error) {
	for page := 1; page <= maxGiteaPages; page++ {
		var found []*gogithub.Hook
		path := fmt.Sprintf("%s?limit=%d&page=%d", h.path, giteaPageSize, page)
		if answer, err = h.call(ctx, http.MethodGet, path, nil, &found); err != nil {
			return nil, answer, err
		}
		all = append(all, found...)
		total, err := strconv.Atoi(answer.Header.Get("X-Total-Count"))
		if err != nil || len(found) == 0 || len(all) >= total {
			break
		}
	}
	return all, answer, nil
}

// replace puts a new webhook in the place of one, whose secret cannot be changed. For a moment both are there: a push
// that is announced twice is scanned once.
func (h giteaHooks) replace(ctx context.Context, id int64, wanted *gogithub.Hook) (*gogithub.Response, error) {
	var hook giteaHook
	if answer, err := h.call(ctx, http.MethodGet, h.at(id), nil, &hook); err != nil {
		return answer, err
	}
	hook.Hook = wanted
	if answer, err := h.call(ctx, http.MethodPost, h.path, hook, nil); err != nil {
		return answer, err
	}
	return h.call(ctx, http.MethodDelete, h.at(id), nil, nil)
}

// giteaComparison is what Gitea says of two commits: all that the second has more, and no merge base.
type giteaComparison struct {
	Commits []struct {
		SHA     platforms.Text `json:"sha"`
		Parents []struct {
			SHA platforms.Text `json:"sha"`
		} `json:"parents"`
	} `json:"commits"`
}

func (p *Platform) compareOnGitea(
	ctx context.Context, client *gogithub.Client, owner, repository, branch, sha string) (string, error) {
	path := fmt.Sprintf("repos/%s/%s/compare/%s...%s?files=false&verification=false",
		owner, repository, url.PathEscape(branch), sha)
	request, err := client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	var comparison giteaComparison
	answer, err := client.Do(ctx, request, &comparison)
	if err := p.classify(answer, err); err != nil {
		return "", err
	}
	if len(comparison.Commits) == 0 && err == nil {
		return sha, nil
	}
	return comparison.foot()
}

// foot is the only commit that all the others stand on. A branch that others were merged into stands on several, one of
// which is the merge base.
func (c giteaComparison) foot() (string, error) {
	listed, below := map[string]bool{}, map[string]bool{}
	for _, commit := range c.Commits {
		listed[string(commit.SHA)] = true
	}
	for _, commit := range c.Commits {
		for _, parent := range commit.Parents {
			if !listed[string(parent.SHA)] {
				below[string(parent.SHA)] = true
			}
		}
	}
	for foot := range below {
		if len(below) == 1 && core.IsCommitSHA(foot) {
			return foot, nil
		}
	}
	return "", fmt.Errorf("%w: the answer names no merge base", platforms.ErrUnknownCommit)
}
