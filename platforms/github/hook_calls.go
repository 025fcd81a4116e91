package github

import (
	"context"
	"fmt"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
)

// hookCalls are the calls for the webhooks of one place: GitHub has the same ones three times, at three addresses.
type hookCalls struct {
	list       func(context.Context) ([]*gogithub.Hook, *gogithub.Response, error)
	create     func(context.Context, *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error)
	edit       func(context.Context, int64, *gogithub.Hook) (*gogithub.Response, error)
	ping       func(context.Context, int64) (*gogithub.Response, error) // nil where there is none
	deliveries listDeliveries                                           // nil where none are kept
	redeliver  func(ctx context.Context, hook, delivery int64) (*gogithub.Response, error)
}

type listDeliveries func(ctx context.Context, hook int64, page *gogithub.ListCursorOptions) (
	[]*gogithub.HookDelivery, *gogithub.Response, error)

func (p *Platform) hookCalls(ctx context.Context, place platforms.HookTarget) (hookCalls, error) {
	switch {
	case p.posting == nil && p.app == nil:
		return hookCalls{}, platforms.ErrNoToken
	case place.Scope == platforms.ScopeApp && p.app != nil:
		return p.appHookCalls(), nil
	case place.Scope == platforms.ScopeGroup && p.app == nil && platforms.CheckProject(place.Owner) == nil:
		return p.orgHookCalls(place.Owner), nil
	}
	owner, name, ok := strings.Cut(place.Owner, "/")
	if !ok || strings.Contains(name, "/") || platforms.CheckProject(place.Owner) != nil {
		return hookCalls{}, fmt.Errorf("%w: %q is no project of the form owner/repo", platforms.ErrRefused, place.Owner)
	}
	client, err := p.client(ctx, place.Owner)
	if err != nil {
		return hookCalls{}, p.hookError(nil, err)
	}
	return p.repoHookCalls(client, owner, name), nil
}

func (p *Platform) repoHookCalls(client *gogithub.Client, owner, name string) hookCalls {
	if p.isGitea() {
		return giteaHooks{client, "repos/" + owner + "/" + name + "/hooks"}.calls()
	}
	repos := client.Repositories
	return hookCalls{
		list: func(ctx context.Context) ([]*gogithub.Hook, *gogithub.Response, error) {
			return repos.ListHooks(ctx, owner, name, &gogithub.ListOptions{PerPage: hooksPerPage})
		},
		create: func(ctx context.Context, hook *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error) {
			return repos.CreateHook(ctx, owner, name, hook)
		},
		edit: func(ctx context.Context, id int64, hook *gogithub.Hook) (*gogithub.Response, error) {
			_, answer, err := repos.EditHook(ctx, owner, name, id, hook)
			return answer, err
		},
		ping: func(ctx context.Context, id int64) (*gogithub.Response, error) {
			return repos.PingHook(ctx, owner, name, id)
		},
		deliveries: func(ctx context.Context, id int64, page *gogithub.ListCursorOptions) (
			[]*gogithub.HookDelivery, *gogithub.Response, error) {
			return repos.ListHookDeliveries(ctx, owner, name, id, page)
		},
		redeliver: func(ctx context.Context, id, delivery int64) (*gogithub.Response, error) {
			_, answer, err := repos.RedeliverHookDelivery(ctx, owner, name, id, delivery)
			return answer, err
		},
	}
}

func (p *Platform) orgHookCalls(owner string) hookCalls {
	if p.isGitea() {
		return giteaHooks{p.posting, "orgs/" + owner + "/hooks"}.calls()
	}
	orgs := p.posting.Organizations
	return hookCalls{
		list: func(ctx context.Context) ([]*gogithub.Hook, *gogithub.Response, error) {
			return orgs.ListHooks(ctx, owner, &gogithub.ListOptions{PerPage: hooksPerPage})
		},
		create: func(ctx context.Context, hook *gogithub.Hook) (*gogithub.Hook, *gogithub.Response, error) {
			return orgs.CreateHook(ctx, owner, hook)
		},
		edit: func(ctx context.Context, id int64, hook *gogithub.Hook) (*gogithub.Response, error) {
			_, answer, err := orgs.EditHook(ctx, owner, id, hook)
			return answer, err
		},
		ping: func(ctx context.Context, id int64) (*gogithub.Response, error) { return orgs.PingHook(ctx, owner, id) },
		deliveries: func(ctx context.Context, id int64, page *gogithub.ListCursorOptions) (
			[]*gogithub.HookDelivery, *gogithub.Response, error) {
			return orgs.ListHookDeliveries(ctx, owner, id, page)
		},
		redeliver: func(ctx context.Context, id, delivery int64) (*gogithub.Response, error) {
			_, answer, err := orgs.RedeliverHookDelivery(ctx, owner, id, delivery)
			return answer, err
		},
	}
}

// appHookCalls are those of the one webhook of the App, which has no id and is neither created nor pinged.
func (p *Platform) appHookCalls() hookCalls {
	apps := p.app.asApp.Apps
	return hookCalls{
		list: p.appHook,
		edit: func(ctx context.Context, _ int64, hook *gogithub.Hook) (*gogithub.Response, error) {
			_, answer, err := apps.UpdateHookConfig(ctx, hook.Config)
			return answer, err
		},
		deliveries: func(ctx context.Context, _ int64, page *gogithub.ListCursorOptions) (
			[]*gogithub.HookDelivery, *gogithub.Response, error) {
			return apps.ListHookDeliveries(ctx, page)
		},
		redeliver: func(ctx context.Context, _, delivery int64) (*gogithub.Response, error) {
			_, answer, err := apps.RedeliverHookDelivery(ctx, delivery)
			return answer, err
		},
	}
}

// appHook puts the App's webhook together: its events belong to the App.
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
