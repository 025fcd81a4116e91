package gitlab

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// mergeRequestEvent is the source of the pipelines of merge requests.
const mergeRequestEvent = "merge_request_event"

const mergeRequestRefs = "refs/merge-requests/"

// MergeRequestRef is the ref that the pipelines of a GitLab merge request run for: the head of its branch, or the
// result of merging it. Events give the source branch in its place.
func MergeRequestRef(number int64, merged bool) string {
	if merged {
		return fmt.Sprintf("%s%d/merge", mergeRequestRefs, number)
	}
	return fmt.Sprintf("%s%d/head", mergeRequestRefs, number)
}

// pipelines are those of all projects, and the locks on their commits.
type pipelines struct {
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

func newPipelines() pipelines {
	return pipelines{byCommit: map[pipelineKey][]*pipeline{}, busy: map[string]bool{}}
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
func (f *forge) addPipeline(repo fakeforge.Repository, sha, ref string, jobs []string) int64 {
	source := "push"
	if strings.HasPrefix(ref, mergeRequestRefs) {
		source = mergeRequestEvent
	}
	id := f.NextID()
	f.ci.mu.Lock()
	defer f.ci.mu.Unlock()
	f.ci.add(pipeline{id: id, project: repo.ID, sha: sha, ref: ref, source: source, at: f.Now(), own: jobs})
	return id
}

// listPipelines lists the pipelines of a commit from the newest on, on one page.
func (f *forge) listPipelines(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	if !ok {
		return fakeforge.Refuse(http.StatusNotFound, "404 Project Not Found")
	}
	query, list := r.URL.Query(), []any{}
	f.ci.mu.Lock()
	defer f.ci.mu.Unlock()
	for _, line := range slices.Backward(f.ci.byCommit[pipelineKey{repo.ID, strings.ToLower(query.Get("sha"))}]) {
		if source := query.Get("source"); source == "" || source == line.source {
			list = append(list, f.pipeline(repo, line))
		}
	}
	return fakeforge.OK(list)
}

// pipeline is GitLab's PipelineBasic entity; the caller holds the lock.
func (f *forge) pipeline(repo fakeforge.Repository, line *pipeline) map[string]any {
	return map[string]any{
		"id": line.id, "iid": line.id, "project_id": repo.ID, "sha": line.sha, "ref": line.ref, "source": line.source,
		"status": line.status(), "created_at": line.at.UTC(), "updated_at": line.at.UTC(),
		"web_url": f.pipelineURL(repo, line.id),
	}
}

func (f *forge) pipelineURL(repo fakeforge.Repository, id int64) string {
	return f.Base() + "/" + repo.Project + "/-/pipelines/" + strconv.FormatInt(id, 10)
}
