// Package github is a fake GitHub, reached like an Enterprise Server: its commit statuses, webhooks with their log of
// deliveries, pushes and workflow runs.
package github

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

const (
	apiRoot     = "/api/v3"
	hourlyCalls = 5000
	maxCommits  = 2048 // that a push lists, the newest ones
	appID       = 4    // of the only GitHub App
)

type forge struct {
	*fakeforge.Server

	mu        sync.Mutex
	artifacts map[int64][]int64 // their sizes, by the id of the run
}

// New makes a fake GitHub without repositories.
func New(cfg fakeforge.Config) *fakeforge.Server {
	f := &forge{artifacts: map[int64][]int64{}}
	f.Server = fakeforge.New(cfg, fakeforge.Forge{
		Name: "github", APIRoot: apiRoot,
		Pages:        fakeforge.Pages{File: "blob/", Range: "L%d-L%d"},
		Token:        func(r *http.Request) string { return fakeforge.BearerToken(r, "bearer", "token") },
		Unauthorized: refuse(http.StatusUnauthorized, "Bad credentials"),
		Forbidden:    "Resource not accessible by personal access token",
		RateHeaders: func(header http.Header, calls int) {
			f.SetRateHeaders(header, "X-RateLimit-", calls, hourlyCalls, time.Hour)
		},
		Events:     map[string]string{"push": "push", "workflow_run": "workflow_run", "ping": "ping"},
		Sign:       sign,
		MaxCommits: maxCommits, NewCommits: newCommits,
		Push: f.push, Pipeline: f.workflowRun,
		RateLimits: rateLimits, UnknownCommit: unknownCommit,
		Overwrite: f.overwrite,
	})
	f.addRoutes()
	return f.Server
}

func (f *forge) addRoutes() {
	f.Route("GET "+apiRoot+"/rate_limit", f.showRateLimit)
	f.Route("GET "+apiRoot+"/user", f.showUser)
	const repository = apiRoot + "/repos/{owner}/{name}"
	f.Route("POST "+repository+"/statuses/{sha}", f.Refusable(f.postStatus))
	f.Route("GET "+repository+"/commits/{sha}/statuses", f.listStatuses)
	f.Route("GET "+repository+"/compare/{range...}", f.compare)
	f.Route("GET "+repository+"/actions/runs/{run}/artifacts", f.listArtifacts)
	for _, owner := range []string{repository, apiRoot + "/orgs/{group}"} {
		f.Route("GET "+owner+"/hooks", f.listHooks)
		f.Route("POST "+owner+"/hooks", f.createHook)
		f.Route("GET "+owner+"/hooks/{hook}", f.WithHook(f.showHook))
		f.Route("PATCH "+owner+"/hooks/{hook}", f.WithHook(f.editHook))
		f.Route("POST "+owner+"/hooks/{hook}/pings", f.WithHook(f.pingHook))
		f.addDeliveryRoutes(owner + "/hooks/{hook}")
	}
	const app = apiRoot + "/app"
	f.Route("GET "+app, f.WithHook(f.showApp))
	f.Route("GET "+app+"/hook/config", f.WithHook(f.showAppHook))
	f.Route("PATCH "+app+"/hook/config", f.WithHook(f.editAppHook))
	f.addDeliveryRoutes(app + "/hook")
}

func (f *forge) addDeliveryRoutes(hook string) {
	f.Route("GET "+hook+"/deliveries", f.WithHook(f.listDeliveries))
	f.Route("GET "+hook+"/deliveries/{delivery}", f.WithHook(f.showDelivery))
	f.Route("POST "+hook+"/deliveries/{delivery}/attempts", f.WithHook(f.redeliver))
}

// refuse is GitHub's error document.
func refuse(status int, message string) fakeforge.Answer {
	return fakeforge.Answer{Status: status, Reason: message, Body: map[string]any{
		"message": message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(status),
	}}
}

// tokenHeader is what GitHub reports of the token: scopes of classic tokens only, and the end where there is one.
func (f *forge) tokenHeader() http.Header {
	header := http.Header{}
	scopes, until := f.TokenInfo()
	if scopes != nil {
		header.Set("X-OAuth-Scopes", strings.Join(scopes, ", "))
	}
	if !until.IsZero() {
		header.Set("GitHub-Authentication-Token-Expiration", until.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return header
}

func (f *forge) showRateLimit(*http.Request) fakeforge.Answer {
	limit := map[string]any{
		"limit": hourlyCalls, "used": 0, "remaining": hourlyCalls, "reset": f.Now().Add(time.Hour).Unix(),
	}
	return fakeforge.Answer{Status: http.StatusOK, Header: f.tokenHeader(), Body: map[string]any{
		"resources": map[string]any{"core": limit, "search": limit}, "rate": limit,
	}}
}

func (f *forge) showUser(*http.Request) fakeforge.Answer {
	return fakeforge.Answer{Status: http.StatusOK, Header: f.tokenHeader(), Body: f.user(fakeforge.Bot.Login, fakeforge.Bot.ID, "User")}
}

// compare answers GET /repos/{owner}/{name}/compare/{base}...{head} with the merge base and without files.
func (f *forge) compare(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	base, head, ranged := strings.Cut(r.PathValue("range"), "...")
	if !ok || !ranged {
		return refuse(http.StatusNotFound, "Not Found")
	}
	common, err := repo.MergeBase(r.Context(), base, head)
	switch {
	case err != nil:
		return f.Crashed(r, err)
	case common == "":
		return refuse(http.StatusNotFound, "No common ancestor between "+base+" and "+head+".")
	}
	return fakeforge.OK(map[string]any{
		"merge_base_commit": map[string]any{"sha": common}, "commits": []any{}, "files": []any{},
	})
}
