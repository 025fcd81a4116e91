// Package gitea is a fake Gitea or Forgejo: its commit statuses, webhooks, pushes and workflow runs. The bodies of its
// calls are GitHub's; rules, answers and payloads are its own.
package gitea

import (
	"net/http"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// New makes a fake Gitea without repositories.
func New(cfg fakeforge.Config) *fakeforge.Server {
	server := fakeforge.New(cfg)
	o := objects{server}
	e, s, h := events{o}, statuses{o}, hooks{o}
	server.Become(fakeforge.Forge{
		Name: "gitea", APIRoot: apiRoot,
		Pages: fakeforge.Pages{File: "src/commit/", Range: "L%d-L%d"},

		Token:        func(r *http.Request) string { return fakeforge.BearerToken(r, "bearer", "token") },
		Unauthorized: fakeforge.Refuse(http.StatusUnauthorized, "invalid username, password or token"),
		Forbidden:    "token does not have at least one of required scope(s)",

		Sign:       sign,
		KeyPerHook: true,

		MaxCommits: maxCommits,
		NewCommits: newCommits,
		Push:       e.push,
		Pipeline:   e.workflowRun,

		RateLimits: func(after time.Duration) []fakeforge.Fault {
			return []fakeforge.Fault{fakeforge.RateLimited(after)} // of the proxy in front: Gitea itself has no limit
		},
		UnknownCommit: unknownCommit,
		Overwrite:     s.overwrite,
	})
	o.addRoutes()
	e.addRoutes()
	s.addRoutes()
	h.addRoutes()
	return server
}
