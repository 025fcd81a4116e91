package standin

import (
	"fmt"
	"time"
)

// workflowID is the id of the one workflow that a stand-in's repositories have.
const workflowID = 8001

// githubRunEvent is GitHub's workflow_run event.
func (s *Server) githubRunEvent(p PipelineSpec, r Repository, head commit) map[string]any {
	action := map[string]string{"completed": "completed", "in_progress": "in_progress"}[p.Status]
	if action == "" {
		action = "requested"
	}
	api := s.APIURL(s.Base()) + "/repos/" + r.Project
	return map[string]any{
		"action":       action,
		"repository":   s.githubRepository(r, textTime),
		"sender":       s.githubUser(personLogin, personID, "User"),
		"workflow":     s.githubWorkflow(p, r, api),
		"workflow_run": s.githubRun(p, r, head, api),
	}
}

func (s *Server) githubWorkflow(p PipelineSpec, r Repository, api string) map[string]any {
	stamp := textTime(s.cfg.Now().AddDate(-1, 0, 0))
	return map[string]any{
		"id": workflowID, "node_id": nodeID("Workflow", workflowID), "name": p.Name, "path": workflowPath,
		"state": "active", "created_at": stamp, "updated_at": stamp,
		"url":       fmt.Sprintf("%s/actions/workflows/%d", api, workflowID),
		"html_url":  s.Base() + "/" + r.Project + "/blob/" + r.DefaultBranch + "/" + workflowPath,
		"badge_url": s.Base() + "/" + r.Project + "/workflows/ci/badge.svg",
	}
}

const workflowPath = ".github/workflows/ci.yml"

func (s *Server) githubRun(p PipelineSpec, r Repository, head commit, api string) map[string]any {
	actor := s.githubUser(personLogin, personID, "User")
	url := fmt.Sprintf("%s/actions/runs/%d", api, p.ID)
	lite := s.githubRepositoryLite(r)
	run := map[string]any{
		"id": p.ID, "node_id": nodeID("WorkflowRun", p.ID), "name": p.Name, "display_title": head.title(),
		"path": workflowPath, "run_number": p.ID, "run_attempt": p.Attempt, "event": p.Source,
		"status": p.Status, "conclusion": nullable(p.Conclusion), "head_branch": p.Branch, "head_sha": head.ID,
		"head_commit": headCommit(head), "repository": lite, "head_repository": lite, "pull_requests": []any{},
		"referenced_workflows": []any{},
		"created_at":           textTime(p.CreatedAt), "run_started_at": textTime(p.startedAt()),
		"updated_at": textTime(p.updatedAt()),
		"actor":      actor, "triggering_actor": actor,
		"workflow_id": workflowID, "workflow_url": fmt.Sprintf("%s/actions/workflows/%d", api, workflowID),
		"check_suite_id": p.ID, "check_suite_node_id": nodeID("CheckSuite", p.ID),
		"check_suite_url": fmt.Sprintf("%s/check-suites/%d", api, p.ID),
		"url":             url, "html_url": fmt.Sprintf("%s/%s/actions/runs/%d", s.Base(), r.Project, p.ID),
		"previous_attempt_url": nil,
	}
	if p.Attempt > 1 {
		run["previous_attempt_url"] = fmt.Sprintf("%s/attempts/%d", url, p.Attempt-1)
	}
	addLinks(run, url, runLinks)
	return run
}

// updatedAt is when GitHub last touched the run: its end, its start, or its creation.
func (p PipelineSpec) updatedAt() time.Time {
	switch p.Status {
	case "completed":
		return p.endedAt()
	case "in_progress":
		return p.startedAt()
	}
	return p.CreatedAt
}

// headCommit is the short form of a commit, as inside a workflow run.
func headCommit(c commit) map[string]any {
	return map[string]any{
		"id": c.ID, "tree_id": c.Tree, "message": c.Message, "timestamp": c.CommittedAt,
		"author": c.Author, "committer": c.Committer,
	}
}
