// Package gitlab is a fake GitLab: its commit statuses, which become jobs of pipelines, webhooks with their log of events
// and rules for failing ones, pushes and pipeline events.
package gitlab

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

const (
	apiRoot        = "/api/v4"
	callsPerMinute = 2000
	maxCommits     = 20 // that a push lists, the newest ones
)

type forge struct {
	*fakeforge.Server
	ci     pipelines
	limits limits
}

// New makes a fake GitLab without repositories.
func New(cfg fakeforge.Config) *fakeforge.Server {
	f := &forge{ci: newPipelines(), limits: limits{requests: map[string][]time.Time{}}}
	f.Server = fakeforge.New(cfg, fakeforge.Forge{
		Name: "gitlab", APIRoot: apiRoot,
		Pages:        fakeforge.Pages{Below: "-/", File: "blob/", Range: "L%d-%d"},
		Token:        token,
		Unauthorized: fakeforge.Refuse(http.StatusUnauthorized, "401 Unauthorized"),
		RateHeaders:  f.setRateHeaders,
		Events:       map[string]string{"push": "Push Hook", "tag_push": "Tag Push Hook", "pipeline": "Pipeline Hook"},
		Sign:         f.sign, SignsAnew: true, KeyPerHook: true,
		Subscription: subscription,
		Attempted:    attempted,
		Disabled:     f.disabled,
		MaxCommits:   maxCommits, NewCommits: newCommits,
		Push: f.push, Pipeline: f.pipelineEvent,
		RateLimits: rateLimits, UnknownCommit: unknownCommit,
		Overwrite:   f.overwrite,
		AddPipeline: f.addPipeline,
	})
	f.addRoutes()
	return f.Server
}

func (f *forge) addRoutes() {
	f.Route("GET "+apiRoot+"/personal_access_tokens/self", f.showToken)
	f.Route("GET "+apiRoot+"/user", f.showUser)
	const project = apiRoot + "/projects/{id}"
	f.Route("GET "+project, f.showProject)
	f.Route("GET "+project+"/pipelines", f.listPipelines)
	f.Route("GET "+project+"/repository/commits/{sha}", f.showCommit)
	f.Route("GET "+project+"/repository/commits/{sha}/statuses", f.listStatuses)
	f.Route("GET "+project+"/repository/merge_base", f.mergeBase)
	f.RouteAround("POST "+project+"/statuses/{sha}", f.Refusable(f.postStatus), f.serialised)
	for _, owner := range []string{project, apiRoot + "/groups/{group}"} {
		f.Route("GET "+owner+"/hooks", f.listHooks)
		f.Route("POST "+owner+"/hooks", f.addHook)
		f.Route("GET "+owner+"/hooks/{hook}", f.WithHook(f.showHook))
		f.Route("PUT "+owner+"/hooks/{hook}", f.WithHook(f.editHook))
		f.Route("POST "+owner+"/hooks/{hook}/test/{trigger}", f.WithHook(f.testHook))
		f.Route("GET "+owner+"/hooks/{hook}/events", f.WithHook(f.listEvents))
		f.Route("POST "+owner+"/hooks/{hook}/events/{event}/resend", f.WithHook(f.resend))
	}
}

// token is the token of an API call, which GitLab takes from two headers.
func token(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return r.Header.Get("Private-Token")
	}
	return fakeforge.BearerToken(r, "bearer")
}

func (f *forge) setRateHeaders(header http.Header, calls int) {
	header.Set("RateLimit-Name", "throttle_authenticated_api")
	header.Set("RateLimit-Observed", strconv.Itoa(calls))
	f.SetRateHeaders(header, "RateLimit-", calls, callsPerMinute, time.Minute)
}

func rateLimits(after time.Duration) []fakeforge.Fault {
	return []fakeforge.Fault{fakeforge.RateLimited(after)}
}

func unknownCommit(string) fakeforge.Fault {
	return fakeforge.Fault{Status: http.StatusNotFound, Body: `{"message":"404 Commit Not Found"}`}
}

// showToken is GitLab's PersonalAccessToken entity. Tokens end with a day.
func (f *forge) showToken(*http.Request) fakeforge.Answer {
	scopes, until := f.TokenInfo()
	if scopes == nil {
		scopes = []string{"api"}
	}
	var expires *string
	if !until.IsZero() {
		day := until.UTC().Format(time.DateOnly)
		expires = &day
	}
	return fakeforge.OK(map[string]any{
		"id": 7, "name": fakeforge.Bot.Name, "revoked": false, "active": true, "scopes": scopes, "user_id": fakeforge.Bot.ID, "description": nil,
		"created_at": f.Now().UTC(), "last_used_at": nil, "expires_at": expires,
	})
}

func (f *forge) showUser(*http.Request) fakeforge.Answer {
	return fakeforge.OK(f.user())
}

// user is the account of the token.
func (f *forge) user() map[string]any {
	return map[string]any{
		"id": fakeforge.Bot.ID, "username": fakeforge.Bot.Login, "name": fakeforge.Bot.Name, "state": "active",
		"avatar_url": nil, "web_url": f.Base() + "/" + fakeforge.Bot.Login,
	}
}

// project is the project block of every event.
func (f *forge) project(r fakeforge.Repository) map[string]any {
	web, clone, ssh := f.Base()+"/"+r.Project, f.CloneURL(r.Project), f.SSHURL(r)
	return map[string]any{
		"id": r.ID, "name": r.Name(), "description": "", "web_url": web, "avatar_url": nil,
		"git_ssh_url": ssh, "git_http_url": clone, "namespace": displayName(r.Owner()), "visibility_level": 0,
		"path_with_namespace": r.Project, "default_branch": r.DefaultBranch, "ci_config_path": "",
		"homepage": web, "url": ssh, "ssh_url": ssh, "http_url": clone,
	}
}

// displayName is how GitLab prints a namespace: the name of its last group, not a path.
func displayName(namespace string) string {
	name := namespace[strings.LastIndexByte(namespace, '/')+1:]
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

func (f *forge) showProject(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	return fakeforge.OK(f.project(repo))
}

func (f *forge) showCommit(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := f.Knows(r.Context(), repo, sha)
	if err == nil && !known {
		return fakeforge.Refuse(http.StatusNotFound, "404 Commit Not Found")
	}
	var found fakeforge.Commit
	if err == nil {
		found, err = f.Commit(r.Context(), repo, sha)
	}
	if err != nil {
		return f.Crashed(r, err)
	}
	return fakeforge.OK(f.commitDetail(repo, found))
}

// commitDetail is GitLab's CommitDetail entity, of which last_pipeline is null until there is one.
func (f *forge) commitDetail(repo fakeforge.Repository, c fakeforge.Commit) map[string]any {
	var last any
	var status any
	f.ci.mu.Lock()
	if line := f.ci.find(repo.ID, c.ID, "", ""); line != nil {
		last, status = f.pipeline(repo, line), line.status()
	}
	f.ci.mu.Unlock()
	return map[string]any{
		"id": c.ID, "short_id": c.ID[:8], "parent_ids": c.Parents, "title": c.Title(), "message": c.Message,
		"author_name": c.Author.Name, "author_email": c.Author.Email, "authored_date": c.AuthoredAt,
		"committer_name": c.Committer.Name, "committer_email": c.Committer.Email, "committed_date": c.CommittedAt,
		"created_at": c.CommittedAt, "web_url": f.Base() + "/" + repo.Project + "/-/commit/" + c.ID,
		"status": status, "project_id": repo.ID, "last_pipeline": last,
	}
}

// mergeBase answers GET /projects/:id/repository/merge_base.
func (f *forge) mergeBase(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	refs := r.URL.Query()["refs[]"]
	if !ok || len(refs) != 2 {
		return fakeforge.Refuse(http.StatusNotFound, "404 Not Found")
	}
	common, err := repo.MergeBase(r.Context(), refs[0], refs[1])
	switch {
	case err != nil:
		return f.Crashed(r, err)
	case common == "":
		return fakeforge.Answer{Status: http.StatusOK, Text: "null"}
	}
	return fakeforge.OK(map[string]any{"id": common})
}
