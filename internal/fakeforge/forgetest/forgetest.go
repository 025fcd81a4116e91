// Package forgetest starts fake forges for tests, with the sample repository or one of many commits.
package forgetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitea"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
	"github.com/scanhook/scanhook/internal/fakeforge/gitlab"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// Token is what Call sends. Give it to the forge's configuration.
const Token = "opens-everything"

// Now is the time of a forge without a clock of its own.
var Now = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

// Kind is one of the forges, with what a test must know of it.
type Kind struct {
	Name     string
	New      func(fakeforge.Config) *fakeforge.Server
	Project  string
	Statuses string // path of the API that takes statuses, before the commit
}

func (k *Kind) String() string { return k.Name }

// The forges.
var (
	GitHub = &Kind{"github", github.New, "acme/payments", "/repos/acme/payments/statuses/"}
	Gitea  = &Kind{"gitea", gitea.New, "acme/payments", "/repos/acme/payments/statuses/"}
	GitLab = &Kind{"gitlab", gitlab.New, "acme/shop/payments.api", "/projects/acme%2Fshop%2Fpayments%2Eapi/statuses/"}

	Kinds = []*Kind{GitHub, GitLab, Gitea}
)

// Forge is a fake forge on loopback that has the sample repository.
type Forge struct {
	*fakeforge.Server
	Kind    *Kind
	Sample  gitrepo.Checkout
	Project string
	API     string // root of the REST API
}

// Start serves a forge below a sub-path until the test ends.
func Start(t testing.TB, kind *Kind, cfg fakeforge.Config) Forge {
	t.Helper()
	sample, err := gitrepo.Sample(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return Now }
	}
	f := Forge{Server: kind.New(cfg), Kind: kind, Sample: sample, Project: kind.Project}
	web := httptest.NewServer(f)
	t.Cleanup(web.Close)
	if err := f.SetBase(web.URL + "/forge/"); err != nil {
		t.Fatal(err)
	}
	f.API = f.APIURL(f.Base())
	f.AddRepository(fakeforge.Repository{Project: f.Project, ID: 77, Dir: sample.Dir, DefaultBranch: "main"})
	return f
}

// StatusPath is where a status of a commit is posted.
func (f Forge) StatusPath(sha string) string { return f.Kind.Statuses + sha }

// Call sends JSON to a path of the API and returns the answer with its decoded body.
func (f Forge) Call(t testing.TB, method, path, body string) (*http.Response, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, f.API+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+Token)
	request.Header.Set("Content-Type", "application/json")
	response, text := Do(t, request)
	if !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") || len(text) == 0 {
		return response, map[string]any{}
	}
	return response, Decode(t, text)
}

// Do sends a request and reads the answer.
func Do(t testing.TB, request *http.Request) (*http.Response, []byte) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, text
}

// Request is a webhook call that a receiver got.
type Request struct {
	Header http.Header
	Body   []byte
}

// Receive serves a webhook's receiver, which answers 202.
func Receive(t testing.TB) (address string, calls <-chan Request) {
	t.Helper()
	queue := make(chan Request, 10)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		queue <- Request{r.Header, body}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"outcome":"scan_created"}`)
	}))
	t.Cleanup(web.Close)
	return web.URL, queue
}

// WantHeader compares the named headers.
func WantHeader(t testing.TB, header http.Header, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := header.Get(name); got != value {
			t.Errorf("header %s = %q, want %q", name, got, value)
		}
	}
}

// Git runs git in dir with a fixed author and no configuration, and returns what it prints.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return GitInput(t, dir, "", args...)
}

// GitInput is Git with a standard input.
func GitInput(t testing.TB, dir, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Commits makes a bare repository in dir with n commits on main, in one process, and returns their ids, oldest first.
func Commits(t testing.TB, dir string, n int) []string {
	t.Helper()
	var stream strings.Builder
	for i := range n {
		fmt.Fprintf(&stream, "commit refs/heads/main\nmark :%d\n", i+1)
		fmt.Fprintf(&stream, "committer Mira Holm <mira@example.com> %d +0000\ndata 5\nwork\n", 1_767_225_600+i)
		content := fmt.Sprintf("change %d\n", i)
		fmt.Fprintf(&stream, "M 100644 inline README.md\ndata %d\n%s\n", len(content), content)
	}
	Git(t, "", "init", "--quiet", "--bare", "--initial-branch=main", dir)
	GitInput(t, dir, stream.String(), "fast-import", "--quiet")
	return strings.Fields(Git(t, dir, "rev-list", "--reverse", "main"))
}

// History grows the sample repository into every kind of push, and returns the ids by name.
func (f Forge) History(t testing.TB) map[string]string {
	t.Helper()
	dir := f.Sample.Dir
	ids := map[string]string{"first": f.Sample.Before, "head": f.Sample.Head}
	Git(t, dir, "tag", "light")
	Git(t, dir, "tag", "-a", "-m", "Version one", "v1")
	ids["tag"] = Git(t, dir, "rev-parse", "refs/tags/v1")
	Git(t, dir, "branch", "same")
	Git(t, dir, "checkout", "--quiet", "-b", "feature/move")
	Git(t, dir, "mv", "main.go", "cmd.go")
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("# payments\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	Git(t, dir, "commit", "--quiet", "--all", "-m", "Move\n\nand say so, ünïcödé")
	ids["move"] = Git(t, dir, "rev-parse", "HEAD")
	Git(t, dir, "checkout", "--quiet", "-b", "other", f.Sample.Before)
	Git(t, dir, "commit", "--quiet", "--allow-empty", "-m", "Empty")
	ids["other"] = Git(t, dir, "rev-parse", "HEAD")
	Git(t, dir, "merge", "--quiet", "--no-ff", "-m", "Merge", "main")
	ids["merge"] = Git(t, dir, "rev-parse", "HEAD")
	return ids
}

// ReadJSON decodes a file.
func ReadJSON(t testing.TB, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return Decode(t, text)
}

// Decode decodes a JSON object.
func Decode(t testing.TB, text []byte) map[string]any {
	t.Helper()
	decoded := map[string]any{}
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return decoded
}
