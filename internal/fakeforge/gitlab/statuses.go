package gitlab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

const maxText = 255 // characters of a ref, target_url or description

// statuses is the API of commit statuses, each of which becomes a job of a pipeline.
type statuses struct {
	objects
	pipelines *pipelines
}

// register adds routes and describes this part of the forge.
func (s statuses) register(f *fakeforge.Forge) {
	f.Overwrite, f.AddPipeline = s.overwrite, s.pipelines.addPipeline
	s.RouteAround("POST "+projectRoot+"/statuses/{sha}", s.Refusable(s.postStatus), s.serialised)
	s.Route("GET "+projectRoot+"/repository/commits/{sha}/statuses", s.listStatuses)
	s.Route("GET "+projectRoot+"/pipelines", s.pipelines.list)
}

// statusPost is the body of POST /projects/:id/statuses/:sha.
type statusPost struct {
	State       string      `json:"state"`
	Ref         string      `json:"ref"`
	Name        string      `json:"name"`
	Context     string      `json:"context"`
	TargetURL   string      `json:"target_url"`
	Description string      `json:"description"`
	PipelineID  json.Number `json:"pipeline_id"`
}

// serialised holds GitLab's lock on a commit for as long as its call takes. The real one waits some ten seconds for the
// lock; this one answers 409 at once, so that a client that posts in parallel is always noticed.
func (s statuses) serialised(rules fakeforge.Endpoint) fakeforge.Endpoint {
	return func(r *http.Request) fakeforge.Answer {
		repo, _ := s.RepositoryOf(r)
		key := strings.ToLower(repo.Project + " " + r.PathValue("sha"))
		if !s.pipelines.lock(key) {
			return fakeforge.Refuse(http.StatusConflict, "Another update to this commit status is in progress")
		}
		defer s.pipelines.unlock(key)
		return rules(r)
	}
}

func (s statuses) postStatus(r *http.Request) fakeforge.Answer {
	repo, ok := s.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	if s.IsStrange(repo.Project) {
		return fakeforge.Refuse(http.StatusForbidden, "403 Forbidden")
	}
	post, problem := s.readStatus(r)
	if problem != nil {
		return *problem
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := s.Knows(r.Context(), repo, sha)
	switch {
	case err != nil:
		return s.Crashed(r, err)
	case !known:
		return fakeforge.Refuse(http.StatusNotFound, "404 Commit Not Found")
	}
	ref, err := s.refFor(r.Context(), repo, sha, post)
	switch {
	case err != nil:
		return s.Crashed(r, err)
	case ref == "":
		return fakeforge.Refuse(http.StatusNotFound, "404 References for commit Not Found")
	}
	return s.acceptStatus(repo, sha, ref, post, fakeforge.Bot.Login)
}

// overwrite posts a status as another account.
func (s statuses) overwrite(repo fakeforge.Repository, status fakeforge.Status) fakeforge.Answer {
	return s.acceptStatus(repo, status.SHA, status.Ref, statusPost{
		State: status.State, Name: status.Context, Description: status.Description, TargetURL: status.TargetURL,
		Ref: status.Ref,
	}, status.Creator)
}

func (s statuses) readStatus(r *http.Request) (post statusPost, problem *fakeforge.Answer) {
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return post, refuseCall("error", "The provided content is not valid JSON")
	}
	post.Name = cmp.Or(post.Name, post.Context, "default")
	states := []string{"pending", "running", "success", "failed", "canceled", "skipped"}
	switch {
	case post.State == "":
		return post, refuseCall("error", "state is missing")
	case !slices.Contains(states, post.State):
		return post, refuseCall("error", "state does not have a valid value")
	case !s.TakesLink(post.TargetURL):
		return post, refuseField("target_url", "is blocked: Only allowed schemes are http, https")
	}
	for field, text := range map[string]string{
		"ref": post.Ref, "target_url": post.TargetURL, "description": post.Description,
	} {
		if utf8.RuneCountInString(text) > maxText {
			return post, refuseField(field, fmt.Sprintf("is too long (maximum is %d characters)", maxText))
		}
	}
	return post, nil
}

// refFor is the ref that a status belongs to: the one it names, else that of its pipeline or of the commit's newest one,
// else the first branch that has the commit; empty when there is none.
func (s statuses) refFor(ctx context.Context, repo fakeforge.Repository, sha string, post statusPost) (string, error) {
	if post.Ref != "" {
		return post.Ref, nil
	}
	if ref := s.pipelines.refOf(repo.ID, sha, string(post.PipelineID)); ref != "" {
		return ref, nil
	}
	return repo.Git().BranchWith(ctx, sha)
}

// acceptStatus puts the status into its pipeline, under the rules of the jobs there.
func (s statuses) acceptStatus(repo fakeforge.Repository, sha, ref string, post statusPost, creator string) fakeforge.Answer {
	s.pipelines.mu.Lock()
	defer s.pipelines.mu.Unlock()
	line := s.pipelines.find(repo.ID, sha, post.Ref, string(post.PipelineID))
	if line == nil && post.PipelineID != "" {
		return fakeforge.Refuse(http.StatusNotFound, "404 Pipeline for pipeline_id, sha and ref Not Found")
	}
	if line == nil {
		line = s.pipelines.add(pipeline{id: s.NextID(), project: repo.ID, sha: sha, ref: ref, source: "external", at: s.Now()})
	}
	if line.hasOwn(post.Name) {
		return *refuseField("name", "has already been taken")
	}
	job := line.open(post.Name, ref)
	if event := job.refuses(post.State); event != "" {
		return *refuseCall("message", fmt.Sprintf(
			"Cannot transition status via :%[1]s from :%[2]s (Reason(s): Status cannot transition via %[1]q)", event, job.state))
	}
	if job == nil {
		job = line.start(s.NextID(), post.Name, ref)
	}
	job.state = post.State
	s.Accept(fakeforge.Status{
		Project: repo.Project, SHA: sha, Ref: ref, Context: post.Name, State: post.State,
		Description: post.Description, TargetURL: post.TargetURL, PipelineID: line.id, At: s.Now().UTC(),
		ID: job.id, Creator: creator,
	})
	return fakeforge.Answer{Status: http.StatusCreated, Body: s.commitStatus(line, job, post)}
}

// commitStatus is GitLab's CommitStatus entity; the caller holds the pipelines' lock.
func (s statuses) commitStatus(line *pipeline, j *job, post statusPost) map[string]any {
	now := s.Now().UTC()
	started, finished := &now, &now
	switch post.State {
	case "pending":
		started, finished = nil, nil
	case "running":
		finished = nil
	}
	return map[string]any{
		"id": j.id, "sha": line.sha, "ref": j.ref, "status": j.state, "name": j.name,
		"target_url": fakeforge.Nullable(post.TargetURL), "description": fakeforge.Nullable(post.Description),
		"created_at": now, "started_at": started, "finished_at": finished,
		"allow_failure": false, "coverage": nil, "pipeline_id": line.id, "author": s.user(),
	}
}

// refuseCall is GitLab's 400 with a sentence, under "message" where a rule of the model is broken and under "error"
// where a parameter is wrong.
func refuseCall(key, problem string) *fakeforge.Answer {
	return &fakeforge.Answer{Status: http.StatusBadRequest, Body: map[string]string{key: problem}, Reason: problem}
}

// refuseField is GitLab's 400 for a field of the status.
func refuseField(field, problem string) *fakeforge.Answer {
	body := map[string]any{"message": map[string][]string{field: {problem}}}
	return &fakeforge.Answer{Status: http.StatusBadRequest, Body: body, Reason: field + " " + problem}
}

// listStatuses lists each job once, with what was posted to it last.
func (s statuses) listStatuses(r *http.Request) fakeforge.Answer {
	repo, ok := s.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	list, listed, query := []any{}, map[int64]bool{}, r.URL.Query()
	for _, status := range slices.Backward(s.Statuses(repo.Project, strings.ToLower(r.PathValue("sha")))) {
		name, ref := query.Get("name"), query.Get("ref")
		if listed[status.ID] || name != "" && name != status.Context || ref != "" && ref != status.Ref {
			continue
		}
		listed[status.ID] = true
		author := s.user()
		author["username"] = status.Creator
		list = append(list, map[string]any{
			"id": status.ID, "sha": status.SHA, "ref": status.Ref, "status": status.State, "name": status.Context,
			"target_url": fakeforge.Nullable(status.TargetURL), "description": fakeforge.Nullable(status.Description),
			"created_at": status.At, "allow_failure": false, "coverage": nil, "pipeline_id": status.PipelineID,
			"author": author,
		})
	}
	return fakeforge.OK(list)
}

// pipelines are those of all projects, and the locks on their commits.
type pipelines struct {
	objects

	mu       sync.Mutex
	byCommit map[pipelineKey][]*pipeline // oldest first
	busy     map[string]bool
}

type pipelineKey struct {
	project int64
	sha     string
}

type pipeline struct {
	id, project      int64
	sha, ref, source string
	at               time.Time
	own              []string // names of the jobs that the project's CI itself runs
	jobs             []*job   // posted from outside
}

// job is an external job, which a posted commit status becomes.
type job struct {
	id               int64
	name, ref, state string
}

func newPipelines(o objects) *pipelines {
	return &pipelines{objects: o, byCommit: map[pipelineKey][]*pipeline{}, busy: map[string]bool{}}
}

func (p *pipelines) lock(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := !p.busy[key]
	p.busy[key] = true
	return free
}

func (p *pipelines) unlock(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, key)
}

// add, find: the caller holds mu.
func (p *pipelines) add(line pipeline) *pipeline {
	key := pipelineKey{line.project, line.sha}
	p.byCommit[key] = append(p.byCommit[key], &line)
	return &line
}

// find is the newest pipeline of a commit; empty ref and id match any.
func (p *pipelines) find(project int64, sha, ref, id string) *pipeline {
	for _, line := range slices.Backward(p.byCommit[pipelineKey{project, sha}]) {
		if (ref == "" || line.ref == ref) && (id == "" || strconv.FormatInt(line.id, 10) == id) {
			return line
		}
	}
	return nil
}

// refOf is the ref of the newest pipeline of a commit that matches; empty where there is none.
func (p *pipelines) refOf(project int64, sha, id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line := p.find(project, sha, "", id); line != nil {
		return line.ref
	}
	return ""
}

func (l *pipeline) hasOwn(name string) bool { return slices.Contains(l.own, name) }

// open is the unfinished job of that name and ref. Finished ones are never touched again: a new job takes their place.
func (l *pipeline) open(name, ref string) *job {
	for _, j := range slices.Backward(l.jobs) {
		if j.name == name && j.ref == ref && (j.state == "pending" || j.state == "running") {
			return j
		}
	}
	return nil
}

func (l *pipeline) start(id int64, name, ref string) *job {
	j := &job{id: id, name: name, ref: ref}
	l.jobs = append(l.jobs, j)
	return j
}

// refuses names the event of GitLab's state machine that cannot happen, or is empty when the job may take the state.
func (j *job) refuses(state string) (event string) {
	switch {
	case j == nil:
		return ""
	case state == "pending":
		return "enqueue"
	case state == "running" && j.state == "running":
		return "run"
	case state == "skipped" && j.state == "running":
		return "skip"
	}
	return ""
}

// status sums the jobs up as GitLab's pipelines do; a pipeline of the project's own CI is still running.
func (l *pipeline) status() string {
	latest := map[string]string{}
	for _, j := range l.jobs {
		latest[j.name] = j.state
	}
	for _, state := range []string{"running", "pending", "failed", "canceled", "success", "skipped"} {
		for _, have := range latest {
			if have == state && l.source == "external" {
				return state
			}
		}
	}
	return "running"
}

// addPipeline makes a pipeline of the project's own CI exist. No posted status may take the name of one of its jobs. The
// pipeline of a merge request runs for the ref that MergeRequestRef names.
func (p *pipelines) addPipeline(repo fakeforge.Repository, sha, ref string, jobs []string) int64 {
	source := "push"
	if strings.HasPrefix(ref, mergeRequestRefs) {
		source = mergeRequestEvent
	}
	id := p.NextID()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(pipeline{id: id, project: repo.ID, sha: sha, ref: ref, source: source, at: p.Now(), own: jobs})
	return id
}

// list lists the pipelines of a commit from the newest on, on one page.
func (p *pipelines) list(r *http.Request) fakeforge.Answer {
	repo, ok := p.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	query, list := r.URL.Query(), []any{}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range slices.Backward(p.byCommit[pipelineKey{repo.ID, strings.ToLower(query.Get("sha"))}]) {
		if source := query.Get("source"); source == "" || source == line.source {
			list = append(list, p.pipelineBasic(repo, line))
		}
	}
	return fakeforge.OK(list)
}

// pipelineBasic is GitLab's PipelineBasic entity; the caller holds the lock.
func (p *pipelines) pipelineBasic(repo fakeforge.Repository, line *pipeline) map[string]any {
	return map[string]any{
		"id": line.id, "iid": line.id, "project_id": repo.ID, "sha": line.sha, "ref": line.ref, "source": line.source,
		"status": line.status(), "created_at": line.at.UTC(), "updated_at": line.at.UTC(),
		"web_url": p.pipelineURL(repo, line.id),
	}
}
