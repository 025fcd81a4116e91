package standin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	githubKeeps      = 3 * 24 * time.Hour // that long GitHub remembers deliveries
	githubDeliveries = 30                 // on a page, by default
)

// words is GitHub's text beside the status code.
func (a Attempt) words() string {
	switch {
	case a.Failure != "":
		return a.Failure
	case a.Status/100 == 2:
		return "OK"
	}
	return fmt.Sprintf("Invalid HTTP Response: %d", a.Status)
}

// listGitHubDeliveries lists the newest first. The cursor is the id of the last one of the page before.
func (s *Server) listGitHubDeliveries(r *http.Request, hook Hook) answer {
	query := r.URL.Query()
	size, err := strconv.Atoi(query.Get("per_page"))
	if err != nil || size < 1 || size > 100 {
		size = githubDeliveries
	}
	before, _ := strconv.ParseInt(query.Get("cursor"), 10, 64)
	page := []any{}
	header := http.Header{}
	attempts := s.Attempts(hook.ID)
	for _, a := range slices.Backward(attempts) {
		if before > 0 && a.ID >= before || s.cfg.Now().Sub(a.At) > githubKeeps {
			continue
		}
		if len(page) == size {
			header.Set("Link", s.nextDeliveries(r, lastID(page)))
			break
		}
		page = append(page, s.githubDelivery(a))
	}
	return answer{status: http.StatusOK, header: header, body: page}
}

func lastID(page []any) int64 {
	last, _ := page[len(page)-1].(map[string]any)
	id, _ := last["id"].(int64)
	return id
}

func (s *Server) nextDeliveries(r *http.Request, cursor int64) string {
	query := url.Values{"per_page": {r.URL.Query().Get("per_page")}, "cursor": {strconv.FormatInt(cursor, 10)}}
	return fmt.Sprintf(`<%s%s?%s>; rel="next"`, s.Base(), r.URL.Path, query.Encode())
}

func (s *Server) githubDelivery(a Attempt) map[string]any {
	repo, _ := s.repository(a.Project)
	return map[string]any{
		"id": a.ID, "guid": a.Key, "delivered_at": textTime(a.At), "redelivery": a.Again, "duration": 0.1,
		"status": a.words(), "status_code": a.Status, "event": a.Event, "action": nil, "installation_id": nil,
		"repository_id": repo.ID, "throttled_at": nil,
	}
}

func (s *Server) showGitHubDelivery(r *http.Request, hook Hook) answer {
	a, ok := s.namedDelivery(r, hook)
	if !ok {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	headers := map[string]string{}
	for name := range a.Header {
		headers[name] = a.Header.Get(name)
	}
	delivery := s.githubDelivery(a)
	delivery["request"] = map[string]any{"headers": headers, "payload": map[string]any{}}
	delivery["response"] = map[string]any{"headers": nil, "payload": nil}
	return answer{status: http.StatusOK, body: delivery}
}

// redeliverGitHub sends the same GUID once more. GitHub does so a moment after its answer.
func (s *Server) redeliverGitHub(r *http.Request, hook Hook) answer {
	a, ok := s.namedDelivery(r, hook)
	if !ok {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	if _, err := s.retry(r.Context(), hook, a); err != nil {
		return s.crashed(r, err)
	}
	return answer{status: http.StatusAccepted, body: map[string]any{}}
}

func (s *Server) namedDelivery(r *http.Request, hook Hook) (Attempt, bool) {
	id, err := strconv.ParseInt(r.PathValue("delivery"), 10, 64)
	if err != nil {
		return Attempt{}, false
	}
	return s.findAttempt(hook.ID, id)
}
