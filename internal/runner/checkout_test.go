package runner

import (
	"encoding/hex"
	"errors"
	"fmt"
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
		url, sha, want  string
		retryable, away bool
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
			var found retryable
			if got := errors.As(err, &found); got != test.retryable || found.away != test.away {
				t.Errorf("want retryable %t and away %t, got %t and %t", test.retryable, test.away, got, found.away)
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

// Each directory holds a way to have git lay a file out as something else than what was pushed. The file's text is the
// one that the commit has.
func TestFetchCommitLaysOutWhatWasPushed(t *testing.T) {
	t.Parallel()
	const secret = "token = 'ghp_0123456789abcdefghijABCDEFGHIJ012345'\n"
	evasions := map[string]struct{ attributes, text string }{
		"encoding":           {"* working-tree-encoding=UTF-16", secret},
		"encoding-le":        {"*.txt working-tree-encoding=UTF-16LE-BOM eol=crlf", secret},
		"encoding-seven":     {"* text working-tree-encoding=UTF-7", secret},
		"encoding-mainframe": {"* working-tree-encoding=IBM037", secret},
		"encoding-unknown":   {"* working-tree-encoding=no-such-encoding", secret},
		"encoding-true":      {"* working-tree-encoding", secret},
		"macro":              {"* blind", secret},
		"macro-redefined":    {"* binary", secret},
		"crlf":               {"* text eol=crlf", "a\nb\n" + secret},
		"crlf-auto":          {"* text=auto eol=crlf", "a\nb\n" + secret},
		"crlf-legacy":        {"* crlf", "a\r\nb\n" + secret},
		"crlf-input":         {"* crlf=input eol=crlf", "a\nb\n" + secret},
		"ident":              {"* ident", "$Id: " + strings.TrimSpace(secret) + " $\n"},
		"filter":             {"* filter=lfs diff=lfs merge=lfs -text", secret},
		"filter-required":    {"* filter=gone", secret},
		"export":             {"* export-ignore export-subst", "$Format:%H$ " + secret},
		"quoted":             {`"\052" ident working-tree-encoding=UTF-16`, secret},
		"unset":              {"* !text\n* -text working-tree-encoding=UTF-16", secret},
		"conflict-marker":    {"* conflict-marker-size=1 whitespace=tab-in-indent merge=union", secret},
		"delta":              {"* -delta -diff", secret},
	}
	server := newGitServer(t)
	server.commit(t, "p", files{"README": "hello\n"})
	dir := filepath.Join(server.dir, "p.git")
	// The sender's git must not apply them either.
	write(t, dir, files{".git/info/attributes": "* -text -crlf !eol -ident !filter !working-tree-encoding\n"})
	content := files{
		"README":         "hello\n",
		".gitattributes": "[attr]blind working-tree-encoding=UTF-16 ident\n[attr]binary text eol=crlf ident\n",
		".GITATTRIBUTES": "* working-tree-encoding=UTF-16\n", ".gitconfig": "[core]\n\tautocrlf = true\n",
		".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1\n", "info/attributes": "* ident\n",
	}
	for name, evasion := range evasions {
		content[name+"/.gitattributes"] = evasion.attributes + "\n"
		content[name+"/secret.txt"] = evasion.text
	}
	write(t, dir, content)
	space := open(t)
	if err := fetchCommit(t.Context(), space, server.remote("p"), server.amend(t, "p", "evade")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(content, tree(t, space.source, true)); diff != "" {
		t.Errorf("checkout (-want +got):\n%s", diff)
	}
	found, err := findSecrets(t.Context(), space.source)
	if err != nil || len(found.Findings) < len(evasions) {
		t.Errorf("want a secret in each of %d files, got %d, %v", len(evasions), len(found.Findings), err)
	}
}

// grow makes a tree with ten entries to each level, of which only one object a level is stored, and commits it.
func grow(t *testing.T, server *gitServer, levels int, leaf string) (sha string) {
	t.Helper()
	dir := filepath.Join(server.dir, "p.git")
	object := func(mode, kind, id string, names ...string) string {
		var entries strings.Builder
		for _, name := range names {
			fmt.Fprintf(&entries, "%s %s %s\t%s\n", mode, kind, id, name)
		}
		write(t, dir, files{".git/entries": entries.String()})
		return run(t, dir, "-c", "alias.maketree=!git mktree <.git/entries", "maketree")
	}
	names := make([]string, 10)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d", leaf, i)
	}
	id := run(t, dir, "rev-parse", "HEAD:a")
	if leaf == "" { // no file at all: what is below the lowest directories is an empty tree
		id = object("", "", "")
	} else {
		id = object("100644", "blob", id, names...)
	}
	for range levels {
		id = object("040000", "tree", id, names...)
	}
	return run(t, dir, "commit-tree", "-m", "bomb", id)
}

// A dozen objects make more paths than git could ever lay out. Nothing of them is laid out, and no index is made.
func TestFetchCommitCountsPathsBeforeItLaysThemOut(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		levels int
		leaf   string
		max    int64
		want   string
	}{
		"files":             {9, "f", 100_000, "more than 100,000 paths"},
		"empty directories": {9, "", 100_000, "more than 100,000 paths"},
		"long names":        {3, strings.Repeat("n", 200), 1000, "names of its paths"},
		"as many as may be": {2, "f", 1110, ""},
		"one more":          {2, "f", 1109, "more than 1,109 paths"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newGitServer(t)
			server.commit(t, "p", files{"a": "b\n"})
			space := open(t)
			space.maxPaths = test.max
			sha := grow(t, server, test.levels, test.leaf)
			err := fetchCommit(t.Context(), space, server.remote("p"), sha)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "runner.max_paths") {
				t.Errorf("want ...%s..., got %v", test.want, err)
			}
			if errors.As(err, new(retryable)) {
				t.Error("another try does not help")
			}
			if got := tree(t, space.source, true); len(got) > 0 {
				t.Errorf("%d files were laid out", len(got))
			}
			if _, err := os.Stat(filepath.Join(space.source, ".git", "index")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("an index was made: %v", err)
			}
		})
	}
}

func TestGitIsBounded(t *testing.T) {
	t.Parallel()
	if !onLinux() {
		t.Skip("limits are read from /proc")
	}
	space := open(t)
	git := gitRunner{space: space}
	if err := git.run(t.Context(), "init", "--quiet", "--template="); err != nil {
		t.Fatal(err)
	}
	limits := func(space workspace) (said string) {
		git := gitRunner{space: space}
		out := filepath.Join(space.temp, "limits")
		if err := git.run(t.Context(), "-c", "alias.limits=!cat /proc/self/limits >"+out, "limits"); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(text)), " ")
	}
	space.limit, space.maxPaths = 8<<20, 1<<20
	for _, want := range []string{"Max file size 8388608 ", "Max data size 1610612736 "} {
		if said := limits(space); !strings.Contains(said, want) {
			t.Errorf("want %q in %s", want, said)
		}
	}
}
