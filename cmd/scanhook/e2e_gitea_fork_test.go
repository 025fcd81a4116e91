package main

import (
	"net/http"
	"strings"
	"testing"
)

// A request from a fork gets its status in the project: on its head, with each push, and once more with another target.
func testGiteaFork(t *testing.T, w *giteaSandbox) {
	p := w.newProject(t, "forked")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, p.sample.Before+":refs/heads/release")
	p.final(t, p.sample.Before)
	p.push(t, "main")
	p.final(t, p.sample.Head)

	p.call(t, http.MethodPost, "/orgs", map[string]any{"username": "forkers"}, nil)
	p.call(t, http.MethodPost, "/repos/"+p.name+"/forks", map[string]any{"organization": "forkers"}, nil)
	p.git(t, "remote", "add", "fork", strings.Replace(p.git(t, "remote", "get-url", "origin"), p.name, "forkers/forked", 1))
	first := p.commit(t, "note.txt", "A note.\n")
	p.git(t, "push", "--quiet", "fork", "main")
	request := map[string]any{"title": "From a fork", "head": "forkers:main", "base": "main"}
	p.call(t, http.MethodPost, "/repos/"+p.name+"/pulls", request, nil)
	wantStatus(t, p.final(t, first), "success", "0 new, 5 known")

	second := p.commit(t, "note.txt", "Another note.\n")
	p.git(t, "push", "--quiet", "fork", "main")
	p.called(t, "pull_request", p.name, func(payload giteaPayload) bool { return payload.Action == "synchronized" })
	wantStatus(t, p.final(t, second), "success", "0 new, 5 known")

	const pull = "/pulls/1"
	p.call(t, http.MethodPatch, "/repos/"+p.name+pull, map[string]any{"base": "release"}, nil)
	eventually(t, "the status for the other target", func() (bool, bool) {
		got := p.final(t, second)
		return true, got.State == "failure" && got.Description == "4 new (3 critical, 1 high), 1 known"
	})
	p.call(t, http.MethodPatch, "/repos/"+p.name+pull, map[string]any{"state": "closed"}, nil)
	p.called(t, "pull_request", p.name, func(payload giteaPayload) bool { return payload.Action == "closed" })
	p.call(t, http.MethodPatch, "/repos/"+p.name+pull, map[string]any{"state": "open"}, nil)
	p.called(t, "pull_request", p.name, func(payload giteaPayload) bool { return payload.Action == "reopened" })
	p.final(t, second)
}
