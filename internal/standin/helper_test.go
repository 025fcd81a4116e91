package standin_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/standin"
)

const token = "opens-everything"

var now = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

// platform is a stand-in that serves the sample repository on loopback.
type platform struct {
	*standin.Server
	sample  standin.Checkout
	project string
	api     string // root of the REST API
}

// start serves a stand-in below a sub-path; every test gets its own.
func start(t *testing.T, cfg standin.Config) platform {
	t.Helper()
	sample, err := standin.SampleRepository(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return now }
	}
	p := platform{Server: standin.New(cfg), sample: sample, project: "acme/payments"}
	if cfg.Kind == standin.GitLab {
		p.project = "acme/shop/payments.api"
	}
	web := httptest.NewServer(p)
	t.Cleanup(web.Close)
	if err := p.SetBase(web.URL + "/forge/"); err != nil {
		t.Fatal(err)
	}
	p.api = p.APIURL(p.Base())
	p.AddRepository(standin.Repository{Project: p.project, ID: 77, Dir: sample.Dir, DefaultBranch: "main"})
	return p
}

// call sends JSON and returns the answer with its decoded body.
func (p platform) call(t *testing.T, method, path, body string) (*http.Response, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.api+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	decoded := map[string]any{}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &decoded); err != nil {
			t.Fatalf("answer %q: %v", text, err)
		}
	}
	return response, decoded
}

// statusPath is where a status of a commit is posted.
func (p platform) statusPath(sha string) string {
	if strings.HasSuffix(p.api, "/v4") {
		return "/projects/acme%2Fshop%2Fpayments%2Eapi/statuses/" + sha
	}
	return "/repos/" + p.project + "/statuses/" + sha
}

// git runs git as a stranger to the package would, with a fixed author and no configuration.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// recorded is a file of the shared test data; the test is skipped where that is absent.
func recorded(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(dir, "go.mod")) {
		dir = filepath.Dir(dir)
	}
	file := filepath.Join(dir, "..", "shared", "testdata", filepath.FromSlash(path))
	if !exists(file) {
		t.Skipf("%s is absent", file)
	}
	return file
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readJSON(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func decode(t *testing.T, text []byte) map[string]any {
	t.Helper()
	decoded := map[string]any{}
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}
