package main

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A real Gitea is the one GitHub-shaped platform that a test can have on this machine: it signs, delivers, serves git
// and takes statuses with code that is not ours.
func TestGitea(t *testing.T) {
	t.Parallel()
	w := newGiteaSandbox(t)
	w.start(t, true)
	unheard := w.overwritten(t, "unheard", "push") // a minute passes before Scanhook looks
	for name, step := range map[string]func(*testing.T, *giteaSandbox){
		"hooks":        testGiteaHooks,
		"hook mends":   testGiteaHookMends,
		"token":        testGiteaToken,
		"credential":   testGiteaCredential,
		"overwritten":  testGiteaOverwritten,
		"findings":     testGiteaFindings,
		"refs":         testGiteaRefs,
		"many commits": testGiteaManyCommits,
		"test button":  testGiteaTestButton,
		"forced push":  testGiteaForcedPush,
		"fork":         testGiteaFork,
		"pipeline":     testGiteaPipeline,
		"restart":      testGiteaRestart,
		"refusals":     testGiteaRefusals,
		"hooks sync":   testGiteaHooksSync,
		"outage":       testGiteaOutage,
		"recover":      testGiteaRecover,
		"renamed":      testGiteaRenamed,
		"revoked":      testGiteaRevoked,
	} {
		t.Run(name, func(t *testing.T) { step(t, w) })
	}
	t.Run("overwritten unheard", unheard.putRight)
	for _, call := range w.noted() {
		if call.status/100 != 2 && !strings.HasPrefix(call.payload.Repository.FullName, refusedProjects) {
			t.Errorf("%s %+v was answered %d %+v", call.event, call.payload, call.status, call.answer)
		}
	}
}

func testGiteaFindings(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "shop")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, p.sample.Before+":refs/heads/main")
	wantStatus(t, p.final(t, p.sample.Before), "failure", "1 new (1 high)")
	p.push(t, "main")
	second := p.final(t, p.sample.Head)
	wantStatus(t, second, "failure", "4 new (3 critical, 1 high), 1 unresolved, 1 known")

	two := 2
	want := giteaScan{
		Platform: "gitea", Project: p.name, URL: p.base + "/" + p.name, Branch: "main", Commit: p.sample.Head,
		Before: p.sample.Before, Status: "completed", Summary: second.Description, ChangedFiles: &two,
	}
	if diff := cmp.Diff(want, p.scan(t, path.Base(second.TargetURL))); diff != "" {
		t.Errorf("scan (-want +got):\n%s", diff)
	}
	p.git(t, "rm", "--quiet", "-r", "config", "internal")
	clean := p.commit(t, "README.md", "# shop\n")
	p.push(t, "main")
	wantStatus(t, p.final(t, clean), "success", "0 new, 5 unresolved, 5 known") // secrets stay in history
	p.called(t, "status", p.name, func(giteaPayload) bool { return true })
}

func wantStatus(t *testing.T, got giteaStatus, state, description string) {
	t.Helper()
	if got.State != state || got.Description != description {
		t.Errorf("status = %s %q, want %s %q", got.State, got.Description, state, description)
	}
}

func wantOutcome(t *testing.T, call giteaCall, outcome string) {
	t.Helper()
	if call.status/100 != 2 || call.answer.Outcome != outcome {
		t.Errorf("%s of %s: %d %+v, want %s", call.event, call.payload.Ref, call.status, call.answer, outcome)
	}
}

func testGiteaRefs(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "refs")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, "main")
	wantOutcome(t, p.pushed(t, "refs/heads/main", p.sample.Head), "accepted")
	p.final(t, p.sample.Head) // it is what the tag is compared with
	p.push(t, "main:refs/heads/feature/login")
	wantOutcome(t, p.pushed(t, "refs/heads/feature/login", p.sample.Head), "accepted")

	tagged := p.commit(t, "version", "1\n")
	p.git(t, "tag", "--annotate", "--message", "One", "v1")
	p.push(t, "v1")
	tag := p.pushed(t, "refs/tags/v1", "")
	wantOutcome(t, tag, "accepted")
	wantStatus(t, p.final(t, tagged), "success", "0 new, 5 known")
	if got := p.scan(t, tag.answer.Scan); got.Commit != tagged || got.Branch != "v1" {
		t.Errorf("scan = %+v, want commit %s of v1", got, tagged)
	}

	p.push(t, "--delete", "feature/login", "v1")
	wantOutcome(t, p.pushed(t, "refs/tags/v1", strings.Repeat("0", 40)), "ignored")
	for event, refs := range map[string][]string{
		"create": {"v1"},
		"delete": {"feature/login", "v1"}, // of a branch, Gitea sends no push
	} {
		for _, ref := range refs {
			call := p.called(t, event, p.name, func(payload giteaPayload) bool { return payload.Ref == ref })
			wantOutcome(t, call, "ignored")
		}
	}
}

// Gitea tells five commits of a push, however many there are.
func testGiteaManyCommits(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "many")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, "main")
	p.final(t, p.sample.Head)
	last := ""
	for i := range 7 {
		last = p.commit(t, fmt.Sprintf("notes/%d.txt", i), "A note.\n")
	}
	p.push(t, "main")
	reference := p.pushed(t, "refs/heads/main", last).answer.Scan
	wantStatus(t, p.final(t, last), "success", "0 new, 5 unresolved, 5 known")
	files := map[bool]int{true: 5, false: 7} // of the five commits that the call lists, and of all once Gitea was asked
	if got := p.scan(t, reference); got.ChangedFiles == nil || *got.ChangedFiles != files[got.Truncated] {
		t.Errorf("scan = %+v, want at least 5 changed files, or 7", got)
	}
}

// The button sends a push of the last commit that starts where it ends. Who presses it wants to see that all works.
func testGiteaTestButton(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "button")
	p.push(t, "main")
	eventually(t, "Gitea to see the push", func() (struct{}, bool) {
		var repository struct{ Empty bool }
		p.call(t, http.MethodGet, "/repos/"+p.name, nil, &repository)
		return struct{}{}, !repository.Empty
	})
	hook := p.addHook(t, "json", p.secrets["SECRET"])
	press := fmt.Sprintf("/repos/%s/hooks/%d/tests", p.name, hook)
	p.call(t, http.MethodPost, press, nil, nil)
	wantOutcome(t, p.pushed(t, "refs/heads/main", p.sample.Head), "accepted")
	wantStatus(t, p.final(t, p.sample.Head), "failure", "5 new (3 critical, 2 high)")
}
