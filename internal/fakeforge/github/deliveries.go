package github

import (
	"crypto/sha1" // GitHub still sends the legacy signature beside the real one
	"crypto/sha256"
	"encoding/hex"
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
	deliveriesPerPage = 30 // on a page, by default
)

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
func (f *forge) listDeliveries(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || size < 1 || size > 100 {
		size = deliveriesPerPage
	}
	before, _ := strconv.ParseInt(query.Get("cursor"), 10, 64)
	page := []any{}
	header := http.Header{}
	attempts := f.Attempts(hook.ID)
	for _, a := range slices.Backward(attempts) {
		if before > 0 && a.ID >= before || f.Now().Sub(a.At) > deliveriesKept {
			continue
		}
		if len(page) == size {
			header.Set("Link", f.nextDeliveries(r, lastID(page)))
			break
		}
		page = append(page, f.delivery(a))
	}
	return fakeforge.Answer{Status: http.StatusOK, Header: header, Body: page}
}

func lastID(page []any) int64 {
	last, _ := page[len(page)-1].(map[string]any)
	id, _ := last["id"].(int64)
	return id
}

func (f *forge) nextDeliveries(r *http.Request, cursor int64) string {
	query := url.Values{"per_page": {r.URL.Query().Get("per_page")}, "cursor": {strconv.FormatInt(cursor, 10)}}
	return fmt.Sprintf(`<%s%s?%s>; rel="next"`, f.Base(), r.URL.Path, query.Encode())
}

func (f *forge) delivery(a fakeforge.Attempt) map[string]any {
	repo, _ := f.Repository(a.Project)
	return map[string]any{
		"id": a.ID, "guid": a.Key, "delivered_at": textTime(a.At), "redelivery": a.Again, "duration": 0.1,
		"status": outcome(a), "status_code": a.Status, "event": a.Event, "action": nil, "installation_id": nil,
		"repository_id": repo.ID, "throttled_at": nil,
	}
}

func (f *forge) showDelivery(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	a, ok := f.namedDelivery(r, hook)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	headers := map[string]string{}
	for name := range a.Header {
		headers[name] = a.Header.Get(name)
	}
	delivery := f.delivery(a)
	delivery["request"] = map[string]any{"headers": headers, "payload": map[string]any{}}
	delivery["response"] = map[string]any{"headers": nil, "payload": nil}
	return fakeforge.OK(delivery)
}

// redeliver sends the same GUID once more. GitHub does so a moment after its answer.
func (f *forge) redeliver(r *http.Request, hook fakeforge.Hook) fakeforge.Answer {
	a, ok := f.namedDelivery(r, hook)
	if !ok {
		return refuse(http.StatusNotFound, "Not Found")
	}
	if _, err := f.DeliverAgain(r.Context(), hook, a); err != nil {
		return f.Crashed(r, err)
	}
	return fakeforge.Answer{Status: http.StatusAccepted, Body: map[string]any{}}
}

func (f *forge) namedDelivery(r *http.Request, hook fakeforge.Hook) (fakeforge.Attempt, bool) {
	id, err := strconv.ParseInt(r.PathValue("delivery"), 10, 64)
	if err != nil {
		return fakeforge.Attempt{}, false
	}
	return f.FindAttempt(hook.ID, id)
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
