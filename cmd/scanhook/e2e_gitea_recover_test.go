package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/scanhook/scanhook/store"
)

// deaf stands in the place of a Scanhook whose proxy answers 503: what is announced meanwhile is lost, for Gitea does
// not send it again.
func (r *giteaReceiver) deaf(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r.noting(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))}
	go func() { _ = server.Serve(listener) }()
	r.end = sync.OnceValue(server.Close)
}

// lost waits until the push of a ref was announced to nobody.
func (p *giteaProject) lost(t *testing.T, ref string, sha string) {
	t.Helper()
	if call := p.pushed(t, ref, sha); call.status != http.StatusServiceUnavailable {
		t.Fatalf("the push of %s arrived: %+v", ref, call)
	}
}

// recovered makes sure that a commit has one scan, which no webhook asked for, and a status.
func (p *giteaProject) recovered(t *testing.T, db *store.Store, sha string) {
	t.Helper()
	p.final(t, sha)
	scans, err := db.ListScans(t.Context(), store.ScanFilter{CommitSHA: sha, Limit: 5})
	if err != nil || len(scans) != 1 || scans[0].Origin != "recover" || scans[0].ProjectName != p.name {
		t.Errorf("scans of %s: %+v, %v, want one that recover opened", sha, scans, err)
	}
}

// watched waits until what the recover loop knows of the project is as wanted.
func (p *giteaProject) watched(t *testing.T, db *store.Store, what string, wanted func(store.TrackedProject) bool) {
	t.Helper()
	eventually(t, what, func() (struct{}, bool) {
		watched, err := db.GetTrackedProject(t.Context(), "gitea", p.name)
		return struct{}{}, err == nil && wanted(watched)
	})
}

// Nobody listens while a branch moves, and a branch and a tag come.
func testGiteaOutage(t *testing.T, w *giteaSandbox) {
	w = w.scanhook(t, giteaOptions{token: w.secrets["TOKEN"], match: giteaOwner + "/outage", recover: "2s"})
	w.start(t, true)
	p := w.newProject(t, "outage")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, p.sample.Before+":refs/heads/main")
	p.final(t, p.sample.Before)
	db := p.look(t)
	p.watched(t, db, "the first look", func(w store.TrackedProject) bool { return w.SyncedAt != nil })
	p.stop(t)

	p.deaf(t)
	p.push(t, "main")
	feature := p.commit(t, "feature.txt", "Something new.\n")
	p.push(t, feature+":refs/heads/feature/login")
	tagged := p.commit(t, "version", "1\n")
	p.git(t, "tag", "--annotate", "--message", "One", "v1")
	p.push(t, "v1")
	p.lost(t, "refs/heads/main", p.sample.Head)
	p.lost(t, "refs/heads/feature/login", feature)
	p.lost(t, "refs/tags/v1", "")
	p.stop(t)

	p.start(t, true)
	for _, sha := range []string{p.sample.Head, feature, tagged} {
		p.recovered(t, db, sha)
	}
	wantStatus(t, p.final(t, p.sample.Head), "failure", "4 new (3 critical, 1 high), 1 unresolved, 1 known")
	if said := p.said.lines("merge base not known"); len(said) > 0 {
		t.Errorf("Gitea did not tell where the branch left main: %q", said)
	}
}

// By hand, without any webhook: an empty project, its first push, and a new name.
func testGiteaRecover(t *testing.T, w *giteaSandbox) {
	w = w.scanhook(t, giteaOptions{token: w.secrets["TOKEN"], match: giteaOwner + "/renamed*"})
	w.start(t, true)
	p := w.newProject(t, "renamed")
	db := p.look(t)
	recovers := func(wants ...string) {
		t.Helper()
		p.runs(t, "recover", "gitea/acme/renamed").expect(t, 0, wants...)
	}
	recovers("gitea/acme/renamed: nothing missed (0 refs)")
	p.push(t, p.sample.Before+":refs/heads/main")
	recovers("gitea/acme/renamed: 1 missed (1 ref)", "scan_created "+p.sample.Before[:7]+"  refs/heads/main")
	p.recovered(t, db, p.sample.Before)
	recovers("nothing missed (1 ref)")

	p.push(t, "main")
	p.rename(t, "renamed-again")
	recovers("gitea/acme/renamed-again: 1 missed (1 ref)", "scan_created "+p.sample.Head[:7])
	p.recovered(t, db, p.sample.Head)
}

// A finding is dismissed after its project got another name, of which nobody told us: the status follows Gitea's
// redirect.
func testGiteaRenamed(t *testing.T, w *giteaSandbox) {
	w = w.scanhook(t, giteaOptions{token: w.secrets["TOKEN"], match: giteaOwner + "/moved*"})
	w.start(t, true)
	p := w.newProject(t, "moved")
	p.addHook(t, "json", p.secrets["SECRET"])
	p.push(t, p.sample.Before+":refs/heads/main")
	shown := p.final(t, p.sample.Before)
	p.rename(t, "moved-away")
	var found struct{ Items []struct{ ID int64 } }
	p.api(t, http.MethodGet, "/scans/"+path.Base(shown.TargetURL)+"/findings", nil, &found)
	for _, finding := range found.Items {
		p.api(t, http.MethodPost, fmt.Sprintf("/findings/%d/feedback", finding.ID), map[string]any{"user_verdict": "FP", "comments": "a fixture"}, nil)
	}
	eventually(t, "the dismissal to be shown", func() (struct{}, bool) {
		return struct{}{}, p.final(t, p.sample.Before).State == "success"
	})
}

func (p *giteaProject) rename(t *testing.T, name string) {
	t.Helper()
	p.call(t, http.MethodPatch, "/repos/"+p.name, map[string]any{"name": name}, nil)
	p.name = giteaOwner + "/" + name
}

// What the token may not read is told once, is left alone for longer and longer, and heals: a right that comes back by
// itself, a revoked token with the next start.
func testGiteaRevoked(t *testing.T, w *giteaSandbox) {
	token := w.addToken(t, giteaBot, "write:repository")
	w = w.scanhook(t, giteaOptions{token: token, match: giteaOwner + "/revoked", recover: "2s"})
	p := w.newProject(t, "revoked")
	p.push(t, p.sample.Before+":refs/heads/main")
	p.start(t, true)
	db := p.look(t)
	p.recovered(t, db, p.sample.Before)

	p.call(t, http.MethodDelete, "/repos/"+p.name+"/collaborators/"+giteaBot, nil, nil)
	p.push(t, "main")
	p.watched(t, db, "a refused look", func(w store.TrackedProject) bool { return strings.Contains(w.LastError, "answers 404") })
	p.permit(t, "write")
	p.recovered(t, db, p.sample.Head)

	p.revoke(t, giteaBot, token)
	last := p.commit(t, "last.txt", "Nobody may read it.\n")
	p.push(t, "main")
	p.watched(t, db, "two refused looks", func(w store.TrackedProject) bool {
		return w.Failures > 1 && strings.Contains(w.LastError, "answers 401: check that the project exists and that the platform's token may")
	})
	if said := p.said.lines("WARN", "branches cannot be read"); len(said) != 2 {
		t.Errorf("each trouble is told once, got %q", said)
	}
	p.stop(t)
	p.useToken(t, p.addToken(t, giteaBot, "write:repository"))
	p.start(t, true)
	p.recovered(t, db, last)
}

// revoke deletes a token, which Gitea lets nobody do who comes with a token.
func (g *giteaServer) revoke(t *testing.T, owner, token string) {
	t.Helper()
	password := "Basic " + base64.StdEncoding.EncodeToString([]byte(giteaOwner+":"+g.password))
	address := g.base + "/api/v1/users/" + owner + "/tokens"
	var tokens []struct {
		ID   int64
		Last string `json:"token_last_eight"`
	}
	callJSON(t, address, http.MethodGet, password, nil, &tokens)
	for _, known := range tokens {
		if strings.HasSuffix(token, known.Last) {
			callJSON(t, fmt.Sprint(address, "/", known.ID), http.MethodDelete, password, nil, nil)
		}
	}
}
