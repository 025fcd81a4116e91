package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/runner/git"
	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

func TestBetweenListsWhatCommitsBring(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p, dir := f.project("p"), f.dir("p")
	base := f.commit(t, "p", gittest.Files{"old": "1\n", "gone": "1\n"})
	added := f.commit(t, "p", gittest.Files{"secret": "s3cret\n", "copy/secret": "s3cret\n"})
	f.commit(t, "p", gittest.Files{"secret": "", "gone": ""})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f.commit(t, "p", gittest.Files{"secret": "s3cret\n"}) // again, which is nothing new
	head := f.commit(t, "p", gittest.Files{"old": "2\n"})
	h := between(t, c, p, base, head, 100)
	if diff := cmp.Diff([]string{"copy/secret", "link", "old", "secret"}, paths(h)); diff != "" || len(h.Commits) != 4 || h.Beyond != 0 || h.Open {
		t.Errorf("changes (-want +got):\n%s%+v", diff, h)
	}
	if first := h.Changes[0]; first.Commit != added || first.Path != "copy/secret" || h.Commits[0] != added || h.Commits[3] != head {
		t.Errorf("want the commit that brought the secret first, got %+v", h)
	}
	if h := between(t, c, p, head, head, 100); len(h.Commits) != 0 || len(h.Changes) != 0 {
		t.Errorf("want nothing between a commit and itself, got %+v", h)
	}
	bounded := between(t, c, p, base, head, 2)
	if diff := cmp.Diff([]string{"link", "old", "secret"}, paths(bounded)); diff != "" || bounded.Beyond != 2 || len(bounded.Commits) != 2 {
		t.Errorf("changes of two commits (-want +got):\n%s%+v", diff, bounded)
	}
}

// What stands in a merge alone is found; what comes from its branches is found in their commits.
func TestBetweenLooksIntoMerges(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p, dir := f.project("p"), f.dir("p")
	base := f.commit(t, "p", gittest.Files{"both": "1\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "-b", "side")
	side := f.commit(t, "p", gittest.Files{"side": "1\n", "both": "side\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "main")
	f.commit(t, "p", gittest.Files{"main": "1\n"})
	gittest.Git(t, dir, "merge", "--quiet", "--no-ff", "--no-commit", "side")
	merge := f.commit(t, "p", gittest.Files{"evil": "in the merge\n", "both": "both\n", "d/evil": "too\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "--orphan", "other")
	gittest.Git(t, dir, "rm", "-rfq", ".")
	root := f.commit(t, "p", gittest.Files{"root": "1\n"})

	h := between(t, c, p, base, merge, 100)
	if diff := cmp.Diff([]string{"both", "both", "d/evil", "evil", "main", "side"}, paths(h)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	for _, change := range h.Changes {
		if strings.HasSuffix(change.Path, "evil") && change.Commit != merge || change.Path == "side" && change.Commit != side {
			t.Errorf("want it in its commit, got %+v", change)
		}
	}
	if h := between(t, c, p, base, root, 100); !slices.Equal(paths(h), []string{"root"}) {
		t.Errorf("want the first commit's files, got %+v", h)
	}
}

// A push that replaces commits brings those that the old ones did not have.
func TestBetweenAfterAForcePush(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	p := f.project("p")
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	lost := f.commit(t, "p", gittest.Files{"lost": "1\n"})
	read(t, c, p, lost)
	gittest.Git(t, f.dir("p"), "reset", "--quiet", "--hard", base)
	f.commit(t, "p", gittest.Files{"b": "1\n"})
	head := f.commit(t, "p", gittest.Files{"c": "1\n"})
	if h := between(t, c, p, lost, head, 100); !slices.Equal(paths(h), []string{"b", "c"}) || len(h.Commits) != 2 {
		t.Errorf("got %+v", h)
	}
	c2 := newCache(t) // in which nothing of the old commits is left, though the server still has them
	if h := between(t, c2, p, lost, head, 100); !slices.Equal(paths(h), []string{"b", "c"}) {
		t.Errorf("got %+v", h)
	}
	err := c.Use(t.Context(), p, head, func(ctx context.Context, m *Mirror) error {
		if known, err := m.Reach(ctx, strings.Repeat("a", 40)); known || err != nil {
			t.Errorf("want a commit that there is not unknown, got %t, %v", known, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// History that was not fetched is told of.
func TestBetweenTellsWhereHistoryEnds(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	c := newCache(t)
	c.Depth = 3
	p, dir := f.project("p"), f.dir("p")
	f.commit(t, "p", gittest.Files{"a": "1\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "-b", "side")
	side := f.commit(t, "p", gittest.Files{"side": "1\n"})
	gittest.Git(t, dir, "checkout", "--quiet", "main")
	head := ""
	for n := range 6 {
		head = f.commit(t, "p", gittest.Files{fmt.Sprint(n): "1\n"})
	}
	h := between(t, c, p, side, head, 3)
	if !h.Open || h.Beyond == 0 || len(h.Commits) != 3 || !slices.Equal(paths(h), []string{"3", "4", "5"}) {
		t.Errorf("want three commits and word of more, got %+v", h)
	}
}

// A few objects that name more files than a commit may have are refused, also where all their directories are empty.
func TestFilesAreBounded(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	c := newCache(t)
	c.MaxPaths = 1000
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	dir := f.dir("p")
	for name, leaf := range map[string]string{"files": gittest.Git(t, dir, "rev-parse", "HEAD:"), "nothing": ""} {
		tree := leaf
		for range 5 {
			var list strings.Builder
			for n := range 10 {
				if tree != "" {
					fmt.Fprintf(&list, "040000 tree %s\td%d\n", tree, n)
				}
			}
			input := filepath.Join(t.TempDir(), "list")
			if err := os.WriteFile(input, []byte(list.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			tree = gittest.Git(t, dir, "-c", "alias.make=!git mktree <"+input, "make")
		}
		bomb := gittest.Git(t, dir, "commit-tree", "-p", base, "-m", "bomb", tree)
		err := c.Use(t.Context(), f.project("p"), bomb, func(ctx context.Context, m *Mirror) error {
			if _, err := m.Between(ctx, Range{Heads: []string{bomb}, Bases: []string{base}}, 10); !errors.As(err, new(sandbox.LimitExceeded)) {
				t.Errorf("%s: want what the commit brings refused, got %v", name, err)
			}
			_, err := m.Files(ctx, bomb, func(File) {})
			return err
		})
		if !errors.As(err, new(sandbox.LimitExceeded)) || !strings.Contains(err.Error(), "1,000 paths") {
			t.Errorf("%s: want the limit of paths, got %v", name, err)
		}
	}
}

// Commits that bring more paths together than one may have are listed as far as that goes, the newest first.
func TestBetweenBoundsWhatIsListed(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	c.MaxPaths = 50
	p := f.project("p")
	base := f.commit(t, "p", gittest.Files{"a": "1\n"})
	var commits []string
	for n := range 6 {
		files := gittest.Files{}
		for i := range 20 {
			files[fmt.Sprint(i)] = fmt.Sprintln(n, i)
		}
		commits = append(commits, f.commit(t, "p", files))
	}
	h := between(t, c, p, base, commits[5], 100)
	if !slices.Equal(h.Commits, commits[4:]) || len(h.Changes) != 40 || h.Beyond != 4 || h.Changes[0].Commit != commits[4] {
		t.Errorf("want the two newest commits and word of the others, got %d changes, %d beyond, of %q", len(h.Changes), h.Beyond, h.Commits)
	}
	if h := between(t, c, p, commits[3], commits[5], 100); len(h.Commits) != 2 || h.Beyond != 0 {
		t.Errorf("want all of two commits, got %d and %d beyond", len(h.Commits), h.Beyond)
	}
}

// A mirror compares two commits as a checkout does, whatever attributes they set.
func TestDiffIsThatOfACheckout(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	long := strings.Repeat("a line of some length\n", 50)
	base := f.commit(t, "p", gittest.Files{"a": "1\n2\n3\n", "old": long, "gone": "x\n", "bin": "\x00\x01", "src/b": "1\n"})
	head := f.commit(t, "p", gittest.Files{
		"a": "1\n2.5\n3\n4\n", "old": "", "new": "first\n" + long, "gone": "", "bin": "\x00\x02", ".gitattributes": "* -diff\n",
	})
	space := sandboxtest.Open(t)
	repo := git.Repo{Space: space, Remote: f.Remote("p")}
	if err := repo.Checkout(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	want, err := repo.Diff(t.Context(), base, head)
	if err != nil {
		t.Fatal(err)
	}
	var got *core.Changes
	err = c.Use(t.Context(), f.project("p"), head, func(ctx context.Context, m *Mirror) (err error) {
		if err := os.Remove(m.repo.Space.Temp); err != nil { // a killed process would leave what it writes there
			return err
		}
		got, err = m.Diff(ctx, base, head)
		return err
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" || len(want.Files) != 5 {
		t.Errorf("%v, changes of %d files (-checkout +mirror):\n%s", err, len(want.Files), diff)
	}
}
