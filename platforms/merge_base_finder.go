package platforms

import (
	"context"
	"errors"

	"github.com/scanhook/scanhook/core"
)

// MergeBaseFinder is a Platform that knows the history of its projects, which a shallow checkout does not.
type MergeBaseFinder interface {
	// MergeBase finds the commit where sha left the branch. Errors are those of this package, or worth another try.
	MergeBase(ctx context.Context, project, branch, sha string) (string, error)
}

// MergeBase asks a scan's platform where its branch left the default branch. It is empty where that is not to be
// asked: on the default branch itself, when the answer is known already, and on platforms that are no MergeBaseFinder.
func (s Set) MergeBase(ctx context.Context, scan core.Scan) (string, error) {
	finder, able := s[scan.SourcePlatform].(MergeBaseFinder)
	if !able || scan.MergeBaseSHA != "" || scan.DefaultBranch == "" || scan.OnDefaultBranch() {
		return "", nil
	}
	sha, err := finder.MergeBase(ctx, scan.ProjectName, scan.DefaultBranch, scan.CommitSHA)
	if err == nil && !core.IsCommitSHA(sha) {
		return "", errors.New("the answer names no commit")
	}
	return sha, err
}
