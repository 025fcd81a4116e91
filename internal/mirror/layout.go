package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

const (
	layoutTimeout = 10 * time.Minute
	maxChecked    = 64 << 20 // bytes of a file that is read to tell a damaged mirror from a commit that cannot be laid out
)

// LayOut lays the commit that the mirror was brought up to date for out in the empty source directory of a workspace, as files
// for programs: exactly as they were pushed, links as plain files, without submodules and LFS objects. Beside them is a
// repository of that one commit, which reads its objects from the mirror: it is whole only as long as the read of Use runs.
//
// Errors are those of Ensure, sandbox.LimitExceeded for more than fits into the workspace, and what git says of a commit that
// cannot be laid out.
func (m *Mirror) LayOut(ctx context.Context, space sandbox.Workspace) error {
	var blobs []string
	if _, err := m.Files(ctx, m.head, func(f File) { blobs = append(blobs, f.Blob) }); err != nil {
		return err
	}
	if err := m.Ensure(ctx, blobs); err != nil {
		return err
	}
	if err := empty(space.Source); err != nil {
		return fmt.Errorf("laying out files: %w", err)
	}
	repo := git.Repo{Space: space, MaxPaths: m.repo.MaxPaths}
	bounded, cancel := space.Bound(ctx, layoutTimeout, fmt.Errorf("the commit could not be laid out within %s", layoutTimeout))
	defer cancel(nil)
	err := repo.LayOut(bounded, m.head, m.ObjectsDir())
	if err == nil || bounded.Err() != nil {
		return err
	}
	if broken := m.check(ctx, blobs); errors.As(broken, new(Damaged)) {
		return broken
	}
	return err
}

// ObjectsDir is where git keeps the objects of the mirror.
func (m *Mirror) ObjectsDir() string { return filepath.Join(m.repo.Space.Source, "objects") }

// empty removes what an earlier try has laid out.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
	return err
}

// check reads files of which git could not make use.
func (m *Mirror) check(ctx context.Context, blobs []string) error {
	objects, err := m.reader(ctx)
	if err != nil {
		return err
	}
	for _, id := range blobs {
		_, _, err := objects.Blob(ctx, id, maxChecked)
		if errors.Is(err, ErrMissing) {
			err = Damaged{err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
