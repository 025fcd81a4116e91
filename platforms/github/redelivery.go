package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
	"github.com/scanhook/scanhook/platforms/ghapi"
)

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
	if hook.Scope == platforms.ScopeApp {
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
	api, err := p.hookAPI(ctx, hook.HookTarget)
	if err != nil {
		return nil, err
	}
	page := &gogithub.ListCursorOptions{PerPage: deliveriesPerPage}
	for range maxDeliveryPages {
		found, answer, err := api.Deliveries(ctx, hook.ID, page)
		if err := p.HookError(answer, err); err != nil {
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

// unused tells deliveries that Parse would ignore, statuses, which are outdated later, and deliveries without an id.
func unused(delivery *gogithub.HookDelivery) bool {
	event := delivery.GetEvent()
	return event != "push" && event != "workflow_run" || delivery.GetGUID() == "" || delivery.GetID() == 0
}

// appHeader finds the ids that identify an App's webhook: the API tells them only in the headers of a delivery.
func (p *Platform) appHeader(ctx context.Context, delivery int64) (http.Header, error) {
	found, answer, err := p.app.asApp.Apps.GetHookDelivery(ctx, delivery)
	if err := p.HookError(answer, err); err != nil {
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
	api, err := p.hookAPI(ctx, hook.HookTarget)
	if err == nil {
		answer, failed := api.Redeliver(ctx, hook.ID, attempt.ID)
		err = p.HookError(answer, failed)
	}
	return ghapi.Wrap(err, "having delivery %d of %s sent again", attempt.ID, hook.HookTarget)
}

// TestHook has a ping sent. Apps have none.
func (p *Platform) TestHook(ctx context.Context, hook platforms.Hook) error {
	api, err := p.hookAPI(ctx, hook.HookTarget)
	if err == nil && api.Ping == nil {
		err = fmt.Errorf("%w: %s sends no ping", platforms.ErrNoHookAccess, hook.HookTarget)
	}
	if err == nil {
		answer, failed := api.Ping(ctx, hook.ID)
		err = p.HookError(answer, failed)
	}
	return ghapi.Wrap(err, "testing the webhook of %s", hook.HookTarget)
}
