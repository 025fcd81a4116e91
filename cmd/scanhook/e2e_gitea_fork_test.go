package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A request from a fork gets its status in the project: on its head, with each push, and once more with another target. One comment on the
// request says the same.
func testGiteaFork(t *testing.T, w *giteaSandbox) {
	w = w.scanhook(t, giteaOptions{
		token: w.addToken(t, giteaBot, "write:repository,write:issue"), match: giteaOwner + "/forked", comment: "note",
	})
	w.start(t, true)
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
	p.comment(t, "passed", "0 new, 5 known", first[:7])

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
	id := p.comment(t, "failed", "4 new (3 critical, 1 high), 1 known", second[:7])
	p.call(t, http.MethodDelete, fmt.Sprintf("/repos/%s/issues/comments/%d", p.name, id), nil, nil)
	p.call(t, http.MethodPatch, "/repos/"+p.name+pull, map[string]any{"base": "main"}, nil)
	if again := p.comment(t, "passed", "0 new, 5 known", second[:7]); again == id {
		t.Errorf("comment %d is still there", id)
	}
	p.call(t, http.MethodPatch, "/repos/"+p.name+pull, map[string]any{"state": "closed"}, nil)
	p.called(t, "pull_request", p.name, func(payload giteaPayload) bool { return payload.Action == "closed" })
	p.call(t, http.MethodPatch, "/repos/"+p.name+pull, map[string]any{"state": "open"}, nil)
	p.called(t, "pull_request", p.name, func(payload giteaPayload) bool { return payload.Action == "reopened" })
	p.final(t, second)
}

// comment waits until request 1 has one comment, which says all that, and returns its number.
func (p *giteaProject) comment(t *testing.T, sentences ...string) int64 {
	t.Helper()
	return eventually(t, fmt.Sprintf("a comment with %q", sentences), func() (int64, bool) {
		var list []struct {
			ID   int64
			Body string
		}
		p.call(t, http.MethodGet, "/repos/"+p.name+"/issues/1/comments", nil, &list)
		if len(list) > 1 {
			t.Fatalf("the request has %d comments: %+v", len(list), list)
		}
		if len(list) == 0 {
			return 0, false
		}
		return list[0].ID, says(sentences...)(list[0].Body)
	})
}
