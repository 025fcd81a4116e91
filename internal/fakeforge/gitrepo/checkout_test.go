package gitrepo_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	clone := func(args ...string) string {
		dir := filepath.Join(t.TempDir(), "copy")
		forgetest.Git(t, sample.Dir, append(append([]string{"clone", "--quiet"}, args...), "file://"+sample.Dir, dir)...)
		return dir
	}
	detached := clone()
	forgetest.Git(t, detached, "checkout", "--quiet", "--detach", sample.Before)
	lost := clone()
	forgetest.Git(t, lost, "checkout", "--quiet", "--detach")
	forgetest.Git(t, lost, "branch", "--quiet", "-D", "main")
	tests := map[string]struct {
		path string
		want gitrepo.Checkout
	}{
		"work tree":       {sample.Dir, sample},
		"folder below it": {filepath.Join(sample.Dir, "internal"), sample},
		"bare":            {clone("--bare"), gitrepo.Checkout{Branch: "main", Head: sample.Head, Before: sample.Before}},
		"detached":        {detached, gitrepo.Checkout{Branch: "main", Head: sample.Before}},
		"no branch":       {lost, gitrepo.Checkout{Branch: "HEAD", Head: sample.Head, Before: sample.Before}},
		"one commit":      {clone("--depth=1"), gitrepo.Checkout{Branch: "main", Head: sample.Head}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := gitrepo.Open(t.Context(), test.path)
			if err != nil {
				t.Fatal(err)
			}
			if test.want.Dir == "" {
				test.want.Dir = test.path
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("checkout (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	forgetest.Git(t, empty, "init", "--quiet")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		t.TempDir():                          "is not a git repository",
		filepath.Join(t.TempDir(), "absent"): "is not a git repository",
		file:                                 "is not a git repository",
		empty:                                "has no commit yet",
	} {
		_, err := gitrepo.Open(t.Context(), path)
		if !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s) = %v, want that it %s", path, err, want)
		}
	}
}

// A few objects stand for a billion paths.
func TestOpenRefusesTreeBombs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	forgetest.Git(t, dir, "init", "--quiet")
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	object := "100644 blob " + forgetest.Git(t, dir, "hash-object", "-w", "x")
	for range 9 {
		var tree strings.Builder
		for name := range 10 {
			fmt.Fprintf(&tree, "%s\t%d\n", object, name)
		}
		object = "040000 tree " + forgetest.GitInput(t, dir, tree.String(), "mktree")
	}
	bomb := forgetest.Git(t, dir, "commit-tree", "-m", "bomb", strings.Fields(object)[2])
	forgetest.Git(t, dir, "update-ref", "HEAD", bomb)
	if _, err := gitrepo.Open(t.Context(), dir); !errors.Is(err, core.ErrInvalid) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("err = %v, want that the repository is too large", err)
	}
}
