package ghapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const contentType = "json"

// hookEvents are the events that ParseEvent uses.
func (s *Server) hookEvents() []string {
	events := []string{"push", "workflow_run", "status", "repository", "pull_request"} // repository tells of new names
	if s.Traits.RefEvents {
		events = append(events, "create", "delete", "pull_request_sync") // new commits of a request are ticked apart
	}
	if s.Traits.MergeQueue {
		events = append(events, "merge_group")
	}
	return events
}

// Hooks lists the webhooks of a target that call address. For an organisation that is a person the error is
// platforms.ErrNoHookAccess.
func (s *Server) Hooks(ctx context.Context, target core.HookTarget, address string) ([]platforms.Hook, error) {
	api, err := s.Opener.OpenHooks(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("listing webhooks of %s: %w", target, err)
	}
	list, answer, err := api.List(ctx)
	if err := platforms.Readable(s.HookError(answer, err), err); err != nil {
		return nil, fmt.Errorf("listing webhooks of %s: %w", target, err)
	}
	var hooks []platforms.Hook
	for _, found := range list {
		if platforms.SameAddress(found.GetConfig().GetURL(), address) {
			hooks = append(hooks, s.toHook(target, found, address))
		}
	}
	return hooks, nil
}

// toHook compares a webhook with what Scanhook needs. GitHub shows stars in place of the secret, Gitea nothing.
func (s *Server) toHook(target core.HookTarget, found *gogithub.Hook, address string) platforms.Hook {
	config := found.GetConfig()
	hook := platforms.Hook{
		HookTarget: target, ID: found.GetID(), URL: config.GetURL(), State: platforms.HookActive, Events: found.Events,
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
	case s.Traits.HidesSecrets:
		hook.Hidden = "whether its secret is the configured one"
	case config.GetSecret() == "":
		fault(true, "it has no secret")
	}
	if config.GetContentType() != contentType {
		fault(s.Traits.SignsJSONOnly, "its content type is %q", config.GetContentType())
	}
	if config.GetInsecureSSL() == "1" && strings.HasPrefix(address, "https:") {
		fault(false, "it does not verify our certificate")
	}
	s.judgeEvents(&hook, fault)
	judgeLastCall(&hook, found.LastResponse, fault)
	hook.Changes = platforms.ChangesOf(settings(found), settings(s.desiredHook("", platforms.OwnAddress(hook.URL, address), found.Events)))
	return hook
}

// settings are those of a webhook, without its secret.
func settings(hook *gogithub.Hook) []platforms.HookSetting {
	config := hook.GetConfig()
	return []platforms.HookSetting{
		{Name: "url", Value: platforms.ShownAddress(config.GetURL())}, {Name: "content_type", Value: config.GetContentType()},
		{Name: "insecure_ssl", Value: cmp.Or(config.GetInsecureSSL(), "0")}, {Name: "active", Value: strconv.FormatBool(hook.GetActive())},
		{Name: "events", Value: strings.Join(hook.Events, ", ")},
	}
}

// DraftHook lists what AddHook would write.
func (s *Server) DraftHook(target core.HookTarget, address string) []platforms.HookSetting {
	secret, _, _ := s.Keys.For(target)
	return append(settings(s.desiredHook("", address, nil)), platforms.SecretSetting("secret", secret))
}

// judgeEvents makes missing events of an App a problem, because only a person can choose them.
func (s *Server) judgeEvents(hook *platforms.Hook, fault func(bool, string, ...any)) {
	lacking := platforms.Lacking(hook.Events, s.hookEvents()...)
	noPush := slices.Contains(lacking, "push")
	if s.Traits.MayLackRuns && !noPush {
		lacking = slices.DeleteFunc(lacking, func(event string) bool { return !strings.HasPrefix(event, "pull_request") })
	}
	if len(lacking) == 0 || slices.Contains(hook.Events, "*") {
		return
	}
	events := strings.Join(lacking, " and ")
	if hook.Scope == core.ScopeApp {
		hook.Problem = "subscribe the App to " + events + " in its settings"
		hook.Broken = hook.Broken || noPush
		return
	}
	fault(noPush, "it does not send %s", events)
}

// judgeLastCall judges the answer to the last call. Scanhook answers 401 to a wrong secret.
func judgeLastCall(hook *platforms.Hook, last map[string]any, fault func(bool, string, ...any)) {
	code, _ := last["code"].(float64)
	status, _ := last["status"].(string)
	switch {
	case code == http.StatusUnauthorized:
		fault(true, "its secret is not the configured one: the last call was answered 401")
	case code >= http.StatusMultipleChoices:
		hook.Problem = fmt.Sprintf("its last call was answered %.0f", code)
	case code == 0 && status != "" && status != "unused":
		hook.Problem = "its last call failed: " + platforms.Excerpt(status, "")
	}
}

// AddHook creates a webhook. GitHub pings it at once.
func (s *Server) AddHook(ctx context.Context, target core.HookTarget, address string) error {
	api, secret, err := s.openHook(ctx, target)
	if err == nil && api.Create == nil {
		err = fmt.Errorf("%w: %s has one from the start", platforms.ErrNoHookAccess, target)
	}
	if err == nil {
		_, answer, failed := api.Create(ctx, s.desiredHook(secret, address, nil))
		err = s.HookError(answer, failed)
	}
	return Wrap(err, "adding a webhook to %s", target)
}

// RepairHook keeps the events that somebody else has added.
func (s *Server) RepairHook(ctx context.Context, hook platforms.Hook, address string) error {
	api, secret, err := s.openHook(ctx, hook.HookTarget)
	if err == nil {
		desired := s.desiredHook(secret, platforms.OwnAddress(hook.URL, address), hook.Events)
		answer, failed := api.Edit(ctx, hook.ID, desired)
		err = s.HookError(answer, failed)
	}
	return Wrap(err, "repairing the webhook of %s", hook.HookTarget)
}

// openHook finds the calls and the secret for a webhook of a target.
func (s *Server) openHook(ctx context.Context, target core.HookTarget) (api HookAPI, secret string, err error) {
	if secret, _, err = s.Keys.For(target); err != nil {
		return HookAPI{}, "", err
	}
	api, err = s.Opener.OpenHooks(ctx, target)
	return api, secret, err
}

func (s *Server) desiredHook(secret, address string, events []string) *gogithub.Hook {
	hook := &gogithub.Hook{
		Events: append(slices.Clone(events), platforms.Lacking(events, s.hookEvents()...)...),
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

// HookError adds two cases to Classify: webhooks need a permission of their own, of which the platform does not say that
// it is missing, and a platform may not have such a call.
func (s *Server) HookError(answer *gogithub.Response, err error) error {
	classified := s.Classify(answer, err)
	response := s.responseOf(answer, err)
	if limit := new(platforms.RateLimited); classified == nil || response == nil || errors.As(classified, &limit) {
		return classified
	}
	switch response.StatusCode {
	case http.StatusForbidden, http.StatusNotFound:
		return fmt.Errorf("%w: %s: %s", platforms.ErrNoHookAccess, s.describe(response),
			s.advice(response, s.hookAdvice(response)))
	case http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: %s answered 405: it has no such call", platforms.ErrNoHookAccess, s.Name)
	}
	return classified
}

func (s *Server) hookAdvice(response *http.Response) string {
	if response.StatusCode == http.StatusNotFound && !s.Traits.ActsAsApp {
		return "the path may be misspelt or be no project's, else give " + s.Traits.HookAdvice
	}
	return "give " + s.Traits.HookAdvice
}
