// Package github is a fake GitHub, reached like an Enterprise Server: its commit statuses, webhooks with their log of
// deliveries, pushes and workflow runs.
package github

import (
	"net/http"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// hourlyCalls is how many calls of the API GitHub allows in an hour.
const hourlyCalls = 5000

// New makes a fake GitHub without repositories.
func New(cfg fakeforge.Config) *fakeforge.Server {
	server := fakeforge.New(cfg)
	o := objects{server}
	forge := fakeforge.Forge{
		Name: "github", APIRoot: apiRoot, Pages: fakeforge.Pages{File: "blob/", Range: "L%d-L%d"},
	}
	account{o}.register(&forge)
	(&events{objects: o, artifacts: map[int64][]int64{}}).register(&forge)
	statuses{o}.register(&forge)
	hooks{o}.register(&forge)
	IssueComments{server, o.commentAPI()}.Register(repositoryRoot)
	(&checks{objects: o, runs: map[int64]*CheckRun{}}).register(&forge)
	server.Become(forge)
	return server
}

// account is the API of the token and its account.
type account struct{ objects }

// register adds routes and describes this part of the forge.
func (a account) register(f *fakeforge.Forge) {
	f.Token = func(r *http.Request) string { return fakeforge.BearerToken(r, "bearer", "token") }
	f.Unauthorized = refuse(http.StatusUnauthorized, "Bad credentials")
	f.Forbidden = "Resource not accessible by personal access token"
	f.RateHeaders = a.setRateHeaders
	f.RateLimits = func(after time.Duration) []fakeforge.Fault {
		return []fakeforge.Fault{fakeforge.RateLimited(after), SecondaryLimit(after)}
	}
	a.Route("GET "+apiRoot+"/rate_limit", a.showRateLimit)
	a.Route("GET "+apiRoot+"/user", a.showUser)
	a.Route("GET "+apiRoot+"/user/repos", func(r *http.Request) fakeforge.Answer { return fakeforge.OK(a.DescribeRepositories(r)) })
}

func (a account) setRateHeaders(header http.Header, calls int) {
	a.SetRateHeaders(header, "X-RateLimit-", calls, hourlyCalls, time.Hour)
}

// tokenHeader is what GitHub reports of the token: scopes of classic tokens only, and the end where there is one.
func (a account) tokenHeader() http.Header {
	header := http.Header{}
	scopes, until := a.TokenInfo()
	if scopes != nil {
		header.Set("X-OAuth-Scopes", strings.Join(scopes, ", "))
	}
	if !until.IsZero() {
		header.Set("GitHub-Authentication-Token-Expiration", until.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return header
}

func (a account) showRateLimit(*http.Request) fakeforge.Answer {
	limit := map[string]any{
		"limit": hourlyCalls, "used": 0, "remaining": hourlyCalls, "reset": a.Now().Add(time.Hour).Unix(),
	}
	return fakeforge.Answer{Status: http.StatusOK, Header: a.tokenHeader(), Body: map[string]any{
		"resources": map[string]any{"core": limit, "search": limit}, "rate": limit,
	}}
}

func (a account) showUser(*http.Request) fakeforge.Answer {
	return fakeforge.Answer{Status: http.StatusOK, Header: a.tokenHeader(), Body: a.user(fakeforge.Bot.Login, fakeforge.Bot.ID, "User")}
}
