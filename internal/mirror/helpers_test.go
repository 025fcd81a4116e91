package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
)

// forge is a git server that counts the packs it sends.
type forge struct {
	*gittest.Server
	sent atomic.Int64
}

func newForge(t *testing.T) *forge {
	t.Helper()
	f := new(forge)
	f.Server = gittest.NewServer(t, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			f.sent.Add(1)
		}
		return false
	})
	return f
}

// commit adds a commit to a project, which is made with the first one. An empty text removes the file.
func (f *forge) commit(t *testing.T, project string, content gittest.Files) string {
	t.Helper()
	dir := f.dir(project)
	if _, err := os.Stat(dir); err != nil {
		f.Commit(t, project, gittest.Files{"README": "read me\n"})
		gittest.Git(t, dir, "config", "uploadpack.allowFilter", "true")
	}
	kept := maps.Clone(content)
	maps.DeleteFunc(kept, func(name, text string) bool { return text == "" && os.Remove(filepath.Join(dir, name)) == nil })
	gittest.Write(t, dir, kept)
	return f.Amend(t, project, "more")
}

func (f *forge) dir(project string) string { return filepath.Join(f.Dir, project+".git") }

func (f *forge) project(name string) Project {
	return Project{Key: "test/" + name, Remote: f.Remote(name)}
}

func newCache(t *testing.T) *Cache {
	t.Helper()
	return New(Config{Dir: filepath.Join(t.TempDir(), "mirrors")})
}

// contents reads all files of a commit.
func contents(ctx context.Context, m *Mirror, sha string) (gittest.Files, error) {
	ids := map[string]string{}
	if _, err := m.Files(ctx, sha, func(f File) { ids[f.Path] = f.Blob }); err != nil {
		return nil, err
	}
	if err := m.Ensure(ctx, slices.Collect(maps.Values(ids))); err != nil {
		return nil, err
	}
	objects, err := m.Objects(ctx)
	if err != nil {
		return nil, err
	}
	defer objects.Close()
	got := gittest.Files{}
	for path, id := range ids {
		data, _, err := objects.Blob(ctx, id, 64<<20)
		if errors.Is(err, ErrMissing) {
			err = Damaged{err}
		}
		if err != nil {
			return nil, err
		}
		got[path] = string(data)
	}
	return got, nil
}

// read returns all files of a commit by way of a mirror.
func read(t *testing.T, c *Cache, p Project, sha string) gittest.Files {
	t.Helper()
	got, err := tryRead(t.Context(), c, p, sha)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func tryRead(ctx context.Context, c *Cache, p Project, sha string) (got gittest.Files, err error) {
	err = c.Use(ctx, p, sha, func(ctx context.Context, m *Mirror) (err error) {
		got, err = contents(ctx, m, sha)
		return err
	})
	return got, err
}

// between is the history that a mirror tells of, by path and commit.
func between(t *testing.T, c *Cache, p Project, base, head string, most int) (h History) {
	t.Helper()
	err := c.Use(t.Context(), p, head, func(ctx context.Context, m *Mirror) error {
		if known, err := m.Reach(ctx, base); err != nil || !known {
			return fmt.Errorf("no %s: %w", base, err)
		}
		var err error
		h, err = m.Between(ctx, Range{Heads: []string{head}, Bases: []string{base}}, most)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// paths are the paths of changes, sorted.
func paths(h History) (all []string) {
	for _, change := range h.Changes {
		all = append(all, change.Path)
	}
	slices.Sort(all)
	return all
}

// gitDir is where the only mirror of a cache is.
func gitDir(t *testing.T, c *Cache) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.Dir, "*", "git"))
	if err != nil || len(found) != 1 {
		t.Fatalf("want one mirror, got %v, %v", found, err)
	}
	return found[0]
}

// packs are the files that hold a mirror's objects.
func packs(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	if err != nil || len(found) == 0 {
		t.Fatalf("want packs, got %v", err)
	}
	return found
}

// left are the files below a directory whose names contain a word.
func left(dir string, words ...string) (found []string) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		for _, word := range words {
			if err == nil && strings.Contains(entry.Name(), word) {
				found = append(found, path)
			}
		}
		return nil
	})
	return found
}
