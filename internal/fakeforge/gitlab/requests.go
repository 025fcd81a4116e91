package gitlab

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
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
	checks map[string][]externalCheck // by project
}

// externalCheck is an external status check of all merge requests of a project, and what was answered to it.
type externalCheck struct {
	id      int64
	name    string
	answers map[string]string // by commit
}

func newRequests(o objects) *requests {
	return &requests{objects: o, checks: map[string][]externalCheck{}}
}

const requestRoot = projectRoot + "/merge_requests/{iid}"

// register adds routes and describes this part of the forge.
func (q *requests) register(f *fakeforge.Forge) {
	f.AddCheck = q.addCheck
	q.Route("GET "+requestRoot, q.withRequest(q.show))
	q.Route("GET "+requestRoot+"/status_checks", q.withRequest(q.listChecks))
	q.Route("POST "+requestRoot+"/status_check_responses", q.withRequest(q.answerCheck))
	notes{q}.addRoutes()
	(&discussions{requests: q, of: map[string][]*discussion{}}).addRoutes()
}

func (q *requests) withRequest(answer func(*http.Request, fakeforge.RequestSpec) fakeforge.Answer) fakeforge.Endpoint {
	return func(r *http.Request) fakeforge.Answer {
		spec, known := q.RequestOf(r, "iid")
		if !known {
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

// maxNote is how many bytes of a note GitLab takes.
const maxNote = 1_000_000

// notes is the API of the notes of merge requests.
type notes struct{ *requests }

func (n notes) addRoutes() {
	api := n.api()
	root := requestRoot + "/notes"
	one := n.withRequest(func(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
		return n.OneComment(api, r, spec.Project, spec.Number, r.PathValue("note"))
	})
	n.Route("GET "+root, n.withRequest(func(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
		return n.ListComments(api, r, spec)
	}))
	n.Route("POST "+root, n.obeying(n.withRequest(func(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
		return n.PostComment(api, r, spec)
	})))
	n.Route("GET "+root+"/{note}", one)
	n.Route("PUT "+root+"/{note}", n.obeying(one))
}

func (n notes) api() fakeforge.CommentAPI {
	return fakeforge.CommentAPI{
		Describe: func(c fakeforge.Comment) map[string]any {
			return map[string]any{
				"id": c.ID, "body": c.Body, "author": map[string]any{"id": fakeforge.Bot.ID, "username": c.Author}, "system": false,
				"noteable_type": "MergeRequest", "noteable_iid": c.Request, "resolvable": false,
			}
		},
		NotFound: fakeforge.Refuse(http.StatusNotFound, "404 Not found"),
		Locked:   fakeforge.Refuse(http.StatusForbidden, "403 Forbidden"),
		Invalid:  func(problem string) fakeforge.Answer { return *refuseCall("error", problem) },
		MaxBody:  maxNote,
		Newest:   true,
		Pages: func(_ *http.Request, page, pages int) http.Header {
			header := http.Header{"X-Page": {strconv.Itoa(page)}, "X-Total-Pages": {strconv.Itoa(pages)}, "X-Next-Page": {""}}
			if page < pages {
				header.Set("X-Next-Page", strconv.Itoa(page+1))
			}
			return header
		},
	}
}

// obeying refuses what GitLab would take for a command, a line that begins with a slash outside of code.
func (n notes) obeying(rules fakeforge.Endpoint) fakeforge.Endpoint {
	return func(r *http.Request) fakeforge.Answer {
		var note struct {
			Body string `json:"body"`
		}
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, &note)
		}
		if err != nil || strings.Contains("\n"+note.Body, "\n/") {
			return *refuseCall("error", "the note is a command")
		}
		r.Body = io.NopCloser(strings.NewReader(string(text)))
		return rules(r)
	}
}

// lastLine is the last one of each file that changes: threads on later ones are refused.
const lastLine = 500

// discussion is a thread on a line of a merge request.
type discussion struct {
	ID         string
	Author     fakeforge.Account
	Body       string
	File       string
	Line       int
	Resolved   bool
	ResolvedBy fakeforge.Account
}

// discussions is the API of the threads of merge requests, with the versions of their changes.
type discussions struct {
	*requests
	mu sync.Mutex
	of map[string][]*discussion // by request, in order of arrival
}

func (d *discussions) addRoutes() {
	d.Route("GET "+requestRoot+"/versions", d.withRequest(d.showVersions))
	d.Route("GET "+requestRoot+"/discussions", d.withRequest(d.listThreads))
	d.Route("POST "+requestRoot+"/discussions", d.withRequest(d.beginThread))
	d.Route("PUT "+requestRoot+"/discussions/{discussion}", d.withRequest(d.resolveThread))
}

const threadBase = "00000000000000000000000000000000000ba5e0"

func (d *discussions) showVersions(_ *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	return fakeforge.OK([]any{map[string]any{
		"id": 1, "head_commit_sha": spec.Head, "base_commit_sha": threadBase, "start_commit_sha": threadBase, "state": "collected",
	}})
}

func threadsKey(spec fakeforge.RequestSpec) string {
	return fmt.Sprint(strings.ToLower(spec.Project), "!", spec.Number)
}

func (d *discussions) listThreads(_ *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []any{}
	for _, one := range d.of[threadsKey(spec)] {
		list = append(list, one.shown())
	}
	return fakeforge.OK(list)
}

func (one *discussion) shown() map[string]any {
	note := map[string]any{
		"id": 1, "type": "DiffNote", "body": one.Body, "author": map[string]any{"id": one.Author.ID, "username": one.Author.Login},
		"resolvable": true, "resolved": one.Resolved, "resolved_by": nil,
		"position": map[string]any{"new_path": one.File, "new_line": one.Line, "position_type": "text"},
	}
	if one.Resolved {
		note["resolved_by"] = map[string]any{"id": one.ResolvedBy.ID, "username": one.ResolvedBy.Login}
	}
	return map[string]any{"id": one.ID, "individual_note": false, "notes": []any{note}}
}

func (d *discussions) beginThread(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	var post struct {
		Body     string `json:"body"`
		Position struct {
			Base    string `json:"base_sha"`
			Start   string `json:"start_sha"`
			Head    string `json:"head_sha"`
			Type    string `json:"position_type"`
			OldPath string `json:"old_path"`
			NewPath string `json:"new_path"`
			Line    int    `json:"new_line"`
		} `json:"position"`
	}
	err := json.NewDecoder(r.Body).Decode(&post)
	at := post.Position
	switch {
	case err != nil || post.Body == "" || len(post.Body) > maxNote:
		return *refuseCall("error", "body is missing")
	case at.Type != "text" || at.Base != threadBase || at.Start != threadBase || at.Head != spec.Head || at.OldPath == "" || at.NewPath == "" || at.Line < 1 ||
		at.Line > lastLine:
		return *refuseCall("error", "400 (Bad request) \"Note {:line_code=>[\"can't be blank\"]}\" not given")
	}
	one := &discussion{ID: fmt.Sprintf("%040x", d.NextID()), Author: fakeforge.Bot, Body: post.Body, File: at.NewPath, Line: at.Line}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of[threadsKey(spec)] = append(d.of[threadsKey(spec)], one)
	return fakeforge.Answer{Status: http.StatusCreated, Body: one.shown()}
}

func (d *discussions) resolveThread(r *http.Request, spec fakeforge.RequestSpec) fakeforge.Answer {
	var put struct {
		Resolved *bool `json:"resolved"`
	}
	if err := json.NewDecoder(r.Body).Decode(&put); err != nil || put.Resolved == nil {
		return *refuseCall("error", "resolved is missing")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, one := range d.of[threadsKey(spec)] {
		if one.ID == r.PathValue("discussion") {
			one.Resolved, one.ResolvedBy = *put.Resolved, fakeforge.Bot
			return fakeforge.OK(one.shown())
		}
	}
	return fakeforge.Refuse(http.StatusNotFound, "404 Not found")
}
