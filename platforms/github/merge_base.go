package github

import (
	"context"
	"fmt"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

var _ platforms.MergeBaseFinder = (*Platform)(nil)

// pastFiles is the second page of a comparison: the first one lists the changed files with their patches, which may be
// megabytes, and every page has the merge base.
var pastFiles = gogithub.ListOptions{Page: 2, PerPage: 1}

// MergeBase finds the commit where sha left the branch. Gitea and Forgejo do not tell it of a branch that others were
// merged into: platforms.ErrUnknownCommit.
func (p *Platform) MergeBase(ctx context.Context, project, branch, sha string) (string, error) {
	if p.posting == nil && p.app == nil {
		return "", fmt.Errorf("asking %s for a merge base: %w", p.name, platforms.ErrNoToken)
	}
	owner, repository, ok := strings.Cut(project, "/")
	ok = ok && !strings.Contains(repository, "/") && platforms.CheckProject(project) == nil
	if !ok || branch == "" || !core.IsCommitSHA(sha) {
		return "", fmt.Errorf("%w: no project of the form owner/repo, no branch or no commit", platforms.ErrRefused)
	}
	base, err := p.compare(ctx, owner, repository, branch, sha)
	if err != nil {
		return "", fmt.Errorf("asking %s for the merge base of %s: %w", p.name, project, err)
	}
	return base, nil
}

func (p *Platform) compare(ctx context.Context, owner, repository, branch, sha string) (string, error) {
	client, err := p.client(ctx, owner+"/"+repository)
	if err != nil {
		return "", p.classify(nil, err)
	}
	if p.isGitea() {
		return p.compareOnGitea(ctx, client, owner, repository, branch, sha)
	}
	options := pastFiles
	comparison, answer, err := client.Repositories.CompareCommits(ctx, owner, repository, branch, sha, &options)
	if err := p.classify(answer, err); err != nil {
		return "", err
	}
	base := comparison.GetMergeBaseCommit().GetSHA()
	if !core.IsCommitSHA(base) {
		return "", fmt.Errorf("%w: the answer names no merge base", platforms.ErrUnknownCommit)
	}
	return base, nil
}
