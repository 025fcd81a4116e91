package gitea

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/github"
)

// hooks is the API of the webhooks of repositories and organisations. It has no ping and no log of deliveries.
type hooks struct{ objects }

func (h hooks) addRoutes() {
	for _, owner := range []string{repositoryRoot, apiRoot + "/orgs/{group}"} {
		h.RouteHooks(owner, fakeforge.HookAPI{
			List: h.listHooks, Create: h.createHook, Edit: h.editHook, EditMethod: http.MethodPatch, Describe: h.hook,
		})
		h.Route("DELETE "+owner+"/hooks/{hook}", h.WithHook(h.deleteHook))
	}
}

// hookRequest is the body of the calls that create and edit webhooks.
type hookRequest struct {
	Type string `json:"type"`
	github.HookRequest
}

// listHooks lists all webhooks on one page.
func (h hooks) listHooks(r *http.Request) fakeforge.Answer {
	list, ok := h.DescribeHooks(r, h.hook)
	if !ok {
		return notFound()
	}
	answer := fakeforge.OK(list)
	answer.Header = http.Header{"X-Total-Count": {strconv.Itoa(len(list))}}
	return answer
}

// hook describes a webhook, without its secret.
func (h hooks) hook(hook fakeforge.Hook) map[string]any {
	contentType := "json"
	if hook.Form {
		contentType = "form"
	}
	return map[string]any{
		"id": hook.ID, "type": "gitea", "branch_filter": "", "authorization_header": "", "active": !hook.Off,
		"config": map[string]any{"url": hook.URL, "content_type": contentType}, "events": hook.Events,
		"created_at": timestamp(h.Now()), "updated_at": timestamp(h.Now()),
	}
}

// createHook makes a webhook, which is off unless the call says otherwise.
func (h hooks) createHook(r *http.Request) fakeforge.Answer {
	owner, ok := h.HookOwnerOf(r)
	if !ok {
		return notFound()
	}
	var body hookRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Type != "gitea" || body.Config.URL == nil ||
		body.Config.ContentType == nil {
		return fakeforge.Refuse(http.StatusUnprocessableEntity, "Missing config option")
	}
	hook := fakeforge.Hook{Project: owner.Project, Group: owner.Group, Events: []string{"push"}, Off: true}
	body.Apply(&hook)
	return fakeforge.Answer{Status: http.StatusCreated, Body: h.hook(h.AddHook(hook))}
}

// editHook resets what the call does not give, and leaves the secret as it is.
func (h hooks) editHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	var body hookRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return fakeforge.Refuse(http.StatusUnprocessableEntity, "invalid JSON")
	}
	body.Config.Secret = nil
	return fakeforge.OK(h.hook(h.EditHook(hook, func(edited *fakeforge.Hook) {
		edited.Events, edited.Off = []string{"push"}, true
		body.Apply(edited)
	})))
}

func (h hooks) deleteHook(_ *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	h.RemoveHook(hook.ID)
	return fakeforge.Answer{Status: http.StatusNoContent}
}
