package github

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

func (f *forge) listHooks(r *http.Request) fakeforge.Answer {
	owner, ok := f.HookOwnerOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	list := []any{}
	for _, hook := range f.HooksOf(owner) {
		list = append(list, f.hook(hook))
	}
	return fakeforge.OK(list)
}

// hook describes a webhook, with asterisks in the place of the secret.
func (f *forge) hook(hook fakeforge.Hook) map[string]any {
	last := map[string]any{"code": nil, "status": "unused", "message": nil}
	if attempts := f.Attempts(hook.ID); len(attempts) > 0 {
		a := attempts[len(attempts)-1]
		last = map[string]any{"code": a.Status, "status": outcome(a), "message": outcome(a)}
	}
	kind := map[bool]string{true: "Repository", false: "Organization"}[hook.Project != ""]
	return map[string]any{
		"id": hook.ID, "type": kind, "name": "web", "active": !hook.Off, "events": hook.Events,
		"config": hookConfig(hook), "created_at": textTime(f.Now()), "updated_at": textTime(f.Now()),
		"url": f.Base(), "test_url": f.Base(), "ping_url": f.Base(), "deliveries_url": f.Base(), "last_response": last,
	}
}

func hookConfig(hook fakeforge.Hook) map[string]any {
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

// hookRequest is the body of the calls that create and edit webhooks.
type hookRequest struct {
	Name   string            `json:"name"`
	Events []string          `json:"events"`
	Active *bool             `json:"active"`
	Config hookConfigRequest `json:"config"`
}

type hookConfigRequest struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
	InsecureSSL *string `json:"insecure_ssl"`
}

// apply changes what the call gives.
func (w hookConfigRequest) apply(hook *fakeforge.Hook) {
	fakeforge.Assign(&hook.URL, w.URL)
	fakeforge.Assign(&hook.Secret, w.Secret)
	if w.ContentType != nil {
		hook.Form = *w.ContentType != "json"
	}
	if w.InsecureSSL != nil {
		hook.Insecure = *w.InsecureSSL == "1"
	}
}

func (f *forge) createHook(r *http.Request) fakeforge.Answer {
	owner, ok := f.HookOwnerOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	var body hookRequest
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || body.Config.URL == nil || body.Name != "web" {
		return refuse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	if slices.ContainsFunc(f.HooksOf(owner), func(h fakeforge.Hook) bool { return h.URL == *body.Config.URL }) {
		return refuse(http.StatusUnprocessableEntity, "Validation Failed: Hook already exists on this repository")
	}
	hook := fakeforge.Hook{Project: owner.Project, Group: owner.Group, Events: body.Events, Form: body.Config.ContentType == nil}
	body.Config.apply(&hook)
	if hook.Events == nil {
		hook.Events = []string{"push"}
	}
	hook = f.AddHook(hook)
	f.ping(r, hook)
	return fakeforge.Answer{Status: http.StatusCreated, Body: f.hook(hook)}
}

func (f *forge) showHook(_ *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	return fakeforge.OK(f.hook(hook))
}

func (f *forge) editHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	var body hookRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	hook = f.EditHook(hook, func(h *fakeforge.Hook) {
		body.Config.apply(h)
		if body.Events != nil {
			h.Events = body.Events
		}
		if body.Active != nil {
			h.Off = !*body.Active
		}
	})
	return fakeforge.OK(f.hook(hook))
}

func (f *forge) pingHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	f.ping(r, hook)
	return fakeforge.Answer{Status: http.StatusNoContent}
}

func (f *forge) ping(r *http.Request, hook fakeforge.Hook) {
	payload := []byte(`{"zen":"Keep it logically awesome.","hook_id":` + strconv.FormatInt(hook.ID, 10) + `,"hook":{}}`)
	_, _ = f.Deliver(r.Context(), hook, fakeforge.Attempt{Delivery: fakeforge.Delivery{Event: "ping", Key: fakeforge.NewKey(), Body: payload}})
}

func (f *forge) showApp(_ *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	return fakeforge.OK(map[string]any{"id": appID, "slug": "scanhook", "events": hook.Events})
}

func (f *forge) showAppHook(_ *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	return fakeforge.OK(hookConfig(hook))
}

func (f *forge) editAppHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	var body hookConfigRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	hook = f.EditHook(hook, body.apply)
	return fakeforge.OK(hookConfig(hook))
}
