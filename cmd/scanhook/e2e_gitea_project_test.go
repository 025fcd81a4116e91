package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// giteaBot is the account that Scanhook posts as: no administrator, but a collaborator who may write.
const giteaBot = "scanhook"

// giteaSandbox is a Gitea and the Scanhook that it calls.
type giteaSandbox struct {
	*giteaServer
	*giteaReceiver
}

func newGiteaSandbox(t *testing.T) *giteaSandbox {
	t.Helper()
	server := startGitea(t)
	server.addUser(t, giteaBot, "--random-password")
	return server.scanhook(t, giteaOptions{token: server.addToken(t, giteaBot, "write:repository")})
}

// scanhook prepares one more Scanhook for a Gitea.
func (g *giteaServer) scanhook(t *testing.T, o giteaOptions) *giteaSandbox {
	t.Helper()
	return &giteaSandbox{g, newGiteaReceiver(t, g.base, o)}
}

// giteaProject is a private repository on Gitea with a work tree of the sample.
type giteaProject struct {
	*giteaSandbox
	name   string // full, owner/name
	sample gitrepo.Checkout
}

// newProject makes an empty repository, with a webhook for all that may concern Scanhook.
func (w *giteaSandbox) newProject(t *testing.T, name string) *giteaProject {
	t.Helper()
	p := &giteaProject{giteaSandbox: w, name: giteaOwner + "/" + name}
	w.call(t, http.MethodPost, "/user/repos", map[string]any{"name": name, "private": true, "default_branch": "main"}, nil)
	p.permit(t, "write")
	var err error
	if p.sample, err = gitrepo.Sample(t.Context(), filepath.Join(t.TempDir(), name)); err != nil {
		t.Fatal(err)
	}
	address := strings.Replace(w.base, "://", "://"+giteaOwner+":"+w.password+"@", 1)
	p.git(t, "remote", "add", "origin", fmt.Sprintf("%s/%s.git", address, p.name))
	return p
}

// permit gives giteaBot a right to the repository: read, write or admin.
func (p *giteaProject) permit(t *testing.T, right string) {
	t.Helper()
	p.call(t, http.MethodPut, "/repos/"+p.name+"/collaborators/"+giteaBot, map[string]any{"permission": right}, nil)
}

// addHook returns the webhook's id.
func (p *giteaProject) addHook(t *testing.T, contentType, secret string) int64 {
	t.Helper()
	var hook struct{ ID int64 }
	p.call(t, http.MethodPost, "/repos/"+p.name+"/hooks", map[string]any{
		"type": "gitea", "active": true,
		"events": []string{"push", "create", "delete", "status", "pull_request", "pull_request_sync", "workflow_run", "workflow_job"},
		"config": map[string]string{"url": p.hookURL(), "content_type": contentType, "secret": secret},
	}, &hook)
	return hook.ID
}

// git runs git in the work tree, without the configuration of the machine, and returns what it printed.
func (p *giteaProject) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", p.sample.Dir}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file, commits the whole work tree and returns the commit's id.
func (p *giteaProject) commit(t *testing.T, file, content string) string {
	t.Helper()
	path := filepath.Join(p.sample.Dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p.git(t, "add", "--all")
	p.git(t, "commit", "--quiet", "--message", "Change "+file)
	return p.git(t, "rev-parse", "HEAD")
}

func (p *giteaProject) push(t *testing.T, args ...string) {
	t.Helper()
	p.git(t, append([]string{"push", "--quiet", "origin"}, args...)...)
}

// pushed waits for the push event of a full ref that moved to a commit, or to any where that is empty.
func (p *giteaProject) pushed(t *testing.T, ref, sha string) giteaCall {
	t.Helper()
	return p.called(t, "push", p.name, func(payload giteaPayload) bool {
		return payload.Ref == ref && (sha == "" || payload.After == sha)
	})
}

// giteaStatus is what Gitea shows beside a commit.
type giteaStatus struct {
	State       string `json:"status"`
	Description string
	Context     string
	TargetURL   string `json:"target_url"`
}

// final waits until Gitea shows a final state of ours.
func (p *giteaProject) final(t *testing.T, sha string) giteaStatus {
	t.Helper()
	return eventually(t, "the final status of "+p.name+" "+sha, func() (giteaStatus, bool) {
		var combined struct{ Statuses []giteaStatus }
		p.call(t, http.MethodGet, "/repos/"+p.name+"/commits/"+sha+"/status", nil, &combined)
		for _, status := range combined.Statuses {
			if status.Context == "scanhook" && status.State != "pending" {
				return status, true
			}
		}
		return giteaStatus{}, false
	})
}
