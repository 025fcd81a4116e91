package gitrepo

import (
	"context"
	"fmt"

	"github.com/scanhook/scanhook/core"
)

// Checkout is a git repository on disk with the push that would show its last commit.
type Checkout struct {
	Dir    string // absolute
	Branch string // short; HEAD when no branch has the commit
	Head   string // full id of the commit at HEAD
	Before string // full id of its first parent, empty when it has none
}

// Open reads HEAD of the git repository around path, which it never changes. Detached heads, bare repositories and
// those with one commit are fine. Errors are core.ErrInvalid with a sentence for the person who gave the path.
func Open(ctx context.Context, path string) (Checkout, error) {
	dir, err := topOf(ctx, path)
	switch {
	case Failed(err):
		return Checkout{}, fmt.Errorf("%w: %s is not a git repository; give the path of one, or none to see the sample",
			core.ErrInvalid, path)
	case err != nil:
		return Checkout{}, fmt.Errorf("opening %s: %w", path, err)
	}
	head, err := Dir(dir).Output(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	switch {
	case Failed(err):
		return Checkout{}, fmt.Errorf("%w: %s has no commit yet; make one with git commit", core.ErrInvalid, path)
	case err != nil:
		return Checkout{}, fmt.Errorf("opening %s: %w", path, err)
	}
	c := Checkout{Dir: dir, Head: head}
	if c.Before, err = Dir(dir).Output(ctx, "rev-parse", "--verify", "--quiet", "HEAD^"); err != nil && !Failed(err) {
		return Checkout{}, fmt.Errorf("opening %s: %w", path, err)
	}
	if c.Branch, err = branchOf(ctx, dir, head); err != nil {
		return Checkout{}, fmt.Errorf("opening %s: %w", path, err)
	}
	return c, c.checkSize(ctx)
}

// topOf is the root of the work tree, or the repository itself where it is bare.
func topOf(ctx context.Context, path string) (string, error) {
	bare, err := Dir(path).Output(ctx, "rev-parse", "--is-bare-repository")
	if err != nil {
		return "", err
	}
	if bare == "true" {
		return Dir(path).Output(ctx, "rev-parse", "--absolute-git-dir")
	}
	return Dir(path).Output(ctx, "rev-parse", "--show-toplevel")
}

// branchOf is the branch that is checked out, else the first that has the commit, else HEAD, which is git's own name.
func branchOf(ctx context.Context, dir, head string) (string, error) {
	branch, err := Dir(dir).Output(ctx, "symbolic-ref", "--quiet", "--short", "HEAD")
	if err == nil || !Failed(err) {
		return branch, err
	}
	branch, err = Dir(dir).BranchWith(ctx, head)
	if branch == "" {
		branch = "HEAD"
	}
	return branch, err
}

// checkSize lists the files of the last two commits, which fails where there are too many. git compares two trees in
// memory, so a tree of a few objects that stands for billions of paths must be noticed before.
func (c Checkout) checkSize(ctx context.Context) error {
	for _, sha := range []string{c.Head, c.Before} {
		if sha == "" {
			continue
		}
		if _, err := Dir(c.Dir).Output(ctx, "ls-tree", "-r", "-z", "--name-only", sha); err != nil {
			return fmt.Errorf("listing the files of commit %s in %s: %w", core.ShortSHA(sha), c.Dir, err)
		}
	}
	return nil
}
