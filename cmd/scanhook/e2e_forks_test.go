package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/forgetest"
	fakegitlab "github.com/scanhook/scanhook/internal/fakeforge/gitlab"
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
	forgetest.Git(t, "", "clone", "--quiet", sample.Dir, f.fork)
	w.platform.AddRepository(fakeforge.Repository{Project: "eve/shop", Dir: f.fork, DefaultBranch: "main"})
	f.request = fakeforge.RequestSpec{Project: "acme/shop", Number: 7, From: "eve/shop", Branch: "main", Target: "main"}
	return f, sample
}

// onForks runs a test on each kind of platform, where Scanhook serves a project with a fork. extra is added to its configuration.
func onForks(t *testing.T, extra string, test func(t *testing.T, f *forked, sample gitrepo.Checkout)) {
	t.Helper()
	for _, kind := range []string{"github", "gitlab", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f, sample := fork(t, sandboxConfig{kind: kind, extra: extra})
			startSandbox(t, f.sandbox)
			test(t, f, sample)
		})
	}
}

// commit adds a file to the fork, and makes it the head of the request in the project, as platforms do.
func (f *forked) commit(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.fork, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	forgetest.Git(t, f.fork, "add", name)
	forgetest.Git(t, f.fork, "commit", "--quiet", "--message", "Change "+name)
	sha := forgetest.Git(t, f.fork, "rev-parse", "HEAD")
	ref := "refs/pull/7/head"
	if f.kind == "gitlab" {
		ref = fakegitlab.MergeRequestRef(7, false)
	}
	forgetest.Git(t, f.base, "fetch", "--quiet", f.fork, "+HEAD:"+ref)
	return sha
}

// pipeline makes the pipeline of the merge request that a member ran in the project, without which GitLab shows nothing there.
func (f *forked) pipeline(t *testing.T, sha string) {
	t.Helper()
	if f.kind == "gitlab" {
		if _, err := f.platform.AddPipeline("acme/shop", sha, fakegitlab.MergeRequestRef(7, false), "build"); err != nil {
			t.Fatal(err)
		}
	}
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

// open opens the request with a commit that adds a file.
func (f *forked) open(t *testing.T, name, text string) (sha string) {
	t.Helper()
	sha = f.commit(t, name, text)
	f.pipeline(t, sha)
	f.tell(t, "opened", head(sha))
	return sha
}

// shows waits until a commit shows a state, success or failure, and a text, in the project.
func (f *forked) shows(t *testing.T, sha, state, text string) {
	t.Helper()
	if f.kind == "gitlab" && state == "failure" {
		state = "failed"
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := f.platform.Wait(ctx, func(s fakeforge.Status) bool {
		return s.Project == "acme/shop" && s.SHA == sha && s.Context == "scanhook" && s.State == state && strings.Contains(s.Description, text)
	})
	if err != nil {
		t.Fatalf("%s never showed %s %q: %v; statuses: %+v", sha, state, text, err, f.platform.Statuses("acme/shop", sha))
	}
}

const secretText = "aws_key = \"AKIA" + "Z7QPLM2VXK4RTJWN\"\n"

// A request from a fork gets its status on its head, with each push, and again after it was closed.
func TestRequestsFromForksGetTheirStatus(t *testing.T) {
	t.Parallel()
	onForks(t, "", func(t *testing.T, f *forked, sample gitrepo.Checkout) {
		pushTo(t, f.sandbox, "main", "", sample.Head)
		finalOf(t, f.sandbox, sample.Head)
		first := f.open(t, "key.txt", secretText)
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

// A scanner with a command does not run on strangers' code: the status waits for the built-in one only, and counts the other as not
// searched. Once the commit is pushed to the project itself, it runs.
func TestCommandsDoNotRunOnForks(t *testing.T) {
	t.Parallel()
	lint := `
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
repositories: [{match: "**", scanners: [gitleaks, lint]}]`
	onForks(t, lint, func(t *testing.T, f *forked, sample gitrepo.Checkout) {
		pushTo(t, f.sandbox, "main", "", sample.Head)
		finalOf(t, f.sandbox, sample.Head)
		sha := f.open(t, "strange.txt", "nothing\n")
		f.shows(t, sha, "success", "5 known, 1 not searched")
		var scan struct {
			Fork bool `json:"fork"`
		}
		scans := scansOf(t, f.sandbox, sha)
		ask(t, f.sandbox, "GET", "/api/v1/scans/"+scans[0].Ref, "", &scan)
		if !scan.Fork {
			t.Error("the scan does not say that it is of a fork")
		}
		forgetest.Git(t, f.base, "update-ref", "refs/heads/main", sha)
		pushTo(t, f.sandbox, "main", sample.Head, sha)
		f.shows(t, sha, "success", "1 new (1 low), 5 unresolved, 5 known")
	})
}

// Where forks are off, the status says so and fails, at once.
func TestForksAreOff(t *testing.T) {
	t.Parallel()
	onForks(t, `repositories: [{match: "**", forks: off}]`, func(t *testing.T, f *forked, _ gitrepo.Checkout) {
		sha := f.open(t, "readme.txt", "nothing\n")
		f.shows(t, sha, "failure", "not scanned: forks are off")
	})
}

// A request with another target is decided anew: what the new target does not have is new.
func TestRetargetedRequestsAreDecidedAnew(t *testing.T) {
	t.Parallel()
	onForks(t, "", func(t *testing.T, f *forked, sample gitrepo.Checkout) {
		forgetest.Git(t, f.base, "branch", "release", sample.Before)
		pushTo(t, f.sandbox, "main", "", sample.Before)
		finalOf(t, f.sandbox, sample.Before)
		pushTo(t, f.sandbox, "release", "", sample.Before)
		pushTo(t, f.sandbox, "main", sample.Before, sample.Head)
		finalOf(t, f.sandbox, sample.Head)
		sha := f.open(t, "readme.txt", "nothing\n")
		f.shows(t, sha, "success", "5 known")
		f.tell(t, "edited", func(spec *fakeforge.RequestSpec) { spec.Was, spec.Target = "main", "release" })
		f.shows(t, sha, "failure", "4 new (3 critical, 1 high), 1 known")
	})
}

// A request within the project is scanned once, by the push of its branch, and compared with where it left its target.
func TestRequestsWithinTheProjectAreScannedOnce(t *testing.T) {
	t.Parallel()
	onForks(t, "", func(t *testing.T, f *forked, sample gitrepo.Checkout) {
		pushTo(t, f.sandbox, "main", "", sample.Before)
		finalOf(t, f.sandbox, sample.Before)
		f.request.From, f.request.Branch = "acme/shop", "feature"
		forgetest.Git(t, f.base, "branch", "feature", sample.Head)
		forgetest.Git(t, f.base, "branch", "release", sample.Before)
		f.tell(t, "opened", head(sample.Head))
		pushTo(t, f.sandbox, "feature", "", sample.Head)
		f.shows(t, sample.Head, "failure", "4 new (3 critical, 1 high), 1 known")
		f.tell(t, "closed")
		if scans := scansOf(t, f.sandbox, sample.Head); len(scans) != 1 || scans[0].Branch != "feature" {
			t.Errorf("scans: %+v, want one of the branch", scans)
		}
	})
}

// GitLab lets a status of a merge request from a fork count in a pipeline of the merge request, or of the fork, or as an external status
// check of the status's name. Where the token may use none, a note says it. The page, the API and explain say where it stands.
func TestGitLabShowsForksByTheLadder(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pipeline, strange bool
		check             string
		project, state    string
		said              string
	}{
		"a pipeline of the request": {true, true, "scanhook", "acme/shop", "success", "in the pipeline of the merge request"},
		"a pipeline of the fork":    {false, false, "scanhook", "eve/shop", "success", "in the fork's own project"},
		"a check":                   {false, true, "scanhook", "acme/shop", "passed", "as an external status check of the merge request"},
		"a note":                    {false, true, "", "acme/shop", "note", "as a note on the merge request"},
		"a note beside a check":     {false, true, "compliance", "acme/shop", "note", "as a note on the merge request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := fork(t, sandboxConfig{kind: "gitlab"})
			if c.strange {
				f.platform.Estrange("eve/shop")
			}
			if c.check != "" {
				if _, err := f.platform.AddCheck("acme/shop", c.check); err != nil {
					t.Fatal(err)
				}
			}
			startSandbox(t, f.sandbox)
			sha := f.commit(t, "readme.txt", "nothing\n")
			if c.pipeline {
				f.pipeline(t, sha)
			}
			f.tell(t, "opened", head(sha))
			if c.state == "note" {
				f.comment(t, "the note", func(text string) bool { return strings.Contains(text, "**success**") })
			} else {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				status, err := f.platform.Wait(ctx, func(s fakeforge.Status) bool { return s.SHA == sha && s.State == c.state })
				if err != nil || status.Project != c.project {
					t.Fatalf("%+v, %v: want it in %s", status, err, c.project)
				}
			}
			eventually(t, "explain to say where it stands", func() (bool, bool) {
				out := command(t, "explain", "--config", f.file(t), sha).out
				return true, strings.Contains(out, "it is shown "+c.said)
			})
			page := shownPage(t, f.sandbox, "/scans/"+scansOf(t, f.sandbox, sha)[0].Ref)
			if !strings.Contains(html.UnescapeString(page), "Shown on gitlab "+c.said) {
				t.Errorf("the page does not say that it is shown %s", c.said)
			}
		})
	}
}

// shownPage is a page as somebody sees it who has logged in.
func shownPage(t *testing.T, w *sandbox, path string) string {
	t.Helper()
	answer, err := loggedIn(t, w).Get(w.scanhook + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, answer.Status, err)
	}
	return string(text)
}

// A commit that was only compared with shows no status, until somebody pushes it.
func TestComparedCommitsShowNoStatus(t *testing.T) {
	t.Parallel()
	f, sample := fork(t, sandboxConfig{kind: "github"})
	startSandbox(t, f.sandbox)
	sha := f.open(t, "readme.txt", "nothing\n")
	f.shows(t, sha, "success", "0 new, 5 known")
	if shown := f.platform.Statuses("acme/shop", sample.Head); len(shown) > 0 {
		t.Errorf("the commit that the request began from shows %+v", shown)
	}
	out := command(t, "explain", "--config", f.file(t), sample.Head).out
	if !strings.Contains(out, "the commit shows no status") {
		t.Errorf("explain says\n%s", out)
	}
	pushTo(t, f.sandbox, "main", sample.Before, sample.Head)
	f.shows(t, sample.Head, "failure", "5 new (3 critical, 2 high)") // the first scan of the project
	if scans := scansOf(t, f.sandbox, sample.Head); len(scans) != 1 || scans[0].Branch != "main" {
		t.Errorf("scans: %+v, want one, of the branch", scans)
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
	if scans := scansOf(t, w, sample.Head); len(scans) != 1 {
		t.Errorf("%d scans, want one", len(scans))
	}
}
