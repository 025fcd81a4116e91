package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/platforms"
)

const (
	eventsPerPage = 20 // GitLab refuses more
	maxEventPages = 10
	maxResends    = 5 // in a minute, for each user and project
)

// event is one call that GitLab has made. The rest is long and of no use here.
type event struct {
	ID      int64                     `json:"id"`
	URL     string                    `json:"url"` // where it went
	Trigger platforms.Text            `json:"trigger"`
	Header  map[string]platforms.Text `json:"request_headers"`
	Status  platforms.Text            `json:"response_status"` // an HTTP status, or "internal error" without an answer
}

// succeeded counts as GitLab does: redirections are successes.
func (e event) succeeded() bool {
	code, err := strconv.Atoi(string(e.Status))
	return err == nil && code >= http.StatusOK && code < http.StatusBadRequest
}

// key is that of Parse, and empty before GitLab 17.4, where events had no stable id.
func (e event) key() string {
	header := http.Header{}
	for name, value := range e.Header {
		header.Set(name, string(value))
	}
	if header.Get(retryHeader) == "" && header.Get(idHeader) == "" {
		return ""
	}
	return deliveryKey(header, nil)
}

func (e event) used() bool {
	return slices.Contains([]string{"push_hooks", "tag_push_hooks", "pipeline_hooks"}, string(e.Trigger)) && e.key() != ""
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

func (p *Platform) events(ctx context.Context, hook platforms.Hook, page eventsPage) (events []event, err error) {
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
	if err == nil && !(event{Status: platforms.Text(answer.Status)}).succeeded() {
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
func (p *Platform) callHooks(ctx context.Context, method string, target platforms.HookTarget, ref, path string,
	options, answer any) error {
	if p.token == "" {
		return platforms.ErrNoToken
	}
	if platforms.CheckProject(target.Owner) != nil {
		return fmt.Errorf("%w: %q is no project and no group", platforms.ErrRefused, target.Owner)
	}
	kind, owner := "projects", gogitlab.PathEscape(target.Owner)
	if target.Scope == platforms.ScopeGroup {
		kind = "groups"
	}
	if ref != "" {
		owner = gogitlab.PathEscape(ref)
	}
	request, err := p.api.NewRequest(method, kind+"/"+owner+"/hooks"+path, options,
		[]gogitlab.RequestOptionFunc{gogitlab.WithContext(ctx)})
	if err != nil {
		return err
	}
	response, err := p.api.Do(request, answer)
	return p.hookError(response, err)
}

// hookError adds to classify that GitLab hides webhooks from whoever is not a maintainer.
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
	last map[platforms.HookTarget][]time.Time
}

// take returns RateLimited when a target has used its calls of this minute.
func (r *resends) take(target platforms.HookTarget, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = make(map[platforms.HookTarget][]time.Time)
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
