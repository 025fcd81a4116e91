// Package gitea is a fake Gitea or Forgejo: its commit statuses, webhooks, pushes and workflow runs. The bodies of its
// calls are GitHub's; rules, answers and payloads are its own.
package gitea

import (
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
)

// New makes a fake Gitea without repositories.
func New(cfg fakeforge.Config) *fakeforge.Server {
	server := fakeforge.New(cfg)
	o := objects{server}
	forge := fakeforge.Forge{
		Name: "gitea", APIRoot: apiRoot, Pages: fakeforge.Pages{File: "src/commit/", Range: "L%d-L%d"},
	}
	o.register(&forge)
	events{o}.register(&forge)
	statuses{o}.register(&forge)
	hooks{o}.addRoutes()
	github.IssueComments{Server: server, API: o.commentAPI()}.Register(repositoryRoot)
	server.Become(forge)
	return server
}
