package runner

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/platforms"
)

func TestFetchCommit(t *testing.T) {
	t.Parallel()
	server := newGitServer(t)
	old := server.commit(t, "group/sub/project", files{"main.go": "package main\n", "docs/a b.md": "hello\n"})
	write(t, filepath.Join(server.dir, "group/sub/project.git"), files{"main.go": "package changed\n"})
	tip := server.amend(t, "group/sub/project", "second")
	sha256 := server.commit(t, "wide", files{"a": "b\n"}, "--object-format=sha256")

	const project = "group/sub/project"
	first := files{"main.go": "package main\n", "docs/a b.md": "hello\n"}
	second := files{"main.go": "package changed\n", "docs/a b.md": "hello\n"}
	tests := map[string]struct {
		project, sha string
		want         files
	}{
		"the tip":              {project, tip, second},
		"a commit behind it":   {project, old, first},
		"upper case":           {project, strings.ToUpper(tip), second},
		"SHA-256 repositories": {"wide", sha256, files{"a": "b\n"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			space := open(t)
			if err := fetchCommit(t.Context(), space, server.remote(test.project), test.sha); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, tree(t, space.source, true)); diff != "" {
				t.Errorf("checkout (-want +got):\n%s", diff)
			}
		})
	}
}

// tree reads all files below dir.
func tree(t *testing.T, dir string, withoutGit bool) files {
	t.Helper()
	got := files{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry.Name() == ".git" && withoutGit {
				return filepath.SkipDir
			}
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		got[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestFetchCommitMakesSymbolicLinksPlainFiles(t *testing.T) {
	t.Parallel()
	server := newGitServer(t)
	server.commit(t, "p", files{"a": "b\n"})
	if err := os.Symlink("/etc/passwd", filepath.Join(server.dir, "p.git", "link")); err != nil {
		t.Fatal(err)
	}
	space := open(t)
	if err := fetchCommit(t.Context(), space, server.remote("p"), server.amend(t, "p", "link")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(space.source, "link"))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("want a regular file, got %v, %v", info, err)
	}
}

func TestFetchCommitFailures(t *testing.T) {
	t.Parallel()
	server := newGitServer(t)
	sha := server.commit(t, "p", files{"a": "b\n"})
	here := server.remote("p").URL
	nowhere := httptest.NewServer(http.NotFoundHandler())
	nowhere.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(broken.Close)

	tests := map[string]struct {
		url, sha, want string
		passing, away  bool
	}{
		"a commit that is not there":    {here, strings.Repeat("a", 40), "does not hand out commit aaaaaaa", true, false},
		"a project that is not there":   {server.remote("q").URL, sha, "may read the project", true, false},
		"a server that is down":         {nowhere.URL + "/p.git", sha, "can be reached", true, true},
		"a server that is broken":       {broken.URL + "/p.git", sha, "can be reached", true, true},
		"a short commit id":             {here, sha[:7], "not a full commit id", false, false},
		"an option instead of a commit": {here, "--upload-pack=touch /tmp/pwned;aaaaaaaaaaa", "not a full commit id", false, false},
		"a file URL":                    {"file://" + server.dir + "/p.git", sha, "not an http(s) URL", false, false},
		"a remote helper":               {"ext::sh -c touch% /tmp/pwned", sha, "not an http(s) URL", false, false},
		"a password in the address":     {"http://u:hunter2@127.0.0.1/p.git", sha, "holds a user or password", false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := fetchCommit(t.Context(), open(t), platforms.Remote{URL: test.url}, test.sha)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("want ...%s..., got %v", test.want, err)
			}
			var found passing
			if got := errors.As(err, &found); got != test.passing || found.away != test.away {
				t.Errorf("want passing %t and away %t, got %t and %t", test.passing, test.away, got, found.away)
			}
		})
	}
}

func TestFetchCommitSaysWhenTheServerRefusesIDs(t *testing.T) {
	t.Parallel()
	server := newGitServer(t, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Git-Protocol") // version 2 always hands out what is asked for
		return false
	})
	sha := server.commit(t, "p", files{"a": "b\n"})
	server.amend(t, "p", "second")
	run(t, filepath.Join(server.dir, "p.git"), "config", "uploadpack.allowAnySHA1InWant", "false")
	err := fetchCommit(t.Context(), open(t), server.remote("p"), sha)
	if err == nil || !strings.Contains(err.Error(), "uploadpack.allowAnySHA1InWant") {
		t.Errorf("want advice for the server, got %v", err)
	}
}

func TestFetchCommitStopsAtLimits(t *testing.T) {
	t.Parallel()
	errLate := errors.New("too late")
	server := newGitServer(t)
	sha := server.commit(t, "p", files{"zeros": strings.Repeat("0", 8<<20)})

	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		space := open(t)
		space.limit = 1 << 20
		ctx, cancel := space.bound(t.Context(), fetchTimeout, errLate)
		defer cancel(nil)
		err := fetchCommit(ctx, space, server.remote("p"), sha)
		if err == nil || !strings.Contains(err.Error(), "1 MiB of disk") {
			t.Errorf("want the disk limit, got %v", err)
		}
	})
	t.Run("time", func(t *testing.T) {
		t.Parallel()
		hang := make(chan struct{})
		silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
		defer silent.Close()
		defer close(hang)
		space := open(t)
		ctx, cancel := space.bound(t.Context(), 300*time.Millisecond, errLate)
		defer cancel(nil)
		err := fetchCommit(ctx, space, platforms.Remote{URL: silent.URL + "/p.git"}, sha)
		if !errors.Is(err, errLate) {
			t.Errorf("want the time limit, got %v", err)
		}
	})
}

// Old commits hold faults that cannot hurt; trees that would overwrite git's own files are refused.
func TestFetchCommitChecksObjects(t *testing.T) {
	t.Parallel()
	server := newGitServer(t)
	server.commit(t, "p", files{"a": "b\n"})
	dir := filepath.Join(server.dir, "p.git")
	commit := func(tree string) string {
		const rest = "\nauthor A <a> 0000000001 +99999\ncommitter A <a> 1 +0000\n\nold\n"
		write(t, dir, files{"object": "tree " + tree + rest})
		return run(t, dir, "hash-object", "-t", "commit", "-w", "--literally", "object")
	}
	old := commit(run(t, dir, "rev-parse", "HEAD^{tree}"))
	if err := fetchCommit(t.Context(), open(t), server.remote("p"), old); err != nil {
		t.Errorf("want an old commit checked out, got %v", err)
	}
	blob, err := hex.DecodeString(run(t, dir, "rev-parse", "HEAD:a"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, files{"tree": "100644 .git\x00" + string(blob)})
	hostile := commit(run(t, dir, "hash-object", "-t", "tree", "-w", "--literally", "tree"))
	if err := fetchCommit(t.Context(), open(t), server.remote("p"), hostile); err == nil {
		t.Error("want a tree with .git in it refused")
	}
}
