package gitlab

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

const mergeRequestRefs = "refs/merge-requests/"

// MergeRequestRef is the ref that the pipelines of a GitLab merge request run for: the head of its branch, or the
// result of merging it. Events give the source branch in its place.
func MergeRequestRef(number int64, merged bool) string {
	if merged {
		return fmt.Sprintf("%s%d/merge", mergeRequestRefs, number)
	}
	return fmt.Sprintf("%s%d/head", mergeRequestRefs, number)
}

// requests is the API of merge requests, their notes and external status checks.
type requests struct {
	objects
	mu     sync.Mutex
	notes  map[int64]string           // by id
	checks map[string][]externalCheck // by project
}

// externalCheck is an external status check of all merge requests of a project, and what was answered to it.
type externalCheck struct {
	id      int64
	name    string
	answers map[string]string // by commit
}

func newRequests(o objects) *requests {
	return &requests{objects: o, notes: map[int64]string{}, checks: map[string][]externalCheck{}}
}

const requestRoot = projectRoot + "/merge_requests/{iid}"

// register adds routes and describes this part of the forge.
func (q *requests) register(f *fakeforge.Forge) {
	f.AddCheck = q.addCheck
	q.Route("GET "+requestRoot, q.withRequest(q.show))
	q.Route("GET "+requestRoot+"/status_checks", q.withRequest(q.listChecks))
	q.Route("POST "+requestRoot+"/status_check_responses", q.withRequest(q.answerCheck))
	q.Route("POST "+requestRoot+"/notes", q.withRequest(q.addNote))
	q.Route("PUT "+requestRoot+"/notes/{note}", q.withRequest(q.editNote))
}

func (q *requests) withRequest(answer func(*http.Request, fakeforge.RequestSpec) fakeforge.Answer) fakeforge.Endpoint {
	return func(r *http.Request) fakeforge.Answer {
		repo, ok := q.RepositoryOf(r)
		number, err := strconv.ParseInt(r.PathValue("iid"), 10, 64)
		spec, known := q.FindRequest(repo.Project, number)
		if !ok || err != nil || !known {
			return fakeforge.Refuse(http.StatusNotFound, "404 Not found")
		}
		return answer(r, spec)
	}
}

func (q *requests) show(_ *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	base, _ := q.Repository(spec.Project)
	head, _ := q.Repository(cmp.Or(spec.From, spec.Project))
	entity := q.mergeRequestEntity(spec, base, head)
	if spec.Gone {
		entity["source_project_id"] = nil
	}
	return fakeforge.OK(entity)
}

func (q *requests) addNote(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	id := q.NextID()
	return q.putNote(r, spec, id, http.StatusCreated)
}

func (q *requests) editNote(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	id, _ := strconv.ParseInt(r.PathValue("note"), 10, 64)
	q.mu.Lock()
	_, known := q.notes[id]
	q.mu.Unlock()
	if !known {
		return fakeforge.Refuse(http.StatusNotFound, "404 Note Not Found")
	}
	return q.putNote(r, spec, id, http.StatusOK)
}

// putNote records a note as a status of the head, whose context is the note's first word, so that tests can wait for it. A line that begins
// with a slash would command.
func (q *requests) putNote(r *http.Request, spec fakeforge.RequestSpec, id int64, status int) fakeforge.Answer {
	var note struct {
		Body string `json:"body"`
	}
	if err := json.NewDecoder(r.Body).Decode(&note); err != nil || note.Body == "" || strings.HasPrefix(note.Body, "/") {
		return *refuseCall("error", "body is missing")
	}
	q.mu.Lock()
	q.notes[id] = note.Body
	q.mu.Unlock()
	q.Accept(fakeforge.Status{
		Project: spec.Project, SHA: spec.Head, Ref: "note", Context: "note", State: "note", Description: note.Body, ID: id,
		Creator: fakeforge.Bot.Login, At: q.Now().UTC(),
	})
	return fakeforge.Answer{Status: status, Body: map[string]any{"id": id, "body": note.Body, "noteable_iid": spec.Number}}
}

// addCheck gives a project, which is one of GitLab Ultimate then, an external status check.
func (q *requests) addCheck(r fakeforge.Repository, name string) int64 {
	check := externalCheck{q.NextID(), name, map[string]string{}}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.checks[r.Project] = append(q.checks[r.Project], check)
	return check.id
}

// listChecks lists the checks of a merge request, which wait until they are answered for its head. Other projects than those of GitLab
// Ultimate have no such list.
func (q *requests) listChecks(_ *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.checks[spec.Project]) == 0 {
		return fakeforge.Refuse(http.StatusNotFound, "404 Not Found")
	}
	var list []any
	for _, check := range q.checks[spec.Project] {
		list = append(list, map[string]any{
			"id": check.id, "name": check.name, "external_url": "https://checks.example/", "status": cmp.Or(check.answers[spec.Head], "pending"),
		})
	}
	return fakeforge.OK(list)
}

// answerCheck takes an answer for the head alone.
func (q *requests) answerCheck(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	var post struct {
		SHA    string      `json:"sha"`
		Check  json.Number `json:"external_status_check_id"`
		Status string      `json:"status"`
	}
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil || post.SHA == "" {
		return *refuseCall("error", "sha is missing")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	checks := q.checks[spec.Project]
	at := slices.IndexFunc(checks, func(c externalCheck) bool { return strconv.FormatInt(c.id, 10) == string(post.Check) })
	switch {
	case at < 0:
		return fakeforge.Refuse(http.StatusNotFound, "404 Not Found")
	case q.IsStrange(spec.Project):
		return fakeforge.Refuse(http.StatusForbidden, "403 Forbidden")
	case !slices.Contains([]string{"passed", "failed", "pending"}, post.Status):
		return *refuseCall("error", "status does not have a valid value")
	case post.SHA != spec.Head:
		return fakeforge.Refuse(http.StatusConflict, "409 Conflict")
	}
	check := checks[at]
	check.answers[post.SHA] = post.Status
	q.Accept(fakeforge.Status{
		Project: spec.Project, SHA: post.SHA, Ref: "check", Context: check.name, State: post.Status, ID: check.id, Creator: fakeforge.Bot.Login, At: q.Now().UTC(),
	})
	return fakeforge.Answer{Status: http.StatusCreated, Body: map[string]any{
		"id": q.NextID(), "merge_request": map[string]any{"iid": spec.Number},
		"external_status_check": map[string]any{"id": check.id, "name": check.name, "external_url": "https://checks.example/"},
	}}
}
