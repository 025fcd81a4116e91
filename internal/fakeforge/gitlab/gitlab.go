// Package gitlab is a fake GitLab: its commit statuses, which become jobs of pipelines, webhooks with their log of events
// and rules for failing ones, pushes and pipeline events.
package gitlab

import (
	"net/http"
	"strconv"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// callsPerMinute is how many calls of the API GitLab allows in a minute.
const callsPerMinute = 2000

// New makes a fake GitLab without repositories.
func New(cfg fakeforge.Config) *fakeforge.Server {
	server := fakeforge.New(cfg)
	o := objects{server}
	pipelines := newPipelines(o)
	forge := fakeforge.Forge{
		Name: "gitlab", APIRoot: apiRoot, Pages: fakeforge.Pages{Below: "-/", File: "blob/", Range: "L%d-%d"},
	}
	account{o}.register(&forge)
	events{o}.register(&forge)
	commits{o, pipelines}.register(&forge)
	statuses{o, pipelines}.register(&forge)
	newRequests(o).register(&forge)
	hooks{o, &limits{requests: map[string][]time.Time{}}}.register(&forge)
	server.Become(forge)
	return server
}

// token is the token of an API call, which GitLab takes from two headers.
func token(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return r.Header.Get("Private-Token")
	}
	return fakeforge.BearerToken(r, "bearer")
}

// account is the API of the token and its account.
type account struct{ objects }

// register adds routes and describes this part of the forge.
func (a account) register(f *fakeforge.Forge) {
	f.Token = token
	f.Unauthorized = fakeforge.Refuse(http.StatusUnauthorized, "401 Unauthorized")
	f.RateHeaders = a.setRateHeaders
	f.RateLimits = func(after time.Duration) []fakeforge.Fault {
		return []fakeforge.Fault{fakeforge.RateLimited(after)}
	}
	a.Route("GET "+apiRoot+"/personal_access_tokens/self", a.showToken)
	a.Route("GET "+apiRoot+"/user", a.showUser)
}

func (a account) setRateHeaders(header http.Header, calls int) {
	header.Set("RateLimit-Name", "throttle_authenticated_api")
	header.Set("RateLimit-Observed", strconv.Itoa(calls))
	a.SetRateHeaders(header, "RateLimit-", calls, callsPerMinute, time.Minute)
}

// showToken is GitLab's PersonalAccessToken entity. Tokens end with a day.
func (a account) showToken(*http.Request) fakeforge.Answer {
	scopes, until := a.TokenInfo()
	if scopes == nil {
		scopes = []string{"api"}
	}
	var expires *string
	if !until.IsZero() {
		day := until.UTC().Format(time.DateOnly)
		expires = &day
	}
	return fakeforge.OK(map[string]any{
		"id": 7, "name": fakeforge.Bot.Name, "revoked": false, "active": true, "scopes": scopes, "user_id": fakeforge.Bot.ID,
		"description": nil, "created_at": a.Now().UTC(), "last_used_at": nil, "expires_at": expires,
	})
}

func (a account) showUser(*http.Request) fakeforge.Answer {
	return fakeforge.OK(a.user())
}
