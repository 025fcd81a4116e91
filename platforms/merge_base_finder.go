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

// FindMergeBase asks a scan's platform where its branch left the default branch, has the answer kept and returns the scan
// with it. Nothing is asked on the default branch itself, when the answer is known already, and on platforms that are
// no MergeBaseFinder.
func (s Set) FindMergeBase(
	ctx context.Context, scan core.Scan, keep func(context.Context, core.Scan, string) error,
) (core.Scan, error) {
	finder, able := s[scan.SourcePlatform].(MergeBaseFinder)
	if !able || scan.MergeBaseSHA != "" || scan.DefaultBranch == "" || scan.OnDefaultBranch() {
		return scan, nil
	}
	sha, err := finder.MergeBase(ctx, scan.ProjectName, scan.DefaultBranch, scan.CommitSHA)
	if err != nil {
		return scan, err
	}
	if !core.IsCommitSHA(sha) {
		return scan, errors.New("the answer names no commit")
	}
	if err := keep(ctx, scan, sha); err != nil {
		return scan, err
	}
	scan.MergeBaseSHA = sha
	return scan, nil
}
