package standin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pipelines is what GitLab knows of a project's pipelines, and the locks on their commits.
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

// job is an external job: what a posted commit status becomes.
type job struct {
	id               int64
	name, ref, state string
}

// AddPipeline makes a CI pipeline of the project exist for a commit, with the names of its own jobs, which no posted
// status may take. It returns the pipeline's id. That of a merge request runs for the ref that MergeRequestRef names.
func (s *Server) AddPipeline(project, sha, ref string, jobs ...string) (int64, error) {
	repo, err := s.find(project)
	if err != nil {
		return 0, err
	}
	id := s.nextID()
	s.ci.mu.Lock()
	defer s.ci.mu.Unlock()
	line := pipeline{id: id, project: repo.ID, sha: sha, ref: ref, source: sourceOf(ref), at: s.cfg.Now(), own: jobs}
	s.ci.add(line)
	return id, nil
}

func (p *pipelines) lock(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == nil {
		p.busy = map[string]bool{}
	}
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
	if p.byCommit == nil {
		p.byCommit = map[pipelineKey][]*pipeline{}
	}
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

func (s *Server) getGitLabCommit(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	if !ok {
		return refuse(http.StatusNotFound, "404 Project Not Found")
	}
	sha := strings.ToLower(r.PathValue("sha"))
	known, err := s.knows(r.Context(), repo, sha)
	if err == nil && !known {
		return refuse(http.StatusNotFound, "404 Commit Not Found")
	}
	var found commit
	if err == nil {
		found, err = s.commitOf(r.Context(), repo, sha)
	}
	if err != nil {
		return s.crashed(r, err)
	}
	return answer{status: http.StatusOK, body: s.gitlabCommit(repo, found)}
}
