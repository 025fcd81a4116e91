package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/platforms"
)

// webhook is a webhook of a project or a group. go-gitlab's own types lack its state and its signing token.
type webhook struct {
	ID             int64            `json:"id"`
	URL            string           `json:"url"`
	ProjectID      platforms.Number `json:"project_id"`
	GroupID        platforms.Number `json:"group_id"`
	Push           bool             `json:"push_events"`
	TagPush        bool             `json:"tag_push_events"`
	Pipeline       bool             `json:"pipeline_events"`
	VerifySSL      bool             `json:"enable_ssl_verification"`
	AlertStatus    platforms.Text   `json:"alert_status"`
	Template       platforms.Text   `json:"custom_webhook_template"`
	TokenPresent   *bool            `json:"token_present"`         // GitLab 19.0 and later
	SigningPresent *bool            `json:"signing_token_present"` // GitLab 19.0 and later
}

// desiredHook is a webhook as Scanhook needs it. GitLab drops the secret token when the address changes, so both are
// always sent.
type desiredHook struct {
	URL       string `json:"url"`
	Push      bool   `json:"push_events"`
	TagPush   bool   `json:"tag_push_events"`
	Pipeline  bool   `json:"pipeline_events"`
	VerifySSL bool   `json:"enable_ssl_verification"`
	Token     string `json:"token,omitempty"`
	Signing   string `json:"signing_token,omitempty"`
	Template  string `json:"custom_webhook_template"`
}

// HookPlaces are the project and all groups that it lies in.
func (p *Platform) HookTargets(project string) []platforms.HookTarget {
	targets := []platforms.HookTarget{{Scope: platforms.ScopeProject, Owner: project}}
	for path := project; ; {
		end := strings.LastIndexByte(path, '/')
		if end <= 0 {
			return targets
		}
		path = path[:end]
		targets = append(targets, platforms.HookTarget{Scope: platforms.ScopeGroup, Owner: path})
	}
}

// Hooks lists the webhooks of a target, of which GitLab allows a hundred: one page holds them. Groups have webhooks from
// GitLab Premium on; elsewhere, and for a namespace that is a person, the error is platforms.ErrNoHookAccess.
func (p *Platform) Hooks(ctx context.Context, target platforms.HookTarget, address string) ([]platforms.Hook, error) {
	var list []webhook
	page := gogitlab.ListOptions{PerPage: 100}
	if err := p.callHooks(ctx, http.MethodGet, target, "", "", page, &list); err != nil {
		return nil, fmt.Errorf("listing webhooks of %s: %w", target, err)
	}
	var hooks []platforms.Hook
	for _, found := range list {
		if !platforms.SameAddress(found.URL, address) {
			continue
		}
		hook := p.toHook(target, found, address)
		if err := p.judgeLastCall(ctx, &hook); err != nil {
			return nil, fmt.Errorf("reading the last event of a webhook of %s: %w", target, err)
		}
		hooks = append(hooks, hook)
	}
	return hooks, nil
}

// toHook compares a webhook with what Scanhook needs.
func (p *Platform) toHook(target platforms.HookTarget, found webhook, address string) platforms.Hook {
	hook := platforms.Hook{
		HookTarget: target, ID: found.ID, Ref: found.ProjectID.ID(), URL: found.URL, State: stateOf(found.AlertStatus),
	}
	if target.Scope == platforms.ScopeGroup {
		hook.Ref = found.GroupID.ID()
	}
	fault := func(found, breaks bool, text string) {
		if found {
			hook.Faults = append(hook.Faults, text)
			hook.Broken = hook.Broken || breaks
		}
	}
	lacks := func(present *bool) bool { return present != nil && !*present }
	fault(hook.State == platforms.HookPaused, true, "GitLab has paused it after failures")
	fault(hook.State == platforms.HookDisabled, true, "GitLab has disabled it after many failures")
	fault(found.URL != platforms.OwnAddress(found.URL, address), false, "it calls "+platforms.ShownAddress(found.URL))
	fault(!found.Push, true, "it does not send push events")
	fault(!found.TagPush, false, "it does not send tag push events")
	fault(!found.Pipeline, false, "it does not send pipeline events")
	fault(found.Template != "", true, "it has a custom template")
	fault(!found.VerifySSL && strings.HasPrefix(address, "https:"), false, "it does not verify our certificate")
	token, signing, _ := p.keys.For(target)
	fault(token != "" && lacks(found.TokenPresent), lacks(found.SigningPresent), "it has no secret token")
	fault(signing != "" && lacks(found.SigningPresent), lacks(found.TokenPresent), "it has no signing token")
	return hook
}

func stateOf(alert platforms.Text) platforms.HookState {
	switch alert {
	case "temporarily_disabled":
		return platforms.HookPaused
	case "disabled":
		return platforms.HookDisabled
	}
	return platforms.HookActive // also where GitLab does not tell, before 15.0
}

// judgeLastCall judges the answer to the last call: Scanhook answers 401 to a wrong secret. GitLab before 17.3 keeps no
// events to judge.
func (p *Platform) judgeLastCall(ctx context.Context, hook *platforms.Hook) error {
	last, err := p.events(ctx, *hook, eventsPage{PerPage: 1, Page: 1})
	switch {
	case errors.Is(err, platforms.ErrNoHookAccess):
		return nil
	case err != nil || len(last) == 0 || last[0].succeeded():
		return err
	case last[0].Status == "401":
		hook.Faults = append(hook.Faults, "its secret is not the configured one: the last call was answered 401")
		hook.Broken = true
	default:
		hook.Problem = "its last call was answered: " + string(last[0].Status)
	}
	return nil
}

// AddHook creates a webhook.
func (p *Platform) AddHook(ctx context.Context, project, address string) error {
	target := platforms.HookTarget{Scope: platforms.ScopeProject, Owner: project}
	desired, err := p.desiredHook(target, address)
	if err == nil {
		err = p.callHooks(ctx, http.MethodPost, target, "", "", desired, nil)
	}
	if err != nil {
		return fmt.Errorf("adding a webhook to %s: %w", target, err)
	}
	return nil
}

// RepairHook keeps the events that somebody else has added. It does not enable a webhook that GitLab has disabled.
func (p *Platform) RepairHook(ctx context.Context, hook platforms.Hook, address string) error {
	desired, err := p.desiredHook(hook.HookTarget, platforms.OwnAddress(hook.URL, address))
	if err == nil {
		err = p.callHooks(ctx, http.MethodPut, hook.HookTarget, hook.Ref, hookPath(hook), desired, nil)
	}
	if err != nil {
		return fmt.Errorf("repairing the webhook of %s: %w", hook.HookTarget, err)
	}
	return nil
}

func (p *Platform) desiredHook(target platforms.HookTarget, address string) (desiredHook, error) {
	token, signing, err := p.keys.For(target)
	if signing != "" {
		signing = keyPrefix + strings.TrimPrefix(signing, keyPrefix)
	}
	return desiredHook{
		URL: address, Push: true, TagPush: true, Pipeline: true, VerifySSL: true, Token: token, Signing: signing,
	}, err
}
