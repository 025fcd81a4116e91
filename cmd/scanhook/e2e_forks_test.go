package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// forked is a project with a fork, on a fake platform that Scanhook is called by.
type forked struct {
	*sandbox
	base, fork string // their directories
	request    fakeforge.RequestSpec
	clock      time.Time // of the platform's events
}

// fork clones the sample as eve/shop. Its first request is number 7, from the fork's main.
func fork(t *testing.T, cfg sandboxConfig) (*forked, gitrepo.Checkout) {
	t.Helper()
	w, sample := setup(t, cfg)
	f := &forked{sandbox: w, base: sample.Dir, fork: filepath.Join(t.TempDir(), "fork"), clock: time.Now().Add(-time.Hour)}
	f.git(t, "", "clone", "--quiet", sample.Dir, f.fork)
	w.platform.AddRepository(fakeforge.Repository{Project: "eve/shop", Dir: f.fork, DefaultBranch: "main"})
	f.request = fakeforge.RequestSpec{Project: "acme/shop", Number: 7, From: "eve/shop", Branch: "main", Target: "main"}
	return f, sample
}

func (f *forked) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	options := []string{"-c", "user.name=Eve", "-c", "user.email=eve@example.com", "-c", "protocol.file.allow=always"}
	if dir != "" {
		options = append(options, "-C", dir)
	}
	out, err := exec.CommandContext(t.Context(), "git", append(options, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit adds a file to the fork, and makes it the head of the request in the project, as platforms do.
func (f *forked) commit(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.fork, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.git(t, f.fork, "add", name)
	f.git(t, f.fork, "commit", "--quiet", "--message", "Change "+name)
	sha := f.git(t, f.fork, "rev-parse", "HEAD")
	ref := "refs/pull/7/head"
	if f.kind == "gitlab" {
		ref = "refs/merge-requests/7/head"
	}
	f.git(t, f.base, "fetch", "--quiet", f.fork, "+HEAD:"+ref)
	return sha
}

// tell announces the request after an action.
func (f *forked) tell(t *testing.T, action string, change ...func(*fakeforge.RequestSpec)) {
	t.Helper()
	spec := f.request
	spec.Action = action
	for _, apply := range change {
		apply(&spec)
	}
	f.clock = f.clock.Add(time.Minute)
	spec.At = f.clock
	delivery, err := f.platform.SendRequest(t.Context(), f.hookURL(), spec)
	if err != nil || delivery.Status/100 != 2 {
		t.Fatalf("%s: %+v, %v", action, delivery, err)
	}
	f.request.Head, f.request.Target = spec.Head, spec.Target
}

func head(sha string) func(*fakeforge.RequestSpec) {
	return func(spec *fakeforge.RequestSpec) { spec.Before, spec.Head = spec.Head, sha }
}

// shows waits until a commit shows a state and a text, in the project.
func (f *forked) shows(t *testing.T, sha, state, text string) fakeforge.Status {
	t.Helper()
	if f.kind == "gitlab" && state != "success" {
		state = map[string]string{"failure": "failed", "error": "failed"}[state]
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		for _, status := range f.platform.Statuses("acme/shop", sha) {
			if status.Context == "scanhook" && status.State == state && strings.Contains(status.Description, text) {
				return status
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s never showed %s %q, but %+v", sha, state, text, f.platform.Statuses("acme/shop", sha))
	return fakeforge.Status{}
}

var forkKinds = []string{"github", "gitlab", "gitea"}

const secretText = "aws_key = \"AKIA" + "Z7QPLM2VXK4RTJWN\"\n"

// pipeline makes the pipeline of the merge request that a member ran in the project, without which GitLab shows nothing there.
func (f *forked) pipeline(t *testing.T, sha string) {
	t.Helper()
	if f.kind == "gitlab" {
		if _, err := f.platform.AddPipeline("acme/shop", sha, "refs/merge-requests/7/head", "build"); err != nil {
			t.Fatal(err)
		}
	}
}

// A request from a fork gets its status on its head, with each push, and again after it was closed.
func TestRequestsFromForksGetTheirStatus(t *testing.T) {
	t.Parallel()
	for _, kind := range forkKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, sample := fork(t, sandboxConfig{kind: kind})
			startSandbox(t, f.sandbox)
			pushTo(t, f.sandbox, "main", "", sample.Head)
			finalOf(t, f.sandbox, sample.Head)
			first := f.commit(t, "key.txt", secretText)
			f.pipeline(t, first)
			f.tell(t, "opened", head(first))
			f.shows(t, first, "failure", "1 new (1 ")
			second := f.commit(t, "key.txt", "nothing any more\n")
			f.pipeline(t, second)
			f.tell(t, "synchronize", head(second))
			f.shows(t, second, "failure", "1 new (1 ") // in the first commit, which is to be merged, too
			f.tell(t, "closed")
			f.tell(t, "reopened")
			if refused := f.platform.Refused(); len(refused) > 0 {
				t.Errorf("the platform refused %+v", refused)
			}
			if status := f.platform.Statuses("acme/shop", strings.Repeat("e", 40)); len(status) > 0 {
				t.Errorf("statuses on the merge commit: %+v", status)
			}
		})
	}
}

// A scanner with a command does not run on strangers' code: the status waits for the built-in one only, and counts the other as not
// searched. Once the commit is pushed to the project itself, it runs.
func TestCommandsDoNotRunOnForks(t *testing.T) {
	t.Parallel()
	for _, kind := range forkKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, sample := fork(t, sandboxConfig{kind: kind, extra: `
scanners:
  lint:
    command:
      - sh
      - -c
      - |
        echo '{"findings": []}' >"$0"
        if [ -e strange.txt ]; then echo '{"findings": [{"rule_id": "ran", "file": "strange.txt", "line": 1, "severity": "low"}]}' >"$0"; fi
      - "{output}"
    format: json
repositories: [{match: "**", scanners: [gitleaks, lint]}]`})
			startSandbox(t, f.sandbox)
			pushTo(t, f.sandbox, "main", "", sample.Head)
			finalOf(t, f.sandbox, sample.Head)
			sha := f.commit(t, "strange.txt", "nothing\n")
			f.pipeline(t, sha)
			f.tell(t, "opened", head(sha))
			f.shows(t, sha, "success", "5 known, 1 not searched")
			var scan struct {
				Fork bool `json:"fork"`
			}
			list := struct {
				Items []struct {
					Ref string `json:"reference_id"`
				} `json:"items"`
			}{}
			ask(t, f.sandbox, "GET", "/api/v1/scans?commit="+sha, "", &list)
			ask(t, f.sandbox, "GET", "/api/v1/scans/"+list.Items[0].Ref, "", &scan)
			if !scan.Fork {
				t.Error("the scan does not say that it is of a fork")
			}
			f.git(t, f.base, "update-ref", "refs/heads/main", sha)
			pushTo(t, f.sandbox, "main", sample.Head, sha)
			f.shows(t, sha, "success", "1 new (1 low), 5 known")
		})
	}
}

// Where forks are off, the status says so and fails, at once.
func TestForksAreOff(t *testing.T) {
	t.Parallel()
	for _, kind := range forkKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, _ := fork(t, sandboxConfig{kind: kind, extra: `repositories: [{match: "**", forks: off}]`})
			startSandbox(t, f.sandbox)
			sha := f.commit(t, "readme.txt", "nothing\n")
			f.pipeline(t, sha)
			f.tell(t, "opened", head(sha))
			f.shows(t, sha, "failure", "not scanned: forks are off")
		})
	}
}

// A request with another target is decided anew: what the new target does not have is new.
func TestRetargetedRequestsAreDecidedAnew(t *testing.T) {
	t.Parallel()
	for _, kind := range forkKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, sample := fork(t, sandboxConfig{kind: kind})
			startSandbox(t, f.sandbox)
			f.git(t, f.base, "branch", "release", sample.Before)
			pushTo(t, f.sandbox, "main", "", sample.Before)
			finalOf(t, f.sandbox, sample.Before)
			pushTo(t, f.sandbox, "release", "", sample.Before)
			pushTo(t, f.sandbox, "main", sample.Before, sample.Head)
			finalOf(t, f.sandbox, sample.Head)
			sha := f.commit(t, "readme.txt", "nothing\n")
			f.pipeline(t, sha)
			f.tell(t, "opened", head(sha))
			f.shows(t, sha, "success", "5 known")
			f.tell(t, "edited", func(spec *fakeforge.RequestSpec) { spec.Was, spec.Target = "main", "release" })
			f.shows(t, sha, "failure", "4 new (3 critical, 1 high), 1 known")
		})
	}
}

// A request within the project is scanned once, by the push of its branch, and compared with where it left its target.
func TestRequestsWithinTheProjectAreScannedOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range forkKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, sample := fork(t, sandboxConfig{kind: kind})
			startSandbox(t, f.sandbox)
			pushTo(t, f.sandbox, "main", "", sample.Before)
			finalOf(t, f.sandbox, sample.Before)
			f.request.From, f.request.Branch = "acme/shop", "feature"
			f.git(t, f.base, "branch", "feature", sample.Head)
			f.git(t, f.base, "branch", "release", sample.Before)
			f.tell(t, "opened", head(sample.Head))
			pushTo(t, f.sandbox, "feature", "", sample.Head)
			f.shows(t, sample.Head, "failure", "4 new (3 critical, 1 high), 1 known")
			f.tell(t, "closed")
			list := struct {
				Items []struct {
					Branch string `json:"branch"`
				} `json:"items"`
			}{}
			ask(t, f.sandbox, "GET", "/api/v1/scans?commit="+sample.Head, "", &list)
			if len(list.Items) != 1 || list.Items[0].Branch != "feature" {
				t.Errorf("scans: %+v, want one of the branch", list.Items)
			}
		})
	}
}

// GitLab lets a status of a merge request from a fork count in a pipeline of the merge request, or of the fork. Where the token may
// use neither, a note says it. The page and explain say where it stands.
func TestGitLabShowsForksByTheLadder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pipeline, strange bool
		project, state    string
		said              string
	}{
		"a pipeline of the request": {true, true, "acme/shop", "failed", "in the pipeline of the merge request"},
		"a pipeline of the fork":    {false, false, "eve/shop", "failed", "in the fork's own project"},
		"a note":                    {false, true, "acme/shop", "note", "as a note on the merge request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := fork(t, sandboxConfig{kind: "gitlab"})
			if c.strange {
				f.platform.Estrange("eve/shop")
			}
			startSandbox(t, f.sandbox)
			sha := f.commit(t, "readme.txt", "nothing\n")
			if c.pipeline {
				f.pipeline(t, sha)
			}
			f.tell(t, "opened", head(sha))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			status, err := f.platform.Wait(ctx, func(s fakeforge.Status) bool { return s.SHA == sha && s.State == c.state })
			if err != nil || status.Project != c.project {
				t.Fatalf("%+v, %v: want it in %s", status, err, c.project)
			}
			eventually(t, "explain to say where it stands", func() (bool, bool) {
				out := command(t, "explain", "--config", f.file(t), sha).out
				return true, strings.Contains(out, "it is shown "+c.said)
			})
		})
	}
}

// What a merge queue tries is scanned, whether its push or its event comes.
func TestMergeGroupsAreScanned(t *testing.T) {
	t.Parallel()
	w, sample := setup(t, sandboxConfig{kind: "github"})
	startSandbox(t, w)
	repo, _ := w.platform.Repository("acme/shop")
	body := fmt.Sprintf(`{"action": "checks_requested", "merge_group": {"head_sha": %q, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-%s"},
		"repository": {"id": %d, "full_name": "acme/shop", "default_branch": "main"}}`, sample.Head, sample.Before, repo.ID)
	delivery, err := w.platform.Seal("merge_group", []byte(body))
	if err == nil {
		delivery, err = w.platform.Send(t.Context(), w.hookURL(), delivery)
	}
	if err != nil || delivery.Status/100 != 2 {
		t.Fatalf("%+v, %v", delivery, err)
	}
	finalOf(t, w, sample.Head)
	pushTo(t, w, "gh-readonly-queue/main/pr-7-"+sample.Before, "", sample.Head)
	var list struct{ Items []any }
	ask(t, w, "GET", "/api/v1/scans?commit="+sample.Head, "", &list)
	if len(list.Items) != 1 {
		t.Errorf("%d scans, want one", len(list.Items))
	}
}
