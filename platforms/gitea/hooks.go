package gitea

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

const (
	hooksPerPage = 50 // as many as a Gitea gives by default
	maxHookPages = 10
)

// HookTargets are the project and its organisation.
func (p *Platform) HookTargets(project string) []core.HookTarget {
	owner, _, _ := strings.Cut(project, "/")
	return []core.HookTarget{
		{Scope: core.ScopeProject, Owner: project}, {Scope: core.ScopeGroup, Owner: owner},
	}
}

// Attempts fails: Gitea does not list its deliveries.
func (p *Platform) Attempts(context.Context, platforms.Hook, time.Time) ([]platforms.Attempt, error) {
	return nil, fmt.Errorf("%w: %s lists no deliveries", platforms.ErrNoHookAccess, p.Name)
}

// Redeliver fails: Gitea has no call for it.
func (p *Platform) Redeliver(context.Context, platforms.Hook, platforms.Attempt) error {
	return fmt.Errorf("%w: %s repeats no deliveries", platforms.ErrNoHookAccess, p.Name)
}

// TestHook fails: Gitea has no ping, and its test push would look like a real one.
func (p *Platform) TestHook(context.Context, platforms.Hook) error {
	return fmt.Errorf("%w: %s sends no ping", platforms.ErrNoHookAccess, p.Name)
}

// OpenHooks has the calls for the webhooks of a project or an organisation.
func (p *Platform) OpenHooks(ctx context.Context, target core.HookTarget) (ghapi.HookAPI, error) {
	project := target.Owner
	if target.Scope == core.ScopeGroup && platforms.CheckProject(target.Owner) == nil {
		project += "/any" // one client serves all projects
	}
	client, owner, name, err := p.Open(ctx, project)
	if err != nil {
		return ghapi.HookAPI{}, err
	}
	path := "repos/" + owner + "/" + name + "/hooks"
	if target.Scope == core.ScopeGroup {
		path = "orgs/" + owner + "/hooks"
	}
	hooks := hookList{p.Server, client, path}
	return ghapi.HookAPI{List: hooks.all, Create: hooks.create, Edit: hooks.replace}, nil
}

// hookList is the webhooks at a path of the API. It has GitHub's addresses and differs in the rest: its pages, a type for
// each webhook, no ping, no deliveries, and a PATCH that resets missing fields and keeps the secret.
type hookList struct {
	*ghapi.Server
	client *gogithub.Client
	path   string
}

// hook is a webhook with the fields that GitHub's do not have.
type hook struct {
	Type                string `json:"type"`
	BranchFilter        string `json:"branch_filter,omitempty"`
	AuthorizationHeader string `json:"authorization_header,omitempty"`
	*gogithub.Hook
}

func (h hookList) all(ctx context.Context) (all []*gogithub.Hook, answer *gogithub.Response, err error) {
	for page := 1; page <= maxHookPages; page++ {
		var found []*gogithub.Hook
		path := fmt.Sprintf("%s?limit=%d&page=%d", h.path, hooksPerPage, page)
		if answer, err = h.Call(ctx, h.client, http.MethodGet, path, nil, &found); err != nil {
			return nil, answer, err
		}
		all = append(all, found...)
		total, err := strconv.Atoi(answer.Header.Get("X-Total-Count"))
		if err != nil || len(found) == 0 || len(all) >= total {
			break
		}
	}
	return all, answer, nil
}

func (h hookList) create(ctx context.Context, desired *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error) {
	answer, err := h.Call(ctx, h.client, http.MethodPost, h.path, hook{Type: "gitea", Hook: desired}, nil)
	return nil, answer, err
}

// replace creates a new webhook before it deletes the old one, whose secret cannot be changed. A push that both announce
// is scanned once.
func (h hookList) replace(ctx context.Context, id int64, desired *gogithub.Hook) (*gogithub.Response, error) {
	path := h.path + "/" + strconv.FormatInt(id, 10)
	var found hook
	if answer, err := h.Call(ctx, h.client, http.MethodGet, path, nil, &found); err != nil {
		return answer, err
	}
	found.Hook = desired
	if answer, err := h.Call(ctx, h.client, http.MethodPost, h.path, found, nil); err != nil {
		return answer, err
	}
	return h.Call(ctx, h.client, http.MethodDelete, path, nil, nil)
}
