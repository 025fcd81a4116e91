package github

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// The one workflow that every repository has.
const (
	workflowID   = 8001
	workflowPath = ".github/workflows/ci.yml"
)

// workflowRun is the event of a workflow's run. It completes the specification and keeps the sizes of the artifacts.
func (f *forge) workflowRun(p fakeforge.PipelineSpec, r fakeforge.Repository, head fakeforge.Commit) (event string, payload any) {
	p.Source = cmp.Or(p.Source, "push")
	p.Status = cmp.Or(p.Status, "completed")
	if p.Status == "completed" {
		p.Conclusion = cmp.Or(p.Conclusion, "success")
	}
	f.mu.Lock()
	f.artifacts[p.ID] = p.Artifacts
	f.mu.Unlock()
	action := map[string]string{"completed": "completed", "in_progress": "in_progress"}[p.Status]
	if action == "" {
		action = "requested"
	}
	api := f.APIURL(f.Base()) + "/repos/" + r.Project
	return "workflow_run", map[string]any{
		"action":       action,
		"repository":   f.repository(r, textTime),
		"sender":       f.user(fakeforge.Pusher.Login, fakeforge.Pusher.ID, "User"),
		"workflow":     f.workflow(p, r, api),
		"workflow_run": f.run(p, r, head, api),
	}
}

func (f *forge) workflow(p fakeforge.PipelineSpec, r fakeforge.Repository, api string) map[string]any {
	stamp := textTime(f.Now().AddDate(-1, 0, 0))
	return map[string]any{
		"id": workflowID, "node_id": nodeID("Workflow", workflowID), "name": p.Name, "path": workflowPath,
		"state": "active", "created_at": stamp, "updated_at": stamp,
		"url":       fmt.Sprintf("%s/actions/workflows/%d", api, workflowID),
		"html_url":  f.Base() + "/" + r.Project + "/blob/" + r.DefaultBranch + "/" + workflowPath,
		"badge_url": f.Base() + "/" + r.Project + "/workflows/ci/badge.svg",
	}
}

func (f *forge) run(p fakeforge.PipelineSpec, r fakeforge.Repository, head fakeforge.Commit, api string) map[string]any {
	actor := f.user(fakeforge.Pusher.Login, fakeforge.Pusher.ID, "User")
	url := fmt.Sprintf("%s/actions/runs/%d", api, p.ID)
	lite := f.repositoryLite(r)
	run := map[string]any{
		"id": p.ID, "node_id": nodeID("WorkflowRun", p.ID), "name": p.Name, "display_title": head.Title(),
		"path": workflowPath, "run_number": p.ID, "run_attempt": p.Attempt, "event": p.Source,
		"status": p.Status, "conclusion": fakeforge.Nullable(p.Conclusion), "head_branch": p.Branch, "head_sha": head.ID,
		"head_commit": headCommit(head), "repository": lite, "head_repository": lite, "pull_requests": []any{},
		"referenced_workflows": []any{},
		"created_at":           textTime(p.CreatedAt), "run_started_at": textTime(p.StartedAt()),
		"updated_at": textTime(updatedAt(p)),
		"actor":      actor, "triggering_actor": actor,
		"workflow_id": workflowID, "workflow_url": fmt.Sprintf("%s/actions/workflows/%d", api, workflowID),
		"check_suite_id": p.ID, "check_suite_node_id": nodeID("CheckSuite", p.ID),
		"check_suite_url": fmt.Sprintf("%s/check-suites/%d", api, p.ID),
		"url":             url, "html_url": fmt.Sprintf("%s/%s/actions/runs/%d", f.Base(), r.Project, p.ID),
		"previous_attempt_url": nil,
	}
	if p.Attempt > 1 {
		run["previous_attempt_url"] = fmt.Sprintf("%s/attempts/%d", url, p.Attempt-1)
	}
	addLinks(run, url, runLinks)
	return run
}

// updatedAt is when GitHub last touched the run: its end, its start, or its creation.
func updatedAt(p fakeforge.PipelineSpec) time.Time {
	switch p.Status {
	case "completed":
		return p.EndedAt()
	case "in_progress":
		return p.StartedAt()
	}
	return p.CreatedAt
}

// headCommit is the short form of a commit, as inside a workflow run.
func headCommit(c fakeforge.Commit) map[string]any {
	return map[string]any{
		"id": c.ID, "tree_id": c.Tree, "message": c.Message, "timestamp": c.CommittedAt,
		"author": c.Author, "committer": c.Committer,
	}
}

// listArtifacts lists the artifacts of a run that BuildPipeline made, in one page.
func (f *forge) listArtifacts(r *http.Request) fakeforge.Answer {
	repo, ok := f.RepositoryOf(r)
	run, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	f.mu.Lock()
	sizes, built := f.artifacts[run]
	f.mu.Unlock()
	if !ok || err != nil || !built {
		return refuse(http.StatusNotFound, "Not Found")
	}
	list := make([]map[string]any, 0, len(sizes))
	for i, size := range sizes {
		id := run*100 + int64(i)
		api := fmt.Sprintf("%s/repos/%s/actions/artifacts/%d", f.APIURL(f.Base()), repo.Project, id)
		list = append(list, map[string]any{
			"id": id, "node_id": nodeID("Artifact", id), "name": fmt.Sprintf("artifact-%d", i+1), "size_in_bytes": size,
			"url": api, "archive_download_url": api + "/zip", "expired": false,
			"created_at": textTime(f.Now()), "updated_at": textTime(f.Now()), "expires_at": nil,
		})
	}
	return fakeforge.OK(map[string]any{"total_count": len(list), "artifacts": list})
}
