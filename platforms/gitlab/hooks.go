package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
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
	MergeRequest   bool             `json:"merge_requests_events"`
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
	Requests  bool   `json:"merge_requests_events"`
	VerifySSL bool   `json:"enable_ssl_verification"`
	Token     string `json:"token,omitempty"`
	Signing   string `json:"signing_token,omitempty"`
	Template  string `json:"custom_webhook_template"`
}

// HookTargets are the project and all groups that it lies in.
func (p *Platform) HookTargets(project string) []core.HookTarget {
	targets := []core.HookTarget{{Scope: core.ScopeProject, Owner: project}}
	for path := project; ; {
		end := strings.LastIndexByte(path, '/')
		if end <= 0 {
			return targets
		}
		path = path[:end]
		targets = append(targets, core.HookTarget{Scope: core.ScopeGroup, Owner: path})
	}
}

// Hooks lists the webhooks of a target, of which GitLab allows a hundred: one page holds them. Groups have webhooks from
// GitLab Premium on; elsewhere, and for a namespace that is a person, the error is platforms.ErrNoHookAccess.
func (p *Platform) Hooks(ctx context.Context, target core.HookTarget, address string) ([]platforms.Hook, error) {
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
func (p *Platform) toHook(target core.HookTarget, found webhook, address string) platforms.Hook {
	hook := platforms.Hook{
		HookTarget: target, ID: found.ID, Ref: found.ProjectID.ID(), URL: found.URL, State: stateOf(found.AlertStatus),
	}
	if target.Scope == core.ScopeGroup {
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
	fault(!found.MergeRequest, false, "it does not send merge request events")
	fault(found.Template != "", true, "it has a custom template")
	fault(!found.VerifySSL && strings.HasPrefix(address, "https:"), false, "it does not verify our certificate")
	token, signing, _ := p.keys.For(target)
	fault(token != "" && lacks(found.TokenPresent), lacks(found.SigningPresent), "it has no secret token")
	fault(signing != "" && lacks(found.SigningPresent), lacks(found.TokenPresent), "it has no signing token")
	if desired, err := p.desiredHook(target, platforms.OwnAddress(found.URL, address)); err == nil {
		hook.Changes = platforms.ChangesOf(desiredHook{
			found.URL, found.Push, found.TagPush, found.Pipeline, found.MergeRequest, found.VerifySSL, "", "", string(found.Template),
		}.settings(), desired.settings())
	}
	return hook
}

// settings are those of a webhook, without its secrets.
func (d desiredHook) settings() []platforms.HookSetting {
	return []platforms.HookSetting{
		{Name: "url", Value: platforms.ShownAddress(d.URL)}, {Name: "push_events", Value: strconv.FormatBool(d.Push)},
		{Name: "tag_push_events", Value: strconv.FormatBool(d.TagPush)}, {Name: "pipeline_events", Value: strconv.FormatBool(d.Pipeline)},
		{Name: "merge_requests_events", Value: strconv.FormatBool(d.Requests)},
		{Name: "enable_ssl_verification", Value: strconv.FormatBool(d.VerifySSL)}, {Name: "custom_webhook_template", Value: d.Template},
	}
}

// DraftHook lists what AddHook would write.
func (p *Platform) DraftHook(target core.HookTarget, address string) []platforms.HookSetting {
	desired, _ := p.desiredHook(target, address)
	return append(desired.settings(), platforms.SecretSetting("token", desired.Token), platforms.SecretSetting("signing_token", desired.Signing))
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
func (p *Platform) AddHook(ctx context.Context, target core.HookTarget, address string) error {
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

func (p *Platform) desiredHook(target core.HookTarget, address string) (desiredHook, error) {
	token, signing, err := p.keys.For(target)
	if signing != "" {
		signing = keyPrefix + strings.TrimPrefix(signing, keyPrefix)
	}
	return desiredHook{
		URL: address, Push: true, TagPush: true, Pipeline: true, Requests: true, VerifySSL: true, Token: token, Signing: signing,
	}, err
}

const (
	eventsPerPage = 20 // GitLab refuses more
	maxEventPages = 10
	maxResends    = 5 // in a minute, for each user and project
)

// hookEvent is one call that GitLab has made. The rest is long and of no use here.
type hookEvent struct {
	ID      int64                     `json:"id"`
	URL     string                    `json:"url"` // where it went
	Trigger platforms.Text            `json:"trigger"`
	Header  map[string]platforms.Text `json:"request_headers"`
	Status  platforms.Text            `json:"response_status"` // an HTTP status, or "internal error" without an answer
}

// succeeded counts as GitLab does: redirections are successes.
func (e hookEvent) succeeded() bool {
	code, err := strconv.Atoi(string(e.Status))
	return err == nil && code >= http.StatusOK && code < http.StatusBadRequest
}

// key is that of Parse, and empty before GitLab 17.4, where events had no stable id.
func (e hookEvent) key() string {
	header := http.Header{}
	for name, value := range e.Header {
		header.Set(name, string(value))
	}
	if header.Get(retryHeader) == "" && header.Get(idHeader) == "" {
		return ""
	}
	return deliveryKey(header, nil)
}

func (e hookEvent) used() bool {
	return slices.Contains([]string{"push_hooks", "tag_push_hooks", "pipeline_hooks", "merge_request_hooks"}, string(e.Trigger)) && e.key() != ""
}

// eventsPage selects events.
type eventsPage struct {
	Status  string `url:"status,omitempty"`
	Page    int    `url:"page"`
	PerPage int    `url:"per_page"`
}

// Attempts lists the failed calls of the last seven days, 200 at most. GitLab does not tell when they were made, and
// sends only those again that went to the webhook's present address.
func (p *Platform) Attempts(ctx context.Context, hook platforms.Hook, _ time.Time) ([]platforms.Attempt, error) {
	var attempts []platforms.Attempt
	for page := range maxEventPages {
		events, err := p.events(ctx, hook, eventsPage{"client_failure,server_failure", page + 1, eventsPerPage})
		if err != nil {
			return nil, fmt.Errorf("reading the events of %s: %w", hook.HookTarget, err)
		}
		for _, event := range events {
			if event.used() && event.URL == hook.URL {
				attempts = append(attempts, platforms.Attempt{
					ID: event.ID, Key: event.key(), Delivered: event.succeeded(),
				})
			}
		}
		if len(events) < eventsPerPage {
			break
		}
	}
	return attempts, nil
}

func (p *Platform) events(ctx context.Context, hook platforms.Hook, page eventsPage) (events []hookEvent, err error) {
	err = p.callHooks(ctx, http.MethodGet, hook.HookTarget, hook.Ref, hookPath(hook)+"/events", page, &events)
	return events, err
}

// Redeliver makes GitLab call again before it answers. It keeps to GitLab's five in a minute without asking, because
// the refusal would hold up statuses too.
func (p *Platform) Redeliver(ctx context.Context, hook platforms.Hook, attempt platforms.Attempt) error {
	err := p.resends.take(hook.HookTarget, p.now())
	var answer struct {
		Status platforms.Number `json:"response_status"`
	}
	if err == nil {
		path := fmt.Sprintf("%s/events/%d/resend", hookPath(hook), attempt.ID)
		err = p.callHooks(ctx, http.MethodPost, hook.HookTarget, hook.Ref, path, nil, &answer)
	}
	if err == nil && !(hookEvent{Status: platforms.Text(answer.Status)}).succeeded() {
		err = fmt.Errorf("%w: it was answered %s", platforms.ErrUndelivered, answer.Status)
	}
	if err != nil {
		return fmt.Errorf("having event %d of %s sent again: %w", attempt.ID, hook.HookTarget, err)
	}
	return nil
}

// TestHook sends the last push of the default branch, also to a disabled webhook; a success enables it.
func (p *Platform) TestHook(ctx context.Context, hook platforms.Hook) error {
	err := p.callHooks(ctx, http.MethodPost, hook.HookTarget, hook.Ref, hookPath(hook)+"/test/push_events", nil, nil)
	if errors.Is(err, platforms.ErrRefused) {
		err = fmt.Errorf("%w: %w", platforms.ErrUndelivered, err)
	}
	if err != nil {
		return fmt.Errorf("testing the webhook of %s: %w", hook.HookTarget, err)
	}
	return nil
}

// hookPath is what follows the address of all webhooks of a target.
func hookPath(hook platforms.Hook) string { return "/" + strconv.FormatInt(hook.ID, 10) }

// callHooks makes a call below the webhooks of a target. The numeric id of its owner is used where it is known.
func (p *Platform) callHooks(ctx context.Context, method string, target core.HookTarget, ref, path string,
	options, answer any) error {
	if p.token == "" {
		return platforms.ErrNoToken
	}
	if platforms.CheckProject(target.Owner) != nil {
		return fmt.Errorf("%w: %q is no project and no group", platforms.ErrRefused, target.Owner)
	}
	kind, owner := "projects", gogitlab.PathEscape(target.Owner)
	if target.Scope == core.ScopeGroup {
		kind = "groups"
	}
	if ref != "" {
		owner = gogitlab.PathEscape(ref)
	}
	response, err := p.call(ctx, method, kind+"/"+owner+"/hooks"+path, options, answer)
	classified := p.hookError(response, err)
	if method == http.MethodGet {
		return platforms.Readable(classified, err)
	}
	return classified
}

// call makes a call that go-gitlab has no function for, or no tolerant answer.
func (p *Platform) call(ctx context.Context, method, path string, options, answer any) (*gogitlab.Response, error) {
	request, err := p.api.NewRequest(method, path, options, []gogitlab.RequestOptionFunc{gogitlab.WithContext(ctx)})
	if err != nil {
		return nil, err
	}
	return p.api.Do(request, answer)
}

// hookError adds a case to classify: GitLab hides webhooks from users who are not maintainers.
func (p *Platform) hookError(answer *gogitlab.Response, err error) error {
	classified := p.classify(answer, err)
	if limit := new(platforms.RateLimited); classified == nil || answer == nil || errors.As(classified, &limit) {
		return classified
	}
	doubt := ""
	switch answer.StatusCode {
	case http.StatusForbidden, http.StatusMethodNotAllowed:
	case http.StatusNotFound:
		doubt = "the path may be misspelt or be no project's, else "
	default:
		return classified
	}
	usual := fmt.Sprintf("%sgive the token of platform %s the scope api and the role Maintainer"+
		" (for webhooks of groups: Owner)", doubt, p.name)
	return fmt.Errorf("%w: %s: %s", platforms.ErrNoHookAccess, p.answer(answer.Response),
		platforms.Advice(platforms.ErrorMessage(answer.Response, p.token), usual))
}

// resends counts the calls of the last minute.
type resends struct {
	mu   sync.Mutex
	last map[core.HookTarget][]time.Time
}

// take returns RateLimited when a target has used its calls of this minute.
func (r *resends) take(target core.HookTarget, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make(map[core.HookTarget][]time.Time)
	}
	recent := slices.DeleteFunc(r.last[target], func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	r.last[target] = recent
	if len(recent) < maxResends {
		r.last[target] = append(recent, now)
		return nil
	}
	wait := platforms.Wait(time.Minute - now.Sub(recent[0]))
	return &platforms.RateLimited{After: wait, Err: errors.New("GitLab sends five events a minute again")}
}
