package gitlab

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// eventsPerPage is how many events GitLab puts on a page at most.
const eventsPerPage = 20

// hooks is the API of the webhooks of projects and groups, with the log of their events.
type hooks struct {
	objects
	*limits
}

// register adds routes and describes this part of the forge.
func (h hooks) register(f *fakeforge.Forge) {
	f.Sign, f.SignsAnew, f.KeyPerHook = h.sign, true, true
	f.Subscription, f.Attempted, f.Disabled = subscription, attempted, h.disabled
	for _, owner := range []string{projectRoot, apiRoot + "/groups/{group}"} {
		h.RouteHooks(owner, fakeforge.HookAPI{
			List: h.listHooks, Create: h.addHook, Edit: h.editHook, EditMethod: http.MethodPut, Describe: h.hook,
		})
		h.Route("POST "+owner+"/hooks/{hook}/test/{trigger}", h.WithHook(h.testHook))
		h.Route("GET "+owner+"/hooks/{hook}/events", h.WithHook(h.listEvents))
		h.Route("POST "+owner+"/hooks/{hook}/events/{event}/resend", h.WithHook(h.resend))
	}
}

// hookRequest is the body of the calls that add and edit webhooks.
type hookRequest struct {
	URL       *string `json:"url"`
	Token     *string `json:"token"`
	Signing   *string `json:"signing_token"`
	Push      *bool   `json:"push_events"`
	TagPush   *bool   `json:"tag_push_events"`
	Pipeline  *bool   `json:"pipeline_events"`
	Requests  *bool   `json:"merge_requests_events"`
	VerifySSL *bool   `json:"enable_ssl_verification"`
	Template  *string `json:"custom_webhook_template"`
}

// apply changes what was given. Another address resets the token.
func (w hookRequest) apply(hook *fakeforge.Hook) {
	if w.URL != nil && *w.URL != hook.URL {
		hook.Secret = ""
	}
	fakeforge.Assign(&hook.URL, w.URL)
	fakeforge.Assign(&hook.Secret, w.Token)
	fakeforge.Assign(&hook.SigningToken, w.Signing)
	fakeforge.Assign(&hook.Template, w.Template)
	if w.VerifySSL != nil {
		hook.Insecure = !*w.VerifySSL
	}
	switches := map[string]*bool{
		"push_events": w.Push, "tag_push_events": w.TagPush, "pipeline_events": w.Pipeline,
		"merge_requests_events": w.Requests,
	}
	for name, on := range switches {
		if on == nil {
			continue
		}
		hook.Events = slices.DeleteFunc(slices.Clone(hook.Events), func(event string) bool { return event == name })
		if *on {
			hook.Events = append(hook.Events, name)
		}
	}
}

// hook describes a webhook, without its secrets.
func (h hooks) hook(hook fakeforge.Hook) map[string]any {
	repo, _ := h.Repository(hook.Project)
	described := map[string]any{
		"id": hook.ID, "url": hook.URL, "alert_status": alert(hook, h.Now()), "disabled_until": nil,
		"enable_ssl_verification": !hook.Insecure, "custom_webhook_template": hook.Template,
		"token_present": hook.Secret != "", "signing_token_present": hook.SigningToken != "",
	}
	if h.disabled(hook) {
		described["disabled_until"] = hook.DisabledUntil
	}
	if hook.Group == "" {
		described["project_id"] = repo.ID
	}
	for _, name := range []string{"push_events", "tag_push_events", "pipeline_events", "merge_requests_events"} {
		described[name] = slices.Contains(hook.Events, name)
	}
	return described
}

func (h hooks) listHooks(r *http.Request) fakeforge.Answer {
	list, ok := h.DescribeHooks(r, h.hook)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Not Found")
	}
	return fakeforge.OK(list)
}

func (h hooks) addHook(r *http.Request) fakeforge.Answer {
	owner, ok := h.HookOwnerOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Not Found")
	}
	var body hookRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.URL == nil {
		return fakeforge.Refuse(http.StatusBadRequest, "url is missing")
	}
	hook := fakeforge.Hook{Project: owner.Project, Group: owner.Group, Events: []string{"push_events"}}
	body.apply(&hook)
	return fakeforge.Answer{Status: http.StatusCreated, Body: h.hook(h.AddHook(hook))}
}

func (h hooks) editHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	var body hookRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return fakeforge.Refuse(http.StatusBadRequest, "400 Bad request")
	}
	hook = h.EditHook(hook, body.apply)
	return fakeforge.OK(h.hook(hook))
}

// testHook sends the last push of the default branch, also to a webhook that is disabled.
func (h hooks) testHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	project := h.testedProject(hook)
	if !h.allow("test "+project, h.Now()) {
		return tooMany()
	}
	if r.PathValue("trigger") != "push_events" {
		return fakeforge.Refuse(http.StatusUnprocessableEntity, "Ensure the project has such an event.")
	}
	repo, _ := h.Repository(project)
	push, err := h.BuildPush(r.Context(), fakeforge.PushSpec{Project: project, Ref: "refs/heads/" + repo.DefaultBranch})
	if err != nil {
		return h.Crashed(r, err)
	}
	made, err := h.Deliver(r.Context(), hook, fakeforge.Attempt{Delivery: push, Project: project})
	switch {
	case err != nil:
		return h.Crashed(r, err)
	case !succeeded(made):
		return fakeforge.Refuse(http.StatusUnprocessableEntity, made.Failure+string(made.Answer))
	}
	return fakeforge.Answer{Status: http.StatusCreated, Body: map[string]any{"message": "201 Created"}}
}

// testedProject is the webhook's own, or one of the group.
func (h hooks) testedProject(hook fakeforge.Hook) string {
	if hook.Project != "" {
		return hook.Project
	}
	for _, project := range h.Projects() {
		if hook.Covers(project) {
			return project
		}
	}
	return ""
}

func tooMany() fakeforge.Answer {
	header := http.Header{}
	header.Set("Retry-After", "60")
	a := fakeforge.Refuse(http.StatusTooManyRequests, "This endpoint has been requested too many times. Try again later.")
	a.Header = header
	return a
}

// listEvents lists the newest first.
func (h hooks) listEvents(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if query.Get("per_page") != "" && (err != nil || size < 1 || size > eventsPerPage) {
		return fakeforge.Refuse(http.StatusBadRequest, "per_page does not have a valid value")
	}
	if size == 0 {
		size = eventsPerPage
	}
	number, _ := strconv.Atoi(query.Get("page"))
	attempts := slices.DeleteFunc(h.Attempts(hook.ID), func(a fakeforge.Attempt) bool {
		return !isOneOf(a, query.Get("status"))
	})
	slices.Reverse(attempts)
	skip := min((max(number, 1)-1)*size, len(attempts))
	list := []any{}
	for _, a := range attempts[skip:min(skip+size, len(attempts))] {
		list = append(list, eventOf(a, hook))
	}
	return fakeforge.OK(list)
}

// isOneOf applies GitLab's filter: classes with commas between them.
func isOneOf(a fakeforge.Attempt, statuses string) bool {
	class := map[int]string{0: "server_failure", 2: "successful", 4: "client_failure", 5: "server_failure"}[a.Status/100]
	return statuses == "" || slices.Contains(strings.Split(statuses, ","), class)
}

// eventOf describes an attempt, without the token.
func eventOf(a fakeforge.Attempt, hook fakeforge.Hook) map[string]any {
	headers := map[string]string{}
	for name := range a.Header {
		headers[name] = a.Header.Get(name)
	}
	headers["X-Gitlab-Token"] = "[REDACTED]"
	status := strconv.Itoa(a.Status)
	if a.Status == 0 {
		status = "internal error"
	}
	trigger := strings.ReplaceAll(strings.ToLower(a.Event), " ", "_") + "s"
	return map[string]any{
		"id": a.ID, "url": hook.URL, "trigger": trigger, "request_headers": headers, "request_data": json.RawMessage(a.Body),
		"response_headers": map[string]string{}, "response_body": string(a.Answer), "execution_duration": 0.1,
		"response_status": status,
	}
}

// resend calls before it answers, under the same key, and never a disabled webhook.
func (h hooks) resend(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	if !h.allow("resend "+hook.Project+hook.Group, h.Now()) {
		return tooMany()
	}
	id, _ := strconv.ParseInt(r.PathValue("event"), 10, 64)
	a, ok := h.FindAttempt(hook.ID, id)
	switch {
	case !ok:
		return fakeforge.Refuse(http.StatusNotFound, "404 Not Found")
	case h.disabled(hook):
		return fakeforge.Refuse(http.StatusUnprocessableEntity, "Hook disabled")
	}
	made, err := h.DeliverAgain(r.Context(), hook, a)
	switch {
	case err != nil:
		return h.Crashed(r, err)
	case made.Status == 0:
		return fakeforge.Refuse(http.StatusUnprocessableEntity, made.Failure)
	}
	return fakeforge.Answer{Status: http.StatusCreated, Body: map[string]any{"response_status": made.Status}}
}

// subscription is the name of an event in a webhook's list: push_events for "Push Hook".
func subscription(event string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSuffix(event, " Hook")), " ", "_") + "_events"
}

// GitLab's rules for webhooks that fail, see app/models/concerns/web_hooks/auto_disabling.rb there.
const (
	freeFailures = 3  // consecutive ones without a consequence
	lastFailure  = 40 // disables until a test succeeds
	firstPause   = time.Minute
	longestPause = 24 * time.Hour
)

// attempted notes how a call went. The pause doubles with each further failure.
func attempted(h *fakeforge.Hook, a fakeforge.Attempt) {
	if succeeded(a) {
		h.Failures, h.DisabledUntil = 0, time.Time{}
		return
	}
	h.Failures = min(h.Failures+1, lastFailure)
	if h.Failures > freeFailures {
		h.DisabledUntil = a.At.Add(min(firstPause<<min(h.Failures-freeFailures-1, 20), longestPause))
	}
}

// succeeded tells whether GitLab counts a call as successful, which includes a redirect.
func succeeded(a fakeforge.Attempt) bool { return a.Status/100 == 2 || a.Status/100 == 3 }

func (h hooks) disabled(hook fakeforge.Hook) bool { return alert(hook, h.Now()) != "executable" }

// alert is GitLab's name for the state of a webhook.
func alert(h fakeforge.Hook, now time.Time) string {
	switch {
	case h.Failures >= lastFailure:
		return "disabled"
	case h.Failures > freeFailures && !h.DisabledUntil.Before(now):
		return "temporarily_disabled"
	}
	return "executable"
}

// perMinute is how often GitLab lets a user test webhooks of a project, and how often send events again.
const perMinute = 5

// limits counts the requests of each kind in the last minute.
type limits struct {
	mu       sync.Mutex
	requests map[string][]time.Time
}

// allow counts a request; false means that there were too many in this minute.
func (l *limits) allow(what string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	recent := 0
	for _, at := range l.requests[what] {
		if now.Sub(at) < time.Minute {
			recent++
		}
	}
	if recent >= perMinute {
		return false
	}
	l.requests[what] = append(l.requests[what], now)
	return true
}

// sign makes the header of a delivery, with the token of its webhook and the time of now.
func (h hooks) sign(d fakeforge.Delivery, hook fakeforge.Hook, _ fakeforge.Repository) (http.Header, error) {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "GitLab/19.0.0")
	header.Set("Idempotency-Key", d.Key)
	header.Set("X-Gitlab-Event", d.Event)
	header.Set("X-Gitlab-Instance", h.Base())
	header.Set("X-Gitlab-Event-UUID", fakeforge.NewKey())
	header.Set("X-Gitlab-Webhook-UUID", fakeforge.NewKey()) // new for every request, whatever its name promises
	if hook.Secret != "" {
		header.Set("X-Gitlab-Token", hook.Secret)
	}
	if hook.SigningToken == "" {
		return header, nil
	}
	return header, addStandardWebhooks(header, d, hook.SigningToken, h.Now())
}

// addStandardWebhooks signs id, time and body, see https://www.standardwebhooks.com.
func addStandardWebhooks(h http.Header, d fakeforge.Delivery, token string, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(token, "whsec_"))
	if err != nil {
		return fmt.Errorf("signing %s: the signing token must be whsec_ and base64", d.Event)
	}
	stamp := strconv.FormatInt(now.Unix(), 10)
	signed := append([]byte(d.Key+"."+stamp+"."), d.Body...)
	h.Set("Webhook-Id", d.Key)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(fakeforge.MAC(sha256.New, string(key), signed)))
	return nil
}
