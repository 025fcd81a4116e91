package standin

import (
	"strconv"
	"strings"
	"time"
)

// gitlabJob is GitLab's CommitStatus entity; the caller holds the pipelines' lock.
func (s *Server) gitlabJob(line *pipeline, j *job, post gitlabStatus) map[string]any {
	now := s.cfg.Now().UTC()
	started, finished := &now, &now
	switch post.State {
	case "pending":
		started, finished = nil, nil
	case "running":
		finished = nil
	}
	return map[string]any{
		"id": j.id, "sha": line.sha, "ref": j.ref, "status": j.state, "name": j.name,
		"target_url": nullable(post.TargetURL), "description": nullable(post.Description),
		"created_at": now, "started_at": started, "finished_at": finished,
		"allow_failure": false, "coverage": nil, "pipeline_id": line.id, "author": s.gitlabUser(),
	}
}

// gitlabCommit is GitLab's CommitDetail entity, of which last_pipeline is null until there is one.
func (s *Server) gitlabCommit(repo Repository, c commit) map[string]any {
	var last any
	var status any
	s.ci.mu.Lock()
	if line := s.ci.find(repo.ID, c.ID, "", ""); line != nil {
		last, status = s.gitlabPipeline(repo, line), line.status()
	}
	s.ci.mu.Unlock()
	return map[string]any{
		"id": c.ID, "short_id": c.ID[:8], "parent_ids": c.Parents, "title": c.title(), "message": c.Message,
		"author_name": c.Author.Name, "author_email": c.Author.Email, "authored_date": c.AuthoredAt,
		"committer_name": c.Committer.Name, "committer_email": c.Committer.Email, "committed_date": c.CommittedAt,
		"created_at": c.CommittedAt, "web_url": s.Base() + "/" + repo.Project + "/-/commit/" + c.ID,
		"status": status, "project_id": repo.ID, "last_pipeline": last,
	}
}

func (s *Server) gitlabPipeline(repo Repository, line *pipeline) map[string]any {
	return map[string]any{
		"id": line.id, "iid": line.id, "project_id": repo.ID, "sha": line.sha, "ref": line.ref, "source": line.source,
		"status": line.status(), "created_at": line.at.UTC(), "updated_at": line.at.UTC(),
		"web_url": s.pipelineURL(repo, line.id),
	}
}

func (s *Server) pipelineURL(repo Repository, id int64) string {
	return s.Base() + "/" + repo.Project + "/-/pipelines/" + strconv.FormatInt(id, 10)
}

func (s *Server) gitlabUser() map[string]any {
	return map[string]any{
		"id": botID, "username": botLogin, "name": botName, "state": "active",
		"avatar_url": nil, "web_url": s.Base() + "/" + botLogin,
	}
}

// gitlabProject is the project block of every event.
func (s *Server) gitlabProject(r Repository) map[string]any {
	web, clone, ssh := s.Base()+"/"+r.Project, s.CloneURL(r.Project), s.sshURL(r)
	return map[string]any{
		"id": r.ID, "name": r.name(), "description": "", "web_url": web, "avatar_url": nil,
		"git_ssh_url": ssh, "git_http_url": clone, "namespace": displayName(r.owner()), "visibility_level": 0,
		"path_with_namespace": r.Project, "default_branch": r.DefaultBranch, "ci_config_path": "",
		"homepage": web, "url": ssh, "ssh_url": ssh, "http_url": clone,
	}
}

// displayName is how GitLab prints a namespace: the name of its last group, not a path.
func displayName(namespace string) string {
	name := namespace[strings.LastIndexByte(namespace, '/')+1:]
	if name == "" {
		return ""
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// gitlabTime is the format of GitLab's pipeline events, null for the zero time.
func gitlabTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return nullable(t.UTC().Format("2006-01-02 15:04:05 UTC"))
}
