package standin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// mountGitHubHooks serves the webhooks of repositories, organisations and the App.
func (s *Server) mountGitHubHooks() {
	for _, base := range []string{"/api/v3/repos/{owner}/{name}/hooks", "/api/v3/orgs/{group}/hooks"} {
		s.route("GET "+base, s.listGitHubHooks)
		s.route("POST "+base, s.createGitHubHook)
		s.route("GET "+base+"/{hook}", s.withHook(s.showGitHubHook))
		s.route("PATCH "+base+"/{hook}", s.withHook(s.editGitHubHook))
		s.route("POST "+base+"/{hook}/pings", s.withHook(s.pingGitHubHook))
		s.route("GET "+base+"/{hook}/deliveries", s.withHook(s.listGitHubDeliveries))
		s.route("GET "+base+"/{hook}/deliveries/{delivery}", s.withHook(s.showGitHubDelivery))
		s.route("POST "+base+"/{hook}/deliveries/{delivery}/attempts", s.withHook(s.redeliverGitHub))
	}
	const app = "/api/v3/app"
	s.route("GET "+app, s.withHook(s.showApp))
	s.route("GET "+app+"/hook/config", s.withHook(s.showAppHook))
	s.route("PATCH "+app+"/hook/config", s.withHook(s.editAppHook))
	s.route("GET "+app+"/hook/deliveries", s.withHook(s.listGitHubDeliveries))
	s.route("GET "+app+"/hook/deliveries/{delivery}", s.withHook(s.showGitHubDelivery))
	s.route("POST "+app+"/hook/deliveries/{delivery}/attempts", s.withHook(s.redeliverGitHub))
}

func (s *Server) route(pattern string, e endpoint) { s.mux.Handle(pattern, s.api(s.faulty(e))) }

// ownerOf is what the webhooks of a call belong to; false where the platform does not know it.
func (s *Server) ownerOf(r *http.Request) (Hook, bool) {
	if group := r.PathValue("group"); group != "" {
		known := slices.ContainsFunc(s.projects(), func(p string) bool { return Hook{Group: group}.hears(p) })
		return Hook{Group: group}, known
	}
	if r.PathValue("name") == "" && r.PathValue("id") == "" {
		return Hook{}, true
	}
	repo, ok := s.repository(pathOf(r))
	return Hook{Project: repo.Project}, ok
}

// hooksOf lists the webhooks that belong to the same as owner.
func (s *Server) hooksOf(owner Hook) []Hook {
	return slices.DeleteFunc(s.Hooks(), func(h Hook) bool { return h.Project != owner.Project || h.Group != owner.Group })
}

// withHook finds the webhook of the call: the one that is named, or the App's only one.
func (s *Server) withHook(e func(*http.Request, Hook) answer) endpoint {
	return func(r *http.Request) answer {
		owner, ok := s.ownerOf(r)
		for _, hook := range s.hooksOf(owner) {
			id := r.PathValue("hook")
			if ok && (id == "" || id == strconv.FormatInt(hook.ID, 10)) {
				return e(r, hook)
			}
		}
		return refuse(http.StatusNotFound, "Not Found")
	}
}

func (s *Server) listGitHubHooks(r *http.Request) answer {
	owner, ok := s.ownerOf(r)
	if !ok {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	list := []any{}
	for _, hook := range s.hooksOf(owner) {
		list = append(list, s.githubHook(hook))
	}
	return answer{status: http.StatusOK, body: list}
}

// githubHook describes a webhook. Stars stand for the secret.
func (s *Server) githubHook(hook Hook) map[string]any {
	last := map[string]any{"code": nil, "status": "unused", "message": nil}
	if attempts := s.Attempts(hook.ID); len(attempts) > 0 {
		a := attempts[len(attempts)-1]
		last = map[string]any{"code": a.Status, "status": a.words(), "message": a.words()}
	}
	kind := map[bool]string{true: "Repository", false: "Organization"}[hook.Project != ""]
	return map[string]any{
		"id": hook.ID, "type": kind, "name": "web", "active": !hook.Off, "events": hook.Events,
		"config": githubHookConfig(hook), "created_at": textTime(s.cfg.Now()), "updated_at": textTime(s.cfg.Now()),
		"url": s.Base(), "test_url": s.Base(), "ping_url": s.Base(), "deliveries_url": s.Base(), "last_response": last,
	}
}

func githubHookConfig(hook Hook) map[string]any {
	config := map[string]any{"url": hook.URL, "content_type": "json", "insecure_ssl": "0"}
	if hook.Form {
		config["content_type"] = "form"
	}
	if hook.Insecure {
		config["insecure_ssl"] = "1"
	}
	if hook.Secret != "" {
		config["secret"] = "********"
	}
	return config
}

// githubHookWish is the body of the calls that create and edit webhooks.
type githubHookWish struct {
	Name   string           `json:"name"`
	Events []string         `json:"events"`
	Active *bool            `json:"active"`
	Config githubConfigWish `json:"config"`
}

type githubConfigWish struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
	InsecureSSL *string `json:"insecure_ssl"`
}

func (w githubConfigWish) apply(hook *Hook) {
	set(&hook.URL, w.URL)
	set(&hook.Secret, w.Secret)
	if w.ContentType != nil {
		hook.Form = *w.ContentType != "json"
	}
	if w.InsecureSSL != nil {
		hook.Insecure = *w.InsecureSSL == "1"
	}
}

// set takes over what was given.
func set[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}

func (s *Server) createGitHubHook(r *http.Request) answer {
	owner, ok := s.ownerOf(r)
	if !ok {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	var wish githubHookWish
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wish); err != nil || wish.Config.URL == nil || wish.Name != "web" {
		return refuseGitHub(http.StatusUnprocessableEntity, "Validation Failed")
	}
	if slices.ContainsFunc(s.hooksOf(owner), func(h Hook) bool { return h.URL == *wish.Config.URL }) {
		return refuseGitHub(http.StatusUnprocessableEntity, "Validation Failed: Hook already exists on this repository")
	}
	hook := Hook{Project: owner.Project, Group: owner.Group, Events: wish.Events, Form: wish.Config.ContentType == nil}
	wish.Config.apply(&hook)
	if hook.Events == nil {
		hook.Events = []string{"push"}
	}
	hook = s.AddHook(hook)
	s.ping(r, hook)
	return answer{status: http.StatusCreated, body: s.githubHook(hook)}
}

func (s *Server) showGitHubHook(_ *http.Request, hook Hook) answer {
	return answer{status: http.StatusOK, body: s.githubHook(hook)}
}

func (s *Server) editGitHubHook(r *http.Request, hook Hook) answer {
	var wish githubHookWish
	if err := json.NewDecoder(r.Body).Decode(&wish); err != nil {
		return refuseGitHub(http.StatusBadRequest, "Problems parsing JSON")
	}
	_ = s.ChangeHook(hook.ID, func(h *Hook) {
		wish.Config.apply(h)
		if wish.Events != nil {
			h.Events = wish.Events
		}
		if wish.Active != nil {
			h.Off = !*wish.Active
		}
		hook = *h
	})
	return answer{status: http.StatusOK, body: s.githubHook(hook)}
}

func (s *Server) pingGitHubHook(r *http.Request, hook Hook) answer {
	s.ping(r, hook)
	return answer{status: http.StatusNoContent}
}

func (s *Server) ping(r *http.Request, hook Hook) {
	body := []byte(`{"zen":"Keep it logically awesome.","hook_id":` + strconv.FormatInt(hook.ID, 10) + `,"hook":{}}`)
	_, _ = s.try(r.Context(), hook, Attempt{Delivery: Delivery{Event: "ping", Key: newUUID(), Body: body}})
}

func (s *Server) showApp(_ *http.Request, hook Hook) answer {
	return answer{status: http.StatusOK, body: map[string]any{"id": 4, "slug": "scanhook", "events": hook.Events}}
}

func (s *Server) showAppHook(_ *http.Request, hook Hook) answer {
	return answer{status: http.StatusOK, body: githubHookConfig(hook)}
}

func (s *Server) editAppHook(r *http.Request, hook Hook) answer {
	var wish githubConfigWish
	if err := json.NewDecoder(r.Body).Decode(&wish); err != nil {
		return refuseGitHub(http.StatusBadRequest, "Problems parsing JSON")
	}
	_ = s.ChangeHook(hook.ID, func(h *Hook) {
		wish.apply(h)
		hook = *h
	})
	return answer{status: http.StatusOK, body: githubHookConfig(hook)}
}

// projects are the paths of all repositories.
func (s *Server) projects() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	paths := make([]string, len(s.repositories))
	for i, r := range s.repositories {
		paths[i] = strings.ToLower(r.Project)
	}
	return paths
}
