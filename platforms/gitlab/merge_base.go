package gitlab

import (
	"context"
	"fmt"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

var _ platforms.MergeBaseFinder = (*Platform)(nil)

// MergeBase finds the commit where sha left the branch; platforms.ErrUnknownCommit where they have nothing in common.
func (p *Platform) MergeBase(ctx context.Context, project, branch, sha string) (string, error) {
	if p.token == "" {
		return "", fmt.Errorf("asking %s for a merge base: %w", p.name, platforms.ErrNoToken)
	}
	if platforms.CheckProject(project) != nil || branch == "" || !core.IsCommitSHA(sha) {
		return "", fmt.Errorf("%w: no project, no branch or no commit", platforms.ErrRefused)
	}
	options := gogitlab.MergeBaseOptions{Ref: &[]string{branch, sha}}
	commit, answer, err := p.api.Repositories.MergeBase(project, &options, gogitlab.WithContext(ctx))
	if err := p.classify(answer, err); err != nil {
		return "", fmt.Errorf("asking %s for the merge base of %s: %w", p.name, project, err)
	}
	if commit == nil || !core.IsCommitSHA(commit.ID) {
		return "", fmt.Errorf("%w: the answer names no merge base", platforms.ErrUnknownCommit)
	}
	return commit.ID, nil
}
