package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

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
