package github

import (
	"crypto/sha1" // GitHub still sends the legacy signature beside the real one
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

const (
	deliveriesKept    = 3 * 24 * time.Hour
	deliveriesPerPage = 30 // by default

	appID = 4 // of the only GitHub App
)

// hooks is the API of the webhooks of repositories, organisations and the App, with the log of their deliveries.
type hooks struct{ objects }

// register adds routes and describes this part of the forge.
func (h hooks) register(f *fakeforge.Forge) {
	f.Sign = sign
	for _, owner := range []string{repositoryRoot, apiRoot + "/orgs/{group}"} {
		h.RouteHooks(owner, fakeforge.HookAPI{
			List: h.listHooks, Create: h.createHook, Edit: h.editHook, EditMethod: http.MethodPatch, Describe: h.hook,
		})
		h.Route("POST "+owner+"/hooks/{hook}/pings", h.WithHook(h.pingHook))
		h.addDeliveryRoutes(owner + "/hooks/{hook}")
	}
	const app = apiRoot + "/app"
	h.Route("GET "+app, h.WithHook(h.showApp))
	h.Route("GET "+app+"/hook/config", h.WithHook(h.showAppHook))
	h.Route("PATCH "+app+"/hook/config", h.WithHook(h.editAppHook))
	h.addDeliveryRoutes(app + "/hook")
}

func (h hooks) addDeliveryRoutes(hook string) {
	h.Route("GET "+hook+"/deliveries", h.WithHook(h.listDeliveries))
	h.Route("GET "+hook+"/deliveries/{delivery}", h.WithHook(h.showDelivery))
	h.Route("POST "+hook+"/deliveries/{delivery}/attempts", h.WithHook(h.redeliver))
}

func (h hooks) listHooks(r *http.Request) fakeforge.Answer {
	list, ok := h.DescribeHooks(r, h.hook)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	return fakeforge.OK(list)
}

// hook describes a webhook, with asterisks in the place of the secret.
func (h hooks) hook(hook fakeforge.Hook) map[string]any {
	last := map[string]any{"code": nil, "status": "unused", "message": nil}
	if attempts := h.Attempts(hook.ID); len(attempts) > 0 {
		a := attempts[len(attempts)-1]
		last = map[string]any{"code": a.Status, "status": outcome(a), "message": outcome(a)}
	}
	kind := map[bool]string{true: "Repository", false: "Organization"}[hook.Project != ""]
	return map[string]any{
		"id": hook.ID, "type": kind, "name": "web", "active": !hook.Off, "events": hook.Events,
		"config": hookConfig(hook), "created_at": textTime(h.Now()), "updated_at": textTime(h.Now()),
		"url": h.Base(), "test_url": h.Base(), "ping_url": h.Base(), "deliveries_url": h.Base(), "last_response": last,
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

// HookRequest is the body of the calls that create and edit webhooks.
type HookRequest struct {
	Name   string     `json:"name"`
	Events []string   `json:"events"`
	Active *bool      `json:"active"`
	Config HookConfig `json:"config"`
}

// Apply changes what the call gives.
func (r HookRequest) Apply(hook *fakeforge.Hook) {
	r.Config.Apply(hook)
	if r.Events != nil {
		hook.Events = r.Events
	}
	if r.Active != nil {
		hook.Off = !*r.Active
	}
}

// HookConfig is how a webhook is called.
type HookConfig struct {
	URL         *string `json:"url"`
	ContentType *string `json:"content_type"`
	Secret      *string `json:"secret"`
	InsecureSSL *string `json:"insecure_ssl"`
}

// Apply changes what the call gives.
func (c HookConfig) Apply(hook *fakeforge.Hook) {
	fakeforge.Assign(&hook.URL, c.URL)
	fakeforge.Assign(&hook.Secret, c.Secret)
	if c.ContentType != nil {
		hook.Form = *c.ContentType != "json"
	}
	if c.InsecureSSL != nil {
		hook.Insecure = *c.InsecureSSL == "1"
	}
}

func (h hooks) createHook(r *http.Request) fakeforge.Answer {
	owner, ok := h.HookOwnerOf(r)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	var body HookRequest
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil || body.Config.URL == nil || body.Name != "web" {
		return refuse(http.StatusUnprocessableEntity, "Validation Failed")
	}
	if slices.ContainsFunc(h.HooksOf(owner), func(kept fakeforge.Hook) bool { return kept.URL == *body.Config.URL }) {
		return refuse(http.StatusUnprocessableEntity, "Validation Failed: Hook already exists on this repository")
	}
	hook := fakeforge.Hook{Project: owner.Project, Group: owner.Group, Events: []string{"push"}, Form: true}
	body.Apply(&hook)
	hook = h.AddHook(hook)
	h.ping(r, hook)
	return fakeforge.Answer{Status: http.StatusCreated, Body: h.hook(hook)}
}

func (h hooks) editHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	var body HookRequest
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	hook = h.EditHook(hook, body.Apply)
	return fakeforge.OK(h.hook(hook))
}

func (h hooks) pingHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	h.ping(r, hook)
	return fakeforge.Answer{Status: http.StatusNoContent}
}

func (h hooks) ping(r *http.Request, hook fakeforge.Hook) {
	payload := []byte(`{"zen":"Keep it logically awesome.","hook_id":` + strconv.FormatInt(hook.ID, 10) + `,"hook":{}}`)
	_, _ = h.Deliver(r.Context(), hook, fakeforge.Attempt{Delivery: fakeforge.Delivery{Event: "ping", Key: fakeforge.NewKey(), Body: payload}})
}

func (h hooks) showApp(_ *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	return fakeforge.OK(map[string]any{"id": appID, "slug": "scanhook", "events": hook.Events})
}

func (h hooks) showAppHook(_ *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	return fakeforge.OK(hookConfig(hook))
}

func (h hooks) editAppHook(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	var body HookConfig
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	hook = h.EditHook(hook, body.Apply)
	return fakeforge.OK(hookConfig(hook))
}

// outcome is GitHub's text beside the status code.
func outcome(a fakeforge.Attempt) string {
	switch {
	case a.Failure != "":
		return a.Failure
	case a.Status/100 == 2:
		return "OK"
	}
	return fmt.Sprintf("Invalid HTTP Response: %d", a.Status)
}

// listDeliveries lists the newest first. The cursor is the id of the last one of the page before.
func (h hooks) listDeliveries(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || size < 1 || size > 100 {
		size = deliveriesPerPage
	}
	before, _ := strconv.ParseInt(query.Get("cursor"), 10, 64)
	page := []any{}
	header := http.Header{}
	attempts := h.Attempts(hook.ID)
	for _, a := range slices.Backward(attempts) {
		if before > 0 && a.ID >= before || h.Now().Sub(a.At) > deliveriesKept {
			continue
		}
		if len(page) == size {
			header.Set("Link", h.nextDeliveries(r, lastID(page)))
			break
		}
		page = append(page, h.delivery(a))
	}
	return fakeforge.Answer{Status: http.StatusOK, Header: header, Body: page}
}

func lastID(page []any) int64 {
	last, _ := page[len(page)-1].(map[string]any)
	id, _ := last["id"].(int64)
	return id
}

func (h hooks) nextDeliveries(r *http.Request, cursor int64) string {
	query := url.Values{"per_page": {r.URL.Query().Get("per_page")}, "cursor": {strconv.FormatInt(cursor, 10)}}
	return fmt.Sprintf(`<%s%s?%s>; rel="next"`, h.Base(), r.URL.Path, query.Encode())
}

func (h hooks) delivery(a fakeforge.Attempt) map[string]any {
	repo, _ := h.Repository(a.Project)
	return map[string]any{
		"id": a.ID, "guid": a.Key, "delivered_at": textTime(a.At), "redelivery": a.Again, "duration": 0.1,
		"status": outcome(a), "status_code": a.Status, "event": a.Event, "action": nil, "installation_id": nil,
		"repository_id": repo.ID, "throttled_at": nil,
	}
}

func (h hooks) showDelivery(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	a, ok := h.namedDelivery(r, hook)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	headers := map[string]string{}
	for name := range a.Header {
		headers[name] = a.Header.Get(name)
	}
	delivery := h.delivery(a)
	delivery["request"] = map[string]any{"headers": headers, "payload": map[string]any{}}
	delivery["response"] = map[string]any{"headers": nil, "payload": nil}
	return fakeforge.OK(delivery)
}

// redeliver sends the same GUID once more. GitHub does so a moment after its answer.
func (h hooks) redeliver(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	a, ok := h.namedDelivery(r, hook)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	if _, err := h.DeliverAgain(r.Context(), hook, a); err != nil {
		return h.Crashed(r, err)
	}
	return fakeforge.Answer{Status: http.StatusAccepted, Body: map[string]any{}}
}

func (h hooks) namedDelivery(r *http.Request, hook fakeforge.Hook) (fakeforge.Attempt, bool) {
	id, err := strconv.ParseInt(r.PathValue("delivery"), 10, 64)
	if err != nil {
		return fakeforge.Attempt{}, false
	}
	return h.FindAttempt(hook.ID, id)
}

// sign makes the header of a delivery, with the signature of its webhook's secret.
func sign(d fakeforge.Delivery, hook fakeforge.Hook, repo fakeforge.Repository) (http.Header, error) {
	target, id := installation(hook, repo)
	h := http.Header{}
	h.Set("Accept", "*/*")
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "GitHub-Hookshot/5ca11e0")
	h.Set("X-GitHub-Delivery", d.Key)
	h.Set("X-GitHub-Event", d.Event)
	h.Set("X-GitHub-Hook-ID", strconv.FormatInt(hook.ID, 10))
	h.Set("X-GitHub-Hook-Installation-Target-Type", target)
	if id != 0 {
		h.Set("X-GitHub-Hook-Installation-Target-ID", strconv.FormatInt(id, 10))
	}
	if hook.Secret != "" {
		h.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(fakeforge.MAC(sha1.New, hook.Secret, d.Body)))
		h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(fakeforge.MAC(sha256.New, hook.Secret, d.Body)))
	}
	return h, nil
}

// installation is what a webhook belongs to: its type, and its id, which is 0 where the repository is not known.
func installation(hook fakeforge.Hook, repo fakeforge.Repository) (target string, id int64) {
	switch {
	case hook.Project != "" || hook.ID == fakeforge.ConfiguredHook:
		return "repository", repo.ID
	case hook.Group != "":
		return "organization", organizationID(repo)
	}
	return "integration", appID
}
