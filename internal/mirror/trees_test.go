package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
)

// tree stores a directory of what lines of git's mktree say.
func (f *forge) tree(t *testing.T, project string, lines ...string) string {
	t.Helper()
	gittest.Write(t, f.dir(project), gittest.Files{".git/entries": strings.Join(lines, "\n") + "\n"})
	return gittest.Git(t, f.dir(project), "-c", "alias.maketree=!git mktree <.git/entries", "maketree")
}

// What a commit has in common with the one before is no path of it, but large directories that are compared again and again are
// refused all the same. They do not hold up the commits after them.
func TestComparisonsAreBounded(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	c.MaxPaths = 1000
	p, dir := f.project("p"), f.dir("p")
	blob := gittest.Git(t, dir, "rev-parse", f.commit(t, "p", gittest.Files{"a": "1\n"})+":a")
	var files []string
	for n := range 4000 {
		files = append(files, fmt.Sprintf("100644 blob %s\t%04d", blob, n))
	}
	root := func(below string) string {
		var dirs []string
		for n := range 100 {
			dirs = append(dirs, fmt.Sprintf("040000 tree %s\td%02d", below, n))
		}
		return f.tree(t, "p", dirs...)
	}
	without, with := root(f.tree(t, "p", files[1:]...)), root(f.tree(t, "p", files...))
	base := gittest.Git(t, dir, "commit-tree", "-m", "before", without)
	large := gittest.Git(t, dir, "commit-tree", "-m", "large", "-p", base, with)
	small := gittest.Git(t, dir, "commit-tree", "-m", "small", "-p", large, f.tree(t, "p", files[0]))
	if h := between(t, c, p, base, small, 10); len(h.Commits) != 1 || h.Commits[0] != small || h.Beyond != 1 {
		t.Errorf("want the last commit and word of the one before, got %+v", h)
	}
	err := c.Use(t.Context(), p, large, func(ctx context.Context, m *Mirror) error {
		_, err := m.Between(ctx, Range{Heads: []string{large}, Bases: []string{base}}, 10)
		return err
	})
	if !errors.As(err, new(sandbox.LimitExceeded)) || !strings.Contains(err.Error(), "too large to be compared") {
		t.Errorf("want a limit, got %v", err)
	}
}

// A walk ends with its job, also among directories that are in memory.
func TestWalksEndWithTheirJob(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	empty, root, raw := strings.Repeat("0", 40), strings.Repeat("1", 40), strings.Repeat("\x00", 20)
	m := &Mirror{trees: map[string][]byte{empty: {}, root: []byte("40000 a\x00" + raw + "40000 b\x00" + raw)}}
	seen := 0
	err := m.walk(func(string, item) {
		seen++
		cancel()
	}).through(ctx, "", root, nil)
	if !errors.Is(err, context.Canceled) || seen != 1 {
		t.Errorf("want the walk to end, got %v after %d entries", err, seen)
	}
}

// A merge may name one parent thousands of times, or thousands of them: they are read once, and only some of them are compared.
func TestParentsAreBounded(t *testing.T) {
	t.Parallel()
	id := func(n int) string { return fmt.Sprintf("%040x", n) }
	text := "tree " + id(1) + "\n" + strings.Repeat("parent "+id(2)+"\n", 20_000) + "parent " + id(3) + "\n\nmessage"
	c, err := parseCommit(id(0), []byte(text))
	if err != nil || len(c.parents) != 2 || c.parents[0] != id(2) || c.parents[1] != id(3) {
		t.Fatalf("want each parent once, got %v, %d of them", err, len(c.parents))
	}
	a := &ancestry{met: map[string]*commit{id(2): {tree: id(1)}, id(3): {tree: id(1)}}}
	if trees := a.treesBefore(c); len(trees) != 1 || trees[0] != id(1) {
		t.Errorf("want their directory once, got %q", trees)
	}
	for n := range 1000 {
		c.parents = append(c.parents, id(10+n))
		a.met[id(10+n)] = &commit{tree: id(10 + n)}
	}
	if trees := a.treesBefore(c); len(trees) != maxBeside {
		t.Errorf("want %d directories, got %d", maxBeside, len(trees))
	}
}

// Many directories in the place of one count as paths: each entry would remember them all.
func TestOthersInPlaceAreCounted(t *testing.T) {
	t.Parallel()
	m, others := &Mirror{trees: make(map[string][]byte)}, []string(nil)
	m.repo.MaxPaths = 100
	entries := func(n byte) (text []byte) {
		for i := range byte(10) {
			text = append(fmt.Appendf(text, "40000 %d\x00", i), slices.Repeat([]byte{n}, 20)...)
		}
		return text
	}
	for n := range byte(20) {
		others = append(others, strings.Repeat(fmt.Sprintf("%02x", n+2), 20))
		m.trees[others[n]] = entries(n + 2)
	}
	head := strings.Repeat("01", 20)
	m.trees[head] = entries(1)
	err := m.walk(func(string, item) {}).through(t.Context(), "", head, others)
	if !errors.As(err, new(sandbox.LimitExceeded)) || !strings.Contains(err.Error(), "more than 100 paths") {
		t.Errorf("want a limit, got %v", err)
	}
}
