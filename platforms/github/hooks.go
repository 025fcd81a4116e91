package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

// hooksPerPage holds all webhooks of a target: there are at most twenty for each event.
const hooksPerPage = 100

// HookTargets are the project with its organisation, or the project with the App, which is installed on projects only.
func (p *Platform) HookTargets(project string) []core.HookTarget {
	owner, _, _ := strings.Cut(project, "/")
	own := core.HookTarget{Scope: core.ScopeProject, Owner: project}
	if p.app != nil {
		return []core.HookTarget{own, {Scope: core.ScopeApp}}
	}
	return []core.HookTarget{own, {Scope: core.ScopeGroup, Owner: owner}}
}

// OpenHooks has the calls for the webhooks of a target. GitHub has the same calls at three addresses.
func (p *Platform) OpenHooks(ctx context.Context, target core.HookTarget) (ghapi.HookAPI, error) {
	switch {
	case target.Scope == core.ScopeApp && p.app != nil:
		return p.appHookAPI(), nil
	case target.Scope == core.ScopeGroup && p.app == nil && p.Clients != nil && platforms.CheckProject(target.Owner) == nil:
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

const (
	deliveriesPerPage = 100
	maxDeliveryPages  = 50
)

// Attempts reads the log of deliveries, which GitHub keeps for three days (an Enterprise Server for seven), 5,000
// entries at most.
func (p *Platform) Attempts(ctx context.Context, hook platforms.Hook, since time.Time) ([]platforms.Attempt, error) {
	deliveries, err := p.deliveries(ctx, hook, since)
	if err != nil || len(deliveries) == 0 {
		return nil, ghapi.Wrap(err, "reading the deliveries of %s", hook.HookTarget)
	}
	header := http.Header{}
	header.Set(hookIDHeader, strconv.FormatInt(hook.ID, 10))
	if hook.Scope == core.ScopeApp {
		if header, err = p.appHeader(ctx, deliveries[0].GetID()); err != nil {
			return nil, ghapi.Wrap(err, "reading a delivery of %s", hook.HookTarget)
		}
	}
	attempts := make([]platforms.Attempt, len(deliveries))
	for i, delivery := range deliveries {
		attempts[i] = toAttempt(header, delivery)
	}
	return attempts, nil
}

func (p *Platform) deliveries(ctx context.Context, hook platforms.Hook, since time.Time) (
	list []*gogithub.HookDelivery, err error) {
	api, err := p.OpenHooks(ctx, hook.HookTarget)
	if err != nil {
		return nil, err
	}
	page := &gogithub.ListCursorOptions{PerPage: deliveriesPerPage}
	for range maxDeliveryPages {
		found, answer, err := api.Deliveries(ctx, hook.ID, page)
		if err := platforms.Readable(p.HookError(answer, err), err); err != nil {
			return nil, err
		}
		older := slices.IndexFunc(found, func(d *gogithub.HookDelivery) bool { return d.GetDeliveredAt().Before(since) })
		if older >= 0 {
			found = found[:older]
		}
		list = append(list, slices.DeleteFunc(found, unused)...)
		if older >= 0 || answer.Cursor == "" || answer.Cursor == page.Cursor {
			break
		}
		page.Cursor = answer.Cursor
	}
	return list, nil
}

// redelivered are the events that are asked for again.
var redelivered = []string{"push", "pull_request", "merge_group", "workflow_run"}

// unused tells deliveries that Parse would ignore, statuses, which are outdated later, and deliveries without an id.
func unused(delivery *gogithub.HookDelivery) bool {
	event := delivery.GetEvent()
	return !slices.Contains(redelivered, event) || delivery.GetGUID() == "" || delivery.GetID() == 0
}

// appHeader finds the ids that identify an App's webhook: the API tells them only in the headers of a delivery.
func (p *Platform) appHeader(ctx context.Context, delivery int64) (http.Header, error) {
	found, answer, err := p.app.asApp.Apps.GetHookDelivery(ctx, delivery)
	if err := platforms.Readable(p.HookError(answer, err), err); err != nil {
		return nil, err
	}
	header := http.Header{}
	for name, value := range found.GetRequest().GetHeaders() {
		header.Set(name, value)
	}
	return header, nil
}

func toAttempt(header http.Header, delivery *gogithub.HookDelivery) platforms.Attempt {
	header = header.Clone()
	header.Set(guidHeader, delivery.GetGUID())
	code := delivery.GetStatusCode()
	return platforms.Attempt{
		ID: delivery.GetID(), Key: deliveryKey(header, nil), At: delivery.GetDeliveredAt().Time,
		Delivered: code >= http.StatusOK && code < http.StatusMultipleChoices,
	}
}

// Redeliver asks GitHub to try again, which it does a moment after it answered.
func (p *Platform) Redeliver(ctx context.Context, hook platforms.Hook, attempt platforms.Attempt) error {
	api, err := p.OpenHooks(ctx, hook.HookTarget)
	if err == nil {
		answer, failed := api.Redeliver(ctx, hook.ID, attempt.ID)
		err = p.HookError(answer, failed)
	}
	return ghapi.Wrap(err, "having delivery %d of %s sent again", attempt.ID, hook.HookTarget)
}

// TestHook has a ping sent. Apps have none.
func (p *Platform) TestHook(ctx context.Context, hook platforms.Hook) error {
	api, err := p.OpenHooks(ctx, hook.HookTarget)
	if err == nil && api.Ping == nil {
		err = fmt.Errorf("%w: %s sends no ping", platforms.ErrNoHookAccess, hook.HookTarget)
	}
	if err == nil {
		answer, failed := api.Ping(ctx, hook.ID)
		err = p.HookError(answer, failed)
	}
	return ghapi.Wrap(err, "testing the webhook of %s", hook.HookTarget)
}
