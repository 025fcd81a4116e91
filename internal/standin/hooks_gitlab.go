package standin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// gitlabEvents is how many events GitLab puts on a page at most.
const gitlabEvents = 20

// mountGitLabHooks serves the webhooks of projects and groups.
func (s *Server) mountGitLabHooks() {
	for _, base := range []string{"/api/v4/projects/{id}/hooks", "/api/v4/groups/{group}/hooks"} {
		s.route("GET "+base, s.listGitLabHooks)
		s.route("POST "+base, s.addGitLabHook)
		s.route("GET "+base+"/{hook}", s.withHook(s.showGitLabHook))
		s.route("PUT "+base+"/{hook}", s.withHook(s.editGitLabHook))
		s.route("POST "+base+"/{hook}/test/{trigger}", s.withHook(s.testGitLabHook))
		s.route("GET "+base+"/{hook}/events", s.withHook(s.listGitLabEvents))
		s.route("POST "+base+"/{hook}/events/{event}/resend", s.withHook(s.resendGitLab))
	}
}

// gitlabHookWish is the body of the calls that add and edit webhooks.
type gitlabHookWish struct {
	URL       *string `json:"url"`
	Token     *string `json:"token"`
	Signing   *string `json:"signing_token"`
	Push      *bool   `json:"push_events"`
	TagPush   *bool   `json:"tag_push_events"`
	Pipeline  *bool   `json:"pipeline_events"`
	VerifySSL *bool   `json:"enable_ssl_verification"`
	Template  *string `json:"custom_webhook_template"`
}

// apply changes what was given. Another address resets the token.
func (w gitlabHookWish) apply(hook *Hook) {
	if w.URL != nil && *w.URL != hook.URL {
		hook.Secret = ""
	}
	set(&hook.URL, w.URL)
	set(&hook.Secret, w.Token)
	set(&hook.SigningToken, w.Signing)
	set(&hook.Template, w.Template)
	if w.VerifySSL != nil {
		hook.Insecure = !*w.VerifySSL
	}
	switches := map[string]*bool{
		"push_events": w.Push, "tag_push_events": w.TagPush, "pipeline_events": w.Pipeline,
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

// gitlabHook describes a webhook, without its secrets.
func (s *Server) gitlabHook(hook Hook) map[string]any {
	repo, _ := s.repository(hook.Project)
	described := map[string]any{
		"id": hook.ID, "url": hook.URL, "alert_status": hook.alert(s.cfg.Now()), "disabled_until": nil,
		"enable_ssl_verification": !hook.Insecure, "custom_webhook_template": hook.Template,
		"token_present": hook.Secret != "", "signing_token_present": hook.SigningToken != "",
	}
	if s.disabled(hook) {
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

func (s *Server) listGitLabHooks(r *http.Request) answer {
	owner, ok := s.ownerOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "404 Not Found")
	}
	list := []any{}
	for _, hook := range s.hooksOf(owner) {
		list = append(list, s.gitlabHook(hook))
	}
	return answer{status: http.StatusOK, body: list}
}

func (s *Server) addGitLabHook(r *http.Request) answer {
	owner, ok := s.ownerOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "404 Not Found")
	}
	var wish gitlabHookWish
	if err := json.NewDecoder(r.Body).Decode(&wish); err != nil || wish.URL == nil {
		return refuse(http.StatusBadRequest, "url is missing")
	}
	hook := Hook{Project: owner.Project, Group: owner.Group, Events: []string{"push_events"}}
	wish.apply(&hook)
	return answer{status: http.StatusCreated, body: s.gitlabHook(s.AddHook(hook))}
}

func (s *Server) showGitLabHook(_ *http.Request, hook Hook) answer {
	return answer{status: http.StatusOK, body: s.gitlabHook(hook)}
}

func (s *Server) editGitLabHook(r *http.Request, hook Hook) answer {
	var wish gitlabHookWish
	if err := json.NewDecoder(r.Body).Decode(&wish); err != nil {
		return refuse(http.StatusBadRequest, "400 Bad request")
	}
	_ = s.ChangeHook(hook.ID, func(h *Hook) {
		wish.apply(h)
		hook = *h
	})
	return answer{status: http.StatusOK, body: s.gitlabHook(hook)}
}

// testGitLabHook sends the last push of the default branch, also to a webhook that is disabled.
func (s *Server) testGitLabHook(r *http.Request, hook Hook) answer {
	project := s.testedProject(hook)
	if !s.allow("test "+project, s.cfg.Now()) {
		return tooMany()
	}
	if r.PathValue("trigger") != "push_events" {
		return refuse(http.StatusUnprocessableEntity, "Ensure the project has such an event.")
	}
	repo, err := s.find(project)
	if err != nil {
		return s.crashed(r, err)
	}
	push, err := s.BuildPush(r.Context(), PushSpec{Project: project, Ref: "refs/heads/" + repo.DefaultBranch})
	if err != nil {
		return s.crashed(r, err)
	}
	made, err := s.try(r.Context(), hook, Attempt{Delivery: push, Project: project})
	switch {
	case err != nil:
		return s.crashed(r, err)
	case !made.succeeded(GitLab):
		return refuse(http.StatusUnprocessableEntity, made.Failure+string(made.Answer))
	}
	return answer{status: http.StatusCreated, body: map[string]any{"message": "201 Created"}}
}

// testedProject is the webhook's own, or one of the group.
func (s *Server) testedProject(hook Hook) string {
	if hook.Project != "" {
		return hook.Project
	}
	for _, project := range s.projects() {
		if hook.hears(project) {
			return project
		}
	}
	return ""
}

func tooMany() answer {
	header := http.Header{}
	header.Set("Retry-After", "60")
	a := refuse(http.StatusTooManyRequests, "This endpoint has been requested too many times. Try again later.")
	a.header = header
	return a
}

// listGitLabEvents lists the newest first.
func (s *Server) listGitLabEvents(r *http.Request, hook Hook) answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if query.Get("per_page") != "" && (err != nil || size < 1 || size > gitlabEvents) {
		return refuse(http.StatusBadRequest, "per_page does not have a valid value")
	}
	if size == 0 {
		size = gitlabEvents
	}
	number, _ := strconv.Atoi(query.Get("page"))
	attempts := slices.DeleteFunc(s.Attempts(hook.ID), func(a Attempt) bool { return !a.isOneOf(query.Get("status")) })
	slices.Reverse(attempts)
	skip := min((max(number, 1)-1)*size, len(attempts))
	list := []any{}
	for _, a := range attempts[skip:min(skip+size, len(attempts))] {
		list = append(list, a.gitlabEvent(hook))
	}
	return answer{status: http.StatusOK, body: list}
}

// isOneOf applies GitLab's filter, words with commas between them.
func (a Attempt) isOneOf(statuses string) bool {
	class := map[int]string{0: "server_failure", 2: "successful", 4: "client_failure", 5: "server_failure"}[a.Status/100]
	return statuses == "" || slices.Contains(strings.Split(statuses, ","), class)
}

func (a Attempt) gitlabEvent(hook Hook) map[string]any {
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

// resendGitLab calls before it answers, under the same key, and never a disabled webhook.
func (s *Server) resendGitLab(r *http.Request, hook Hook) answer {
	if !s.allow("resend "+hook.Project+hook.Group, s.cfg.Now()) {
		return tooMany()
	}
	id, _ := strconv.ParseInt(r.PathValue("event"), 10, 64)
	a, ok := s.findAttempt(hook.ID, id)
	switch {
	case !ok:
		return refuse(http.StatusNotFound, "404 Not Found")
	case s.disabled(hook):
		return refuse(http.StatusUnprocessableEntity, "Hook disabled")
	}
	made, err := s.retry(r.Context(), hook, a)
	switch {
	case err != nil:
		return s.crashed(r, err)
	case made.Status == 0:
		return refuse(http.StatusUnprocessableEntity, made.Failure)
	}
	return answer{status: http.StatusCreated, body: map[string]any{"response_status": made.Status}}
}
