package gitea

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// MergeBase finds the commit where sha left the branch. Gitea does not tell it of a branch that others were merged into:
// platforms.ErrUnknownCommit.
func (p *Platform) MergeBase(ctx context.Context, project, branch, sha string) (string, error) {
	base, err := p.compare(ctx, project, branch, sha)
	return base, ghapi.Wrap(err, "asking %s for the merge base of %s", p.Name, project)
}

// comparison is what Gitea answers about two commits: all commits that only the second has, and no merge base.
type comparison struct {
	Total   *int `json:"total_commits"`
	Commits []struct {
		SHA     platforms.Text `json:"sha"`
		Parents []struct {
			SHA platforms.Text `json:"sha"`
		} `json:"parents"`
	} `json:"commits"`
}

func (p *Platform) compare(ctx context.Context, project, branch, sha string) (string, error) {
	client, owner, name, err := p.OpenBranch(ctx, project, branch, sha)
	if err != nil {
		return "", err
	}
	path := fmt.Sprintf("repos/%s/%s/compare/%s...%s?files=false&verification=false",
		owner, name, url.PathEscape(branch), sha)
	var found comparison
	answer, err := p.Call(ctx, client, http.MethodGet, path, nil, &found)
	err = platforms.Readable(p.Classify(answer, err), err)
	switch {
	case err != nil:
		return "", err
	case found.Total == nil:
		return "", fmt.Errorf("%w: it does not tell how many commits there are", platforms.ErrUnreadable)
	case len(found.Commits) == 0:
		return sha, nil
	}
	return found.base()
}

// base is the only commit below all others. A branch that others were merged into stands on several commits, one of
// which is the merge base.
func (c comparison) base() (string, error) {
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
	for base := range below {
		if len(below) == 1 && core.IsCommitSHA(base) {
			return base, nil
		}
	}
	return "", fmt.Errorf("%w: the answer names no merge base", platforms.ErrUnknownCommit)
}
