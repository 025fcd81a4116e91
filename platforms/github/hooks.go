package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// hooksPerPage holds all webhooks of a target: there are at most twenty for each event.
const hooksPerPage = 100

// HookTargets are the project with its organisation, or the project with the App, which is installed on projects only.
func (p *Platform) HookTargets(project string) []platforms.HookTarget {
	owner, _, _ := strings.Cut(project, "/")
	own := platforms.HookTarget{Scope: platforms.ScopeProject, Owner: project}
	if p.app != nil {
		return []platforms.HookTarget{own, {Scope: platforms.ScopeApp}}
	}
	return []platforms.HookTarget{own, {Scope: platforms.ScopeGroup, Owner: owner}}
}

// hookAPI has the calls for the webhooks of a target. GitHub has the same calls at three addresses.
func (p *Platform) hookAPI(ctx context.Context, target platforms.HookTarget) (ghapi.HookAPI, error) {
	switch {
	case target.Scope == platforms.ScopeApp && p.app != nil:
		return p.appHookAPI(), nil
	case target.Scope == platforms.ScopeGroup && p.app == nil && p.Clients != nil && platforms.CheckProject(target.Owner) == nil:
		client, err := p.Clients.Client(ctx, target.Owner)
		return orgHookAPI(client, target.Owner), err
	}
	client, owner, name, err := p.Open(ctx, target.Owner)
	if denied := new(platforms.Denied); errors.As(err, &denied) && platforms.CodeOf(err) != http.StatusUnauthorized {
		err = fmt.Errorf("%w: %w", platforms.ErrNoHookAccess, err) // the App is not installed there
	}
	if err != nil {
		return ghapi.HookAPI{}, err
	}
	return repoHookAPI(client, owner, name), nil
}

func repoHookAPI(client *gogithub.Client, owner, name string) ghapi.HookAPI {
	repos := client.Repositories
	return ghapi.HookAPI{
		List: func(ctx context.Context) ([]*gogithub.Hook, *gogithub.Response, error) {
			return repos.ListHooks(ctx, owner, name, &gogithub.ListOptions{PerPage: hooksPerPage})
		},
		Create: func(ctx context.Context, hook *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error) {
			return repos.CreateHook(ctx, owner, name, hook)
		},
		Edit: func(ctx context.Context, id int64, hook *gogithub.Hook) (*gogithub.Response, error) {
			_, answer, err := repos.EditHook(ctx, owner, name, id, hook)
			return answer, err
		},
		Ping: func(ctx context.Context, id int64) (*gogithub.Response, error) {
			return repos.PingHook(ctx, owner, name, id)
		},
		Deliveries: func(ctx context.Context, id int64, page *gogithub.ListCursorOptions) (
			[]*gogithub.HookDelivery, *gogithub.Response, error) {
			return repos.ListHookDeliveries(ctx, owner, name, id, page)
		},
		Redeliver: func(ctx context.Context, id, delivery int64) (*gogithub.Response, error) {
			_, answer, err := repos.RedeliverHookDelivery(ctx, owner, name, id, delivery)
			return answer, err
		},
	}
}

func orgHookAPI(client *gogithub.Client, owner string) ghapi.HookAPI {
	orgs := client.Organizations
	return ghapi.HookAPI{
		List: func(ctx context.Context) ([]*gogithub.Hook, *gogithub.Response, error) {
			return orgs.ListHooks(ctx, owner, &gogithub.ListOptions{PerPage: hooksPerPage})
		},
		Create: func(ctx context.Context, hook *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error) {
			return orgs.CreateHook(ctx, owner, hook)
		},
		Edit: func(ctx context.Context, id int64, hook *gogithub.Hook) (*gogithub.Response, error) {
			_, answer, err := orgs.EditHook(ctx, owner, id, hook)
			return answer, err
		},
		Ping: func(ctx context.Context, id int64) (*gogithub.Response, error) { return orgs.PingHook(ctx, owner, id) },
		Deliveries: func(ctx context.Context, id int64, page *gogithub.ListCursorOptions) (
			[]*gogithub.HookDelivery, *gogithub.Response, error) {
			return orgs.ListHookDeliveries(ctx, owner, id, page)
		},
		Redeliver: func(ctx context.Context, id, delivery int64) (*gogithub.Response, error) {
			_, answer, err := orgs.RedeliverHookDelivery(ctx, owner, id, delivery)
			return answer, err
		},
	}
}

// appHookAPI has the calls for the one webhook of the App, which has no id and is neither created nor pinged.
func (p *Platform) appHookAPI() ghapi.HookAPI {
	apps := p.app.asApp.Apps
	return ghapi.HookAPI{
		List: p.appHook,
		Edit: func(ctx context.Context, _ int64, hook *gogithub.Hook) (*gogithub.Response, error) {
			_, answer, err := apps.UpdateHookConfig(ctx, hook.Config)
			return answer, err
		},
		Deliveries: func(ctx context.Context, _ int64, page *gogithub.ListCursorOptions) (
			[]*gogithub.HookDelivery, *gogithub.Response, error) {
			return apps.ListHookDeliveries(ctx, page)
		},
		Redeliver: func(ctx context.Context, _, delivery int64) (*gogithub.Response, error) {
			_, answer, err := apps.RedeliverHookDelivery(ctx, delivery)
			return answer, err
		},
	}
}

// appHook reads the App's webhook and its events, which belong to the App.
func (p *Platform) appHook(ctx context.Context) ([]*gogithub.Hook, *gogithub.Response, error) {
	config, answer, err := p.app.asApp.Apps.GetHookConfig(ctx)
	if err != nil {
		return nil, answer, err
	}
	app, answer, err := p.app.asApp.Apps.Get(ctx, "")
	if err != nil {
		return nil, answer, err
	}
	active := strings.TrimSpace(config.GetURL()) != ""
	return []*gogithub.Hook{{Config: config, Events: app.Events, Active: &active}}, answer, nil
}
