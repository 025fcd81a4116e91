package mirror

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/sandbox"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
)

// laidOut are the files below a directory, without those of git itself.
func laidOut(t *testing.T, dir string) gittest.Files {
	t.Helper()
	got := gittest.Files{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == ".git":
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			t.Errorf("%s is no plain file: %s", path, entry.Type())
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		got[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// layOut lays a commit out in a workspace.
func layOut(t *testing.T, c *Cache, p Project, sha string, space sandbox.Workspace) error {
	t.Helper()
	return c.Use(t.Context(), p, sha, func(ctx context.Context, m *Mirror) error { return m.LayOut(ctx, space) })
}

// Commands see what was pushed, and a repository of that one commit; whatever they do to it, the mirror stays as it is.
func TestLayOut(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	f.commit(t, "p", gittest.Files{"gone": "x\n"})
	content := gittest.Files{"README": "read me\n", "a": "one\n", "deep/er/ä b": "two\n", "-x": "three\n", "big": strings.Repeat("0", 300_000)}
	changed := maps.Clone(content)
	changed["gone"] = ""
	f.commit(t, "p", changed)
	if err := os.Symlink("/etc/passwd", filepath.Join(f.dir("p"), "link")); err != nil {
		t.Fatal(err)
	}
	sha := f.Amend(t, "p", "link")
	content["link"] = "/etc/passwd"
	space := sandboxtest.Open(t)
	err := c.Use(t.Context(), f.project("p"), strings.ToUpper(sha), func(ctx context.Context, m *Mirror) error {
		for range 2 { // as after a damaged mirror
			if err := m.LayOut(ctx, space); err != nil {
				return err
			}
			if diff := cmp.Diff(content, laidOut(t, space.Source)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		}
		if log := gittest.Git(t, space.Source, "log", "--format=%H"); log != sha {
			t.Errorf("want a repository of one commit, got %s", log)
		}
		if status := gittest.Git(t, space.Source, "-c", "core.symlinks=false", "status", "--porcelain"); status != "" {
			t.Errorf("want nothing changed, got %s", status)
		}
		gittest.Write(t, space.Source, gittest.Files{"a": "changed\n"})
		gittest.Git(t, space.Source, "-c", "core.symlinks=false", "commit", "--quiet", "--all", "--message", "mine")
		gittest.Git(t, space.Source, "gc", "--quiet", "--prune=now")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(content, read(t, c, f.project("p"), sha)); diff != "" {
		t.Errorf("the mirror's files (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(gitDir(t, c), "index")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want no index in the mirror, got %v", err)
	}
}

func TestLayOutIsBounded(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	sha := f.commit(t, "p", gittest.Files{"a": strings.Repeat("0", 8<<20), "b": "1\n"})
	space := sandboxtest.Open(t)
	space.Limit = 1 << 20
	err := layOut(t, newCache(t), f.project("p"), sha, space)
	if !errors.As(err, new(sandbox.LimitExceeded)) || !strings.Contains(err.Error(), "1 MiB of disk") {
		t.Errorf("want the disk limit, got %v", err)
	}
	few := New(Config{Dir: filepath.Join(t.TempDir(), "mirrors"), MaxPaths: 2})
	space = sandboxtest.Open(t)
	if err := layOut(t, few, f.project("p"), sha, space); !errors.As(err, new(sandbox.LimitExceeded)) {
		t.Errorf("want the limit of paths, got %v", err)
	}
	if got := laidOut(t, space.Source); len(got) > 0 {
		t.Errorf("%d files were laid out", len(got))
	}
}

// A mirror that turns out to be damaged is made anew; a commit that cannot be laid out does not cost any.
func TestLayOutTellsDamageFromCommits(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	sha := f.commit(t, "p", gittest.Files{"a": "one\n"})
	read(t, c, f.project("p"), sha)
	for _, pack := range packs(t, gitDir(t, c)) {
		data, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		for i := 12; i < len(data)-20; i += 7 {
			data[i] ^= 0x55
		}
		if err := errors.Join(os.Chmod(pack, 0o600), os.WriteFile(pack, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	space := sandboxtest.Open(t)
	if err := layOut(t, c, f.project("p"), sha, space); err != nil {
		t.Fatal(err)
	}
	if got := laidOut(t, space.Source); got["a"] != "one\n" {
		t.Errorf("got %v", got)
	}
	blob := gittest.Git(t, f.dir("p"), "rev-parse", sha+":a")
	gittest.Git(t, f.dir("p"), "update-index", "--add", "--cacheinfo", "100644,"+blob+","+strings.Repeat("n", 300))
	long := gittest.Git(t, f.dir("p"), "commit-tree", "-p", sha, "-m", "long", gittest.Git(t, f.dir("p"), "write-tree"))
	tries := 0
	err := c.Use(t.Context(), f.project("p"), long, func(ctx context.Context, m *Mirror) error {
		tries++
		return m.LayOut(ctx, space)
	})
	if err == nil || errors.As(err, new(Damaged)) || tries != 1 || !strings.Contains(err.Error(), "unable to create file") {
		t.Errorf("want the name refused once, got %v at try %d", err, tries)
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	f, c := newForge(t), newCache(t)
	base := f.commit(t, "p", gittest.Files{"a": "1\n", "gone": "1\n", "same": "1\n"})
	head := f.commit(t, "p", gittest.Files{"a": "2\n", "gone": "", "-x": "1\n", "odd\n\x01": "1\n"})
	err := c.Use(t.Context(), f.project("p"), head, func(ctx context.Context, m *Mirror) error {
		changed, gone, err := m.Changed(ctx, base, head)
		if diff := cmp.Diff([]string{"-x", "a", "odd\n\x01"}, changed); diff != "" || strings.Join(gone, " ") != "gone" {
			t.Errorf("gone %v, changed (-want +got):\n%s", gone, diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
