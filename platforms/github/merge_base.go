package github

import (
	"context"
	"fmt"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// pastFiles asks for the second page of a comparison. Every page has the merge base, and the first one also lists the
// changed files with their patches, which can be megabytes.
var pastFiles = gogithub.ListOptions{Page: 2, PerPage: 1}

// MergeBase finds the commit where sha left the branch.
func (p *Platform) MergeBase(ctx context.Context, project, branch, sha string) (string, error) {
	base, err := p.compare(ctx, project, branch, sha)
	return base, ghapi.Wrap(err, "asking %s for the merge base of %s", p.Name, project)
}

func (p *Platform) compare(ctx context.Context, project, branch, sha string) (string, error) {
	client, owner, name, err := p.OpenBranch(ctx, project, branch, sha)
	if err != nil {
		return "", err
	}
	options := pastFiles
	comparison, answer, err := client.Repositories.CompareCommits(ctx, owner, name, branch, sha, &options)
	if err := platforms.Readable(p.Classify(answer, err), err); err != nil {
		return "", err
	}
	base := comparison.GetMergeBaseCommit().GetSHA()
	if !core.IsCommitSHA(base) {
		return "", fmt.Errorf("%w: the answer names no merge base", platforms.ErrUnknownCommit)
	}
	return base, nil
}
