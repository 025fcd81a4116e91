package git

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scanhook/scanhook/internal/runner/git/gittest"
	"github.com/scanhook/scanhook/internal/runner/gitleaks"
	"github.com/scanhook/scanhook/internal/runner/sandbox/sandboxtest"
	"github.com/scanhook/scanhook/platforms"
)

func TestCheckout(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t)
	old := server.Commit(t, "group/sub/project", gittest.Files{"main.go": "package main\n", "docs/a b.md": "hello\n"})
	gittest.Write(t, filepath.Join(server.Dir, "group/sub/project.git"), gittest.Files{"main.go": "package changed\n"})
	tip := server.Amend(t, "group/sub/project", "second")
	sha256 := server.Commit(t, "wide", gittest.Files{"a": "b\n"}, "--object-format=sha256")

	const project = "group/sub/project"
	first := gittest.Files{"main.go": "package main\n", "docs/a b.md": "hello\n"}
	second := gittest.Files{"main.go": "package changed\n", "docs/a b.md": "hello\n"}
	tests := map[string]struct {
		project, sha string
		want         gittest.Files
	}{
		"the tip":              {project, tip, second},
		"a commit behind it":   {project, old, first},
		"upper case":           {project, strings.ToUpper(tip), second},
		"SHA-256 repositories": {"wide", sha256, gittest.Files{"a": "b\n"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			space := sandboxtest.Open(t)
			if err := checkOut(t.Context(), Repo{Space: space, Remote: server.Remote(test.project)}, test.sha); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, tree(t, space.Source, true)); diff != "" {
				t.Errorf("checkout (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckoutMakesSymbolicLinksPlainFiles(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t)
	server.Commit(t, "p", gittest.Files{"a": "b\n"})
	if err := os.Symlink("/etc/passwd", filepath.Join(server.Dir, "p.git", "link")); err != nil {
		t.Fatal(err)
	}
	space := sandboxtest.Open(t)
	if err := checkOut(t.Context(), Repo{Space: space, Remote: server.Remote("p")}, server.Amend(t, "p", "link")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(space.Source, "link"))
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("want a regular file, got %v, %v", info, err)
	}
}

func TestCheckoutFailures(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t)
	sha := server.Commit(t, "p", gittest.Files{"a": "b\n"})
	here := server.Remote("p").URL
	nowhere := httptest.NewServer(http.NotFoundHandler())
	nowhere.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	t.Cleanup(broken.Close)

	tests := map[string]struct {
		url, sha, want  string
		retryable, away bool
	}{
		"a commit that is not there":    {here, strings.Repeat("a", 40), "does not hand out commit aaaaaaa", true, false},
		"a project that is not there":   {server.Remote("q").URL, sha, "may read the project", true, false},
		"a server that is down":         {nowhere.URL + "/p.git", sha, "can be reached", true, true},
		"a server that is broken":       {broken.URL + "/p.git", sha, "can be reached", true, true},
		"a short commit id":             {here, sha[:7], "not a full commit id", false, false},
		"an option instead of a commit": {here, "--upload-pack=touch /tmp/pwned;aaaaaaaaaaa", "not a full commit id", false, false},
		"a file URL":                    {"file://" + server.Dir + "/p.git", sha, "not an http(s) URL", false, false},
		"a remote helper":               {"ext::sh -c touch% /tmp/pwned", sha, "not an http(s) URL", false, false},
		"a password in the address":     {"http://u:hunter2@127.0.0.1/p.git", sha, "holds a user or password", false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkOut(t.Context(), Repo{Space: sandboxtest.Open(t), Remote: platforms.Remote{URL: test.url}}, test.sha)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("want ...%s..., got %v", test.want, err)
			}
			var found FetchError
			if got := errors.As(err, &found); got != test.retryable || found.Unreachable != test.away {
				t.Errorf("want retryable %t and away %t, got %t and %t", test.retryable, test.away, got, found.Unreachable)
			}
			if found.Gone != strings.Contains(name, "a commit that is not there") {
				t.Errorf("gone: %t, %v", found.Gone, err)
			}
		})
	}
}

func TestCheckoutSaysWhenTheServerRefusesIDs(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t, func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Git-Protocol") // version 2 always hands out what is asked for
		return false
	})
	sha := server.Commit(t, "p", gittest.Files{"a": "b\n"})
	server.Amend(t, "p", "second")
	gittest.Git(t, filepath.Join(server.Dir, "p.git"), "config", "uploadpack.allowAnySHA1InWant", "false")
	err := checkOut(t.Context(), Repo{Space: sandboxtest.Open(t), Remote: server.Remote("p")}, sha)
	if err == nil || !strings.Contains(err.Error(), "uploadpack.allowAnySHA1InWant") {
		t.Errorf("want advice for the server, got %v", err)
	}
}

func TestCheckoutStopsAtLimits(t *testing.T) {
	t.Parallel()
	errLate := errors.New("too late")
	server := gittest.NewServer(t)
	sha := server.Commit(t, "p", gittest.Files{"zeros": strings.Repeat("0", 8<<20)})

	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		space := sandboxtest.Open(t)
		space.Limit = 1 << 20
		ctx, cancel := space.Bound(t.Context(), time.Minute, errLate)
		defer cancel(nil)
		err := checkOut(ctx, Repo{Space: space, Remote: server.Remote("p")}, sha)
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
		space := sandboxtest.Open(t)
		ctx, cancel := space.Bound(t.Context(), 300*time.Millisecond, errLate)
		defer cancel(nil)
		err := checkOut(ctx, Repo{Space: space, Remote: platforms.Remote{URL: silent.URL + "/p.git"}}, sha)
		if !errors.Is(err, errLate) {
			t.Errorf("want the time limit, got %v", err)
		}
	})
}

// Old commits hold faults that cannot hurt; trees that would overwrite git's own gittest.Files are refused.
func TestCheckoutChecksObjects(t *testing.T) {
	t.Parallel()
	server := gittest.NewServer(t)
	server.Commit(t, "p", gittest.Files{"a": "b\n"})
	dir := filepath.Join(server.Dir, "p.git")
	commit := func(tree string) string {
		const rest = "\nauthor A <a> 0000000001 +99999\ncommitter A <a> 1 +0000\n\nold\n"
		gittest.Write(t, dir, gittest.Files{"object": "tree " + tree + rest})
		return gittest.Git(t, dir, "hash-object", "-t", "commit", "-w", "--literally", "object")
	}
	old := commit(gittest.Git(t, dir, "rev-parse", "HEAD^{tree}"))
	if err := checkOut(t.Context(), Repo{Space: sandboxtest.Open(t), Remote: server.Remote("p")}, old); err != nil {
		t.Errorf("want an old commit checked out, got %v", err)
	}
	blob, err := hex.DecodeString(gittest.Git(t, dir, "rev-parse", "HEAD:a"))
	if err != nil {
		t.Fatal(err)
	}
	gittest.Write(t, dir, gittest.Files{"tree": "100644 .git\x00" + string(blob)})
	hostile := commit(gittest.Git(t, dir, "hash-object", "-t", "tree", "-w", "--literally", "tree"))
	if err := checkOut(t.Context(), Repo{Space: sandboxtest.Open(t), Remote: server.Remote("p")}, hostile); err == nil {
		t.Error("want a tree with .git in it refused")
	}
}

// Each directory holds a way to have git lay a file out as something else than what was pushed. The file's text is the
// one that the commit has.
func TestCheckoutLaysOutWhatWasPushed(t *testing.T) {
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
	server := gittest.NewServer(t)
	server.Commit(t, "p", gittest.Files{"README": "hello\n"})
	dir := filepath.Join(server.Dir, "p.git")
	// The sender's git must not apply them either.
	gittest.Write(t, dir, gittest.Files{".git/info/attributes": "* -text -crlf !eol -ident !filter !working-tree-encoding\n"})
	content := gittest.Files{
		"README":         "hello\n",
		".gitattributes": "[attr]blind working-tree-encoding=UTF-16 ident\n[attr]binary text eol=crlf ident\n",
		".GITATTRIBUTES": "* working-tree-encoding=UTF-16\n", ".gitconfig": "[core]\n\tautocrlf = true\n",
		".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1\n", "info/attributes": "* ident\n",
	}
	for name, evasion := range evasions {
		content[name+"/.gitattributes"] = evasion.attributes + "\n"
		content[name+"/secret.txt"] = evasion.text
	}
	gittest.Write(t, dir, content)
	space := sandboxtest.Open(t)
	sha := server.Amend(t, "p", "evade")
	if err := checkOut(t.Context(), Repo{Space: space, Remote: server.Remote("p")}, sha); err != nil {
		t.Fatal(err)
	}
	beside := sandboxtest.Open(t)
	if err := (Repo{Space: beside}).LayOut(t.Context(), sha, filepath.Join(space.Source, ".git", "objects")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{space.Source, beside.Source} {
		if diff := cmp.Diff(content, tree(t, dir, true)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
	found, err := gitleaks.Search(t.Context(), space.Source)
	if err != nil || len(found.Findings) < len(evasions) {
		t.Errorf("want a secret in each of %d gittest.Files, got %d, %v", len(evasions), len(found.Findings), err)
	}
}

// A server that greets and then hangs or breaks off has not lost the commit to a force push.
func TestCheckoutSaysWhenTheServerIsCutOff(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	tests := map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		after  int    // where there is no answer: the bytes after which the server's own is cut off
		want   string // of git's own words
	}{
		"hangs":                 {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, "Operation too slow"},
		"bad gateway":           {status(http.StatusBadGateway), 0, "HTTP 502"},
		"rate limited":          {status(http.StatusTooManyRequests), 0, "HTTP 429"},
		"says nothing":          {status(http.StatusOK), 0, "expected 'packfile'"},
		"cut before the answer": {nil, 0, "transfer closed"},
		"cut before the pack":   {nil, 10, "transfer closed"},
		"cut inside the pack":   {nil, 100, "transfer closed"},
		"cut deep in the pack":  {nil, 300_000, "transfer closed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := gittest.NewServer(t)
			sha := server.Commit(t, "p", gittest.Files{"noise": noise(1 << 20)})
			cut := gittest.Proxy(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				switch {
				case r.Method == http.MethodGet:
					next.ServeHTTP(w, r)
				case test.answer != nil:
					_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices a caller who goes away
					w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
					test.answer(w, r)
				default:
					next.ServeHTTP(&cutter{w, test.after}, r)
				}
			})
			server.Proxy.Store(&cut)
			space := sandboxtest.Open(t)
			err := checkOut(t.Context(), Repo{Space: space, Remote: server.Remote("p"), Patience: time.Second}, sha)
			if err == nil || !strings.Contains(err.Error(), "too slow, or broke off") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want what to do about a slow server, and ...%s..., got %v", test.want, err)
			}
			if found := new(FetchError); !errors.As(err, found) || !found.Unreachable {
				t.Errorf("want it waited for, got %+v", found)
			}
		})
	}
}
