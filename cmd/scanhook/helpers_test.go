package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/storetest"
)

// patience is how long tests wait for what shall come at once: machines that run them are busy.
const patience = 3 * time.Minute

var kinds = []string{"github", "gitlab"}

// outcome is what a command line left behind.
type outcome struct {
	code      int
	out, errs string
}

func command(t *testing.T, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

// expect checks the exit code and looks for texts on both streams.
func (o outcome) expect(t *testing.T, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit %d, want %d\n%s%s", o.code, code, o.out, o.errs)
	}
	for _, text := range texts {
		if !strings.Contains(o.out+o.errs, text) {
			t.Errorf("%q is not said in:\n%s%s", text, o.out, o.errs)
		}
	}
}

func (o outcome) hides(t *testing.T, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if secret == "" || strings.Contains(o.out+o.errs, secret) {
			t.Errorf("the secret %q is in the output", secret)
		}
	}
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// setup builds a sandbox with the sample repository in it; Scanhook is not running yet.
func setup(t testing.TB, cfg sandboxConfig) (*sandbox, gitrepo.Checkout) {
	t.Helper()
	cfg.dir, cfg.host = t.TempDir(), storetest.Host()
	cfg.log = slog.New(slog.NewTextHandler(&testWriter{t}, nil))
	w, err := newSandbox(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	sample, err := gitrepo.Sample(t.Context(), filepath.Join(cfg.dir, "sample"))
	if err != nil {
		t.Fatal(err)
	}
	w.platform.AddRepository(fakeforge.Repository{Project: "acme/shop", Dir: sample.Dir, DefaultBranch: "main"})
	return w, sample
}

// testWriter gives Scanhook's log to the test, which shows it when it fails.
type testWriter struct{ t testing.TB }

func (w *testWriter) Write(line []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(line)))
	}
	return len(line), nil
}

func startSandbox(t testing.TB, w *sandbox) {
	t.Helper()
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// process starts `scanhook serve` as a process of its own and waits until it answers.
func process(t *testing.T, w *sandbox) *exec.Cmd { return processOf(t, w, os.Args[0]) }

func processOf(t *testing.T, w *sandbox, program string) *exec.Cmd {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(w.yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return startsWith(t, w, program, file)
}

// processWith is process with a configuration of its own.
func processWith(t *testing.T, w *sandbox, file string) *exec.Cmd {
	return startsWith(t, w, os.Args[0], file)
}

func startsWith(t *testing.T, w *sandbox, program, file string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, "serve", "--config", file)
	cmd.Env = append(os.Environ(), beMain+"=1")
	for name, value := range w.secrets {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stderr = &testWriter{t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if response, err := http.Get(w.scanhook + "/readyz"); err == nil {
			_ = response.Body.Close()
			return cmd
		}
	}
	t.Fatal("scanhook serve did not come up")
	return nil
}

// release frees Scanhook's address for a process.
func (w *sandbox) release(t *testing.T) {
	t.Helper()
	if err := w.listeners[len(w.listeners)-1].Close(); err != nil {
		t.Fatal(err)
	}
}

// file is the sandbox's configuration on disk, with the secrets in it.
func (w *sandbox) file(t testing.TB) string {
	t.Helper()
	text := w.yaml
	for name, value := range w.secrets {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
	}
	return writeFile(t, text)
}

// look opens the sandbox's database beside the running server.
func (w *sandbox) look(t *testing.T) *store.Store {
	t.Helper()
	return storetest.OpenAt(t, w.config.Database.URL.Reveal(), store.Config{})
}

func pushTo(t testing.TB, w *sandbox, branch, before, after string) fakeforge.Delivery {
	t.Helper()
	spec := fakeforge.PushSpec{Project: "acme/shop", Ref: "refs/heads/" + branch, Before: before, After: after}
	delivery, err := w.push(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return delivery
}

// finalOf waits for a commit's final status.
func finalOf(t testing.TB, w *sandbox, sha string) fakeforge.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, err := w.final(ctx, sha)
	if err != nil {
		t.Fatalf("no final status of %s: %v; calls: %+v", sha, err, w.platform.Calls())
	}
	return status
}

// announce pushes through the hooks that the platform keeps, and returns the answers.
func announce(t *testing.T, w *sandbox, spec fakeforge.PushSpec) (statuses []int) {
	t.Helper()
	made, err := w.platform.Announce(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, attempt := range made {
		statuses = append(statuses, attempt.Status)
	}
	return statuses
}

// addHook keeps a hook of acme/shop, with everything right that the test leaves open.
func addHook(w *sandbox, hook fakeforge.Hook) fakeforge.Hook {
	if hook.Group == "" {
		hook.Project = "acme/shop"
	}
	if hook.Secret == "" {
		hook.Secret = w.secrets["SECRET"]
	}
	if hook.Events == nil {
		hook.Events = []string{
			"push", "workflow_run", "status", "repository", "pull_request",
			"push_events", "tag_push_events", "pipeline_events", "merge_requests_events",
		}
	}
	hook.URL = w.hookURL()
	return w.platform.AddHook(hook)
}

// ask sends a request to Scanhook's API and decodes the answer into out, which may be nil.
func ask(t *testing.T, w *sandbox, method, path, body string, out any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.scanhook+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.apiToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if out != nil {
		if err := json.NewDecoder(response.Body).Decode(out); err != nil {
			t.Fatal(err)
		}
	}
}

// listedScan is what tests read of a scan in the API's list.
type listedScan struct {
	Ref    string `json:"reference_id"`
	Branch string `json:"branch"`
}

// scansOf asks the API for the scans of a commit.
func scansOf(t *testing.T, w *sandbox, sha string) []listedScan {
	t.Helper()
	var list struct {
		Items []listedScan `json:"items"`
	}
	ask(t, w, http.MethodGet, "/api/v1/scans?commit="+sha, "", &list)
	return list.Items
}

// eventually asks until there is an answer, and ends the test when none has come within a minute.
func eventually[T any](t *testing.T, what string, ask func() (T, bool)) T {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer, ok := ask(); ok {
			return answer
		}
	}
	t.Fatalf("waited in vain for %s", what)
	var none T
	return none
}

func inTime(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out: %s", what)
		}
	}
}
