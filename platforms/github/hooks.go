package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/platforms"
)

const (
	hooksPerPage = 100
	contentType  = "json"
)

var _ platforms.HookManager = (*Platform)(nil)

// hookEvents are the events that Parse uses.
func hookEvents() []string { return []string{"push", "workflow_run", "status"} }

// HookPlaces are the App, the project and its organisation. An App sees only the first two: it is installed on
// projects.
func (p *Platform) HookTargets(project string) []platforms.HookTarget {
	owner, _, _ := strings.Cut(project, "/")
	own := platforms.HookTarget{Scope: platforms.ScopeProject, Owner: project}
	if p.app != nil {
		return []platforms.HookTarget{own, {Scope: platforms.ScopeApp}}
	}
	return []platforms.HookTarget{own, {Scope: platforms.ScopeGroup, Owner: owner}}
}

// Hooks lists the webhooks of a place, which can be twenty for each event: one page holds them. Errors of an
// organisation that is a person are platforms.ErrNoHookAccess as well.
func (p *Platform) Hooks(ctx context.Context, place platforms.HookTarget, address string) ([]platforms.Hook, error) {
	calls, err := p.hookCalls(ctx, place)
	if err != nil {
		return nil, fmt.Errorf("listing webhooks of %s: %w", place, err)
	}
	list, answer, err := calls.list(ctx)
	if err := p.hookError(answer, err); err != nil {
		return nil, fmt.Errorf("listing webhooks of %s: %w", place, err)
	}
	var hooks []platforms.Hook
	for _, found := range list {
		if platforms.SameAddress(found.GetConfig().GetURL(), address) {
			hooks = append(hooks, p.toHook(place, found, address))
		}
	}
	return hooks, nil
}

// toHook compares a webhook with what Scanhook wants. GitHub shows stars in place of the secret, Gitea nothing.
func (p *Platform) toHook(place platforms.HookTarget, found *gogithub.Hook, address string) platforms.Hook {
	config := found.GetConfig()
	hook := platforms.Hook{
		HookTarget: place, ID: found.GetID(), URL: config.GetURL(), State: platforms.HookActive, Events: found.Events,
	}
	fault := func(breaks bool, format string, args ...any) {
		hook.Faults = append(hook.Faults, fmt.Sprintf(format, args...))
		hook.Broken = hook.Broken || breaks
	}
	if !found.GetActive() {
		hook.State = platforms.HookOff
		fault(true, "it is switched off")
	}
	if config.GetURL() != platforms.OwnAddress(config.GetURL(), address) {
		fault(false, "it calls %s", platforms.ShownAddress(config.GetURL()))
	}
	switch {
	case p.isGitea():
		hook.Hidden = "whether its secret is the configured one"
	case config.GetSecret() == "":
		fault(true, "it has no secret")
	}
	if config.GetContentType() != contentType {
		fault(p.isGitea(), "its content type is %q", config.GetContentType())
	}
	if config.GetInsecureSSL() == "1" && strings.HasPrefix(address, "https:") {
		fault(false, "it does not verify our certificate")
	}
	p.judgeEvents(&hook, fault)
	judgeAnswer(&hook, found.LastResponse, fault)
	return hook
}

// judgeEvents blames an App for events only a person can choose. Old Giteas have no workflow runs.
func (p *Platform) judgeEvents(hook *platforms.Hook, fault func(bool, string, ...any)) {
	lacking := platforms.Lacking(hook.Events, hookEvents()...)
	if len(lacking) == 0 || slices.Contains(hook.Events, "*") || p.isGitea() && !slices.Contains(lacking, "push") {
		return
	}
	events := strings.Join(lacking, " and ")
	if hook.Scope == platforms.ScopeApp {
		hook.Problem = "subscribe the App to " + events + " in its settings"
		hook.Broken = hook.Broken || slices.Contains(lacking, "push")
		return
	}
	fault(slices.Contains(lacking, "push"), "it does not send %s", events)
}

// judgeAnswer looks at what the last call was answered. A 401 is Scanhook's own word for a wrong secret.
func judgeAnswer(hook *platforms.Hook, last map[string]any, fault func(bool, string, ...any)) {
	code, _ := last["code"].(float64)
	status, _ := last["status"].(string)
	switch {
	case code == http.StatusUnauthorized:
		fault(true, "its secret is not the configured one: the last call was answered 401")
	case code >= 300:
		hook.Problem = fmt.Sprintf("its last call was answered %.0f", code)
	case code == 0 && status != "" && status != "unused":
		hook.Problem = "its last call failed: " + platforms.Excerpt(status, "")
	}
}

// AddHook creates a webhook. GitHub pings it at once.
func (p *Platform) AddHook(ctx context.Context, project, address string) error {
	place := platforms.HookTarget{Scope: platforms.ScopeProject, Owner: project}
	secret, _, err := p.keys.For(place)
	if err != nil {
		return wrapped(err, "adding a webhook to %s", place)
	}
	calls, err := p.hookCalls(ctx, place)
	if err == nil {
		_, answer, failed := calls.create(ctx, p.wanted(secret, address, nil))
		err = p.hookError(answer, failed)
	}
	return wrapped(err, "adding a webhook to %s", place)
}

// RepairHook keeps the events that somebody else has added.
func (p *Platform) RepairHook(ctx context.Context, hook platforms.Hook, address string) error {
	secret, _, err := p.keys.For(hook.HookTarget)
	if err != nil {
		return wrapped(err, "mending the webhook of %s", hook.HookTarget)
	}
	calls, err := p.hookCalls(ctx, hook.HookTarget)
	if err == nil {
		wanted := p.wanted(secret, platforms.OwnAddress(hook.URL, address), hook.Events)
		answer, failed := calls.edit(ctx, hook.ID, wanted)
		err = p.hookError(answer, failed)
	}
	return wrapped(err, "mending the webhook of %s", hook.HookTarget)
}

func (p *Platform) wanted(secret, address string, events []string) *gogithub.Hook {
	hook := &gogithub.Hook{
		Events: append(slices.Clone(events), platforms.Lacking(events, hookEvents()...)...),
		Active: gogithub.Bool(true),
		Config: &gogithub.HookConfig{
			URL: &address, Secret: &secret, ContentType: gogithub.String(contentType), InsecureSSL: gogithub.String("0"),
		},
	}
	if slices.Contains(events, "*") {
		hook.Events = events
	}
	return hook
}

// hookError adds to classify that the permission for webhooks is one of its own, of which GitHub does not say that it
// is missing, and that a platform may have no such call.
func (p *Platform) hookError(answer *gogithub.Response, err error) error {
	classified := p.classify(answer, err)
	response := responseOf(answer, err)
	if limit := new(platforms.RateLimited); classified == nil || response == nil || errors.As(classified, &limit) {
		return classified
	}
	switch response.StatusCode {
	case http.StatusForbidden, http.StatusNotFound:
		doubt := ""
		if response.StatusCode == http.StatusNotFound && p.app == nil {
			doubt = "the path may be misspelt or be no project's, else "
		}
		return fmt.Errorf("%w: %s: %s", platforms.ErrNoHookAccess, p.answer(response),
			p.advice(response, doubt+"give "+p.hookPermission()))
	case http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: %s answered 405: it has no such call", platforms.ErrNoHookAccess, p.name)
	}
	return classified
}

func (p *Platform) hookPermission() string {
	switch {
	case p.app != nil:
		return "the App a webhook in its settings, or the permission \"Webhooks: read and write\""
	case p.isGitea():
		return "the token the scope write:repository, of an administrator of the project"
	}
	return "the token the permission \"Webhooks: read and write\" (classic tokens: admin:repo_hook)"
}
