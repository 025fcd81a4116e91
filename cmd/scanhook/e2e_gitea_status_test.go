package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// posted lists all statuses of ours that Gitea has for a commit, the oldest first, as "creator state".
func (p *giteaProject) posted(t *testing.T, sha string) (posts []string) {
	t.Helper()
	type status struct {
		ID      int64
		State   string `json:"status"`
		Context string
		Creator struct{ Login string }
	}
	var list []status
	p.call(t, http.MethodGet, "/repos/"+p.name+"/statuses/"+sha+"?limit=50", nil, &list)
	slices.SortFunc(list, func(a, b status) int { return int(a.ID - b.ID) })
	for _, s := range list {
		if s.Context == "scanhook" {
			posts = append(posts, s.Creator.Login+" "+s.State)
		}
	}
	return posts
}

// strangeStatus is a project one of whose statuses a stranger has overwritten.
type strangeStatus struct {
	*giteaProject
	sha string
}

// overwrite has giteaOwner post over our status.
func (s strangeStatus) overwrite(t *testing.T) {
	t.Helper()
	s.call(t, http.MethodPost, "/repos/"+s.name+"/statuses/"+s.sha, map[string]any{
		"context": "scanhook", "state": "success", "description": "all is well",
	}, nil)
}

// overwritten prepares one in a project whose webhook announces the events.
func (w *giteaSandbox) overwritten(t *testing.T, name string, events ...string) strangeStatus {
	t.Helper()
	p := w.newProject(t, name)
	hook := p.addHook(t, "json", p.secrets["SECRET"])
	p.call(t, http.MethodPatch, fmt.Sprintf("/repos/%s/hooks/%d", p.name, hook), map[string]any{"events": events}, nil)
	p.push(t, "main")
	wantStatus(t, p.final(t, p.sample.Head), "failure", "5 new (3 critical, 2 high)")
	s := strangeStatus{p, p.sample.Head}
	s.overwrite(t)
	return s
}

// putRight waits until ours is shown again, which it is once.
func (s strangeStatus) putRight(t *testing.T) {
	t.Helper()
	ours, strange := giteaBot+" failure", giteaOwner+" success"
	want := []string{giteaBot + " pending", ours, strange, ours}
	var got []string
	inTime(t, "our status to stand again", func() bool {
		got = s.posted(t, s.sha)
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("statuses: %q, want %q", got, want)
	}
}

// What Gitea announces makes Scanhook look at once. Our own statuses come back as well, and are not taken for a
// stranger's.
func testGiteaOverwritten(t *testing.T, w *giteaSandbox) {
	begun := time.Now()
	w.overwritten(t, "overwritten", "push", "status").putRight(t)
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("put right after %s, want sooner than the look that comes anyway", took)
	}
}

// A token may do too little in two ways: by its scope, and by its owner's rights. Both are told, and healed.
func testGiteaToken(t *testing.T, w *giteaSandbox) {
	owner := w.scanhook(t, giteaOptions{token: w.addToken(t, giteaBot, "read:repository"), match: giteaOwner + "/token"})
	owner.start(t, true)
	p := owner.newProject(t, "token")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, p.sample.Before+":refs/heads/main")
	p.inTrouble(t, http.StatusForbidden, `token scope=read:repository": give the token the scope write:repository`)
	p.push(t, "main")
	p.pushed(t, "refs/heads/main", p.sample.Head)
	p.runs(t, "check").expect(t, exitFailed, "fail  statuses of gitea/acme/token: kept since", "write:repository")
	p.stop(t)

	p.permit(t, "read")
	p.useToken(t, w.secrets["TOKEN"])
	p.start(t, true)
	eventually(t, "the new token to be tried", func() (struct{}, bool) {
		return struct{}{}, len(p.said.lines("WARN", "kept and shown, but not posted")) == 2
	})
	p.inTrouble(t, http.StatusForbidden, "the right to write to the project")
	db := p.look(t)
	eventually(t, "the scan that was given back to end", func() (struct{}, bool) {
		list, err := db.ListScans(t.Context(), store.ScanFilter{CommitSHA: p.sample.Head, Project: p.name, Limit: 1})
		return struct{}{}, err == nil && len(list) == 1 && list[0].Status.Ended()
	})
	p.permit(t, "write")
	p.runs(t, "check").expect(t, exitFailed, "tried again now")
	wantStatus(t, p.final(t, p.sample.Before), "failure", "1 new (1 high)")
	wantStatus(t, p.final(t, p.sample.Head), "failure", "4 new (3 critical, 1 high), 1 unresolved, 1 known")
	for _, sha := range []string{p.sample.Before, p.sample.Head} {
		if got := p.posted(t, sha); len(got) != 1 {
			t.Errorf("statuses of %s: %q, want the last state only", sha, got)
		}
	}
}

// inTrouble waits until the project is flagged, and looks what is said of it.
func (p *giteaProject) inTrouble(t *testing.T, code int, reason string) {
	t.Helper()
	db := p.look(t)
	got := eventually(t, "the project to be flagged", func() (core.Hold, bool) {
		list, err := db.ListHolds(t.Context(), "gitea", p.name)
		return append(list, core.Hold{})[0], err == nil && len(list) == 1
	})
	if got.Code != code || !strings.Contains(got.Reason, reason) {
		t.Errorf("trouble = %+v, want %d %s", got, code, reason)
	}
}
