package main

import (
	"net/http"
	"strings"
	"testing"
)

func testGiteaForcedPush(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "forced")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, "main")
	p.final(t, p.sample.Head)
	p.git(t, "reset", "--quiet", "--hard", p.sample.Before)
	other := p.commit(t, "other.txt", "Another way.\n")
	p.push(t, "--force", "main")
	wantStatus(t, p.final(t, other), "success", "0 new, 5 unresolved, 5 known") // what was pushed once is known to whoever fetched it
}

const giteaWorkflow = `
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    steps: [{run: make}]
`

// No runner takes the workflow: Gitea announces that it waits.
func testGiteaPipeline(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "pipeline")
	p.addHook(t, "json", p.secrets["SECRET"])
	built := p.commit(t, ".gitea/workflows/ci.yml", giteaWorkflow)
	p.push(t, "main")
	p.called(t, "workflow_run", p.name, func(payload giteaPayload) bool { return payload.Action == "requested" })
	p.final(t, built)
}

// A merged pull request is a push like any other, and what was acknowledged outlives the process.
func testGiteaRestart(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "restart")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, p.sample.Before+":refs/heads/main")
	p.final(t, p.sample.Before)
	p.push(t, "main:refs/heads/deploy")
	p.final(t, p.sample.Head)
	request := map[string]any{"title": "Deploy", "head": "deploy", "base": "main"}
	p.call(t, http.MethodPost, "/repos/"+p.name+"/pulls", request, nil)
	p.called(t, "pull_request", p.name, func(payload giteaPayload) bool { return payload.Action == "opened" })

	w.stop(t)
	w.start(t, false)
	p.call(t, http.MethodPost, "/repos/"+p.name+"/pulls/1/merge", map[string]any{"Do": "merge"}, nil)
	p.git(t, "fetch", "--quiet", "origin", "main")
	merged := p.git(t, "rev-parse", "FETCH_HEAD")
	push := p.pushed(t, "refs/heads/main", merged)
	wantOutcome(t, push, "accepted")
	if got := p.scan(t, push.answer.Scan); got.Status != "pending" {
		t.Errorf("scan = %+v, want a pending one", got)
	}
	w.stop(t)
	w.start(t, true)
	wantStatus(t, p.final(t, merged), "failure", "4 new (3 critical, 1 high), 1 unresolved, 1 known")
}

// refusedProjects are the only ones whose calls are not answered with 2xx.
const refusedProjects = giteaOwner + "/refused-"

// Gitea shows the answer to the person who made the mistake in the settings of the webhook.
func testGiteaRefusals(t *testing.T, w *giteaSandbox) {
	for mistake, hook := range map[string]struct{ contentType, secret, advice string }{
		"no-secret":    {"json", "", "set a secret in the settings of the webhook"},
		"other-secret": {"json", "another", "check that the webhook has the same secret"},
		"form":         {"form", w.secrets["SECRET"], "application/json"}, // Gitea signs what is in the form, GitHub the form
	} {
		p := w.newProject(t, "refused-"+mistake)
		p.addHook(t, hook.contentType, hook.secret)
		p.push(t, "main")
		call := p.pushed(t, "refs/heads/main", p.sample.Head)
		if call.status != http.StatusUnauthorized || !strings.Contains(call.answer.Detail, hook.advice) {
			t.Errorf("%s: %d %+v, want %q", mistake, call.status, call.answer, hook.advice)
		}
	}
}
