package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// maxCommits is how many commits a push lists, the newest ones.
const maxCommits = 2048

// events makes the payloads of pushes and workflow runs.
type events struct {
	objects

	mu        sync.Mutex
	artifacts map[int64][]int64 // their sizes, by the id of the run
}

// register adds routes and describes this part of the forge.
func (e *events) register(f *fakeforge.Forge) {
	f.MaxCommits, f.NewCommits = maxCommits, newCommits
	f.Push, f.Pipeline, f.Request = e.push, e.workflowRun, e.pullRequest
	e.Route("GET "+repositoryRoot+"/actions/runs/{run}/artifacts", e.listArtifacts)
	e.Route("GET "+repositoryRoot+"/compare/{range...}", e.compare)
}

// pushEvent has the field names of GitHub's push event.
type pushEvent struct {
	Ref        string         `json:"ref"`
	Before     string         `json:"before"`
	After      string         `json:"after"`
	Created    bool           `json:"created"`
	Deleted    bool           `json:"deleted"`
	Forced     bool           `json:"forced"`
	BaseRef    *string        `json:"base_ref"`
	Compare    string         `json:"compare"`
	Commits    []pushedCommit `json:"commits"`
	HeadCommit *pushedCommit  `json:"head_commit"`
	Repository map[string]any `json:"repository"`
	Pusher     gitrepo.Person `json:"pusher"`
	Sender     map[string]any `json:"sender"`
}

type pushedCommit struct {
	ID        string         `json:"id"`
	TreeID    string         `json:"tree_id"`
	Distinct  bool           `json:"distinct"`
	Message   string         `json:"message"`
	Timestamp time.Time      `json:"timestamp"`
	URL       string         `json:"url"`
	Author    gitrepo.Person `json:"author"`
	Committer gitrepo.Person `json:"committer"`
	Added     []string       `json:"added"`
	Removed   []string       `json:"removed"`
	Modified  []string       `json:"modified"`
}

// push is the event of a push.
func (e *events) push(p fakeforge.Push) (event string, payload any) {
	push := pushEvent{
		Ref: p.Ref, Before: p.Before, After: p.After,
		Created: p.Created(), Deleted: p.Deleted(), Forced: p.Forced,
		Compare:    e.compareURL(p),
		Commits:    make([]pushedCommit, 0, len(p.Commits)),
		Repository: e.repository(p.Repository, unixTime),
		Pusher:     gitrepo.Person{Name: fakeforge.Pusher.Login, Email: fakeforge.Pusher.Email},
		Sender:     e.user(fakeforge.Pusher.Login, fakeforge.Pusher.ID, "User"),
	}
	for _, c := range p.Commits {
		push.Commits = append(push.Commits, e.pushedCommit(p.Repository, c))
	}
	if p.Head != nil {
		head := e.pushedCommit(p.Repository, *p.Head)
		push.HeadCommit = &head
	}
	return "push", push
}

func (e *events) compareURL(p fakeforge.Push) string {
	project := e.Base() + "/" + p.Repository.Project
	if p.Created() {
		return project + "/compare/" + shortRef(p.Ref)
	}
	return project + "/compare/" + p.Before[:12] + "..." + p.After[:12]
}

func (e *events) pushedCommit(r fakeforge.Repository, c gitrepo.Commit) pushedCommit {
	return pushedCommit{
		ID: c.ID, TreeID: c.Tree, Distinct: true, Message: c.Message, Timestamp: c.CommittedAt,
		URL:    e.Base() + "/" + r.Project + "/commit/" + c.ID,
		Author: c.Author, Committer: c.Committer,
		Added: c.Added, Removed: c.Removed, Modified: c.Modified,
	}
}

// shortRef is the name of a branch or tag.
func shortRef(ref string) string {
	push := core.Push{Ref: ref}
	if tag := push.Tag(); tag != "" {
		return tag
	}
	if branch := push.Branch(); branch != "" {
		return branch
	}
	return ref
}

// newCommits selects the commits that count as pushed. On a new ref, GitHub leaves out those of all other branches.
func newCommits(_ context.Context, p fakeforge.Push) ([]string, error) {
	if !p.Created() {
		return []string{p.After, "^" + p.Before}, nil
	}
	branch := strings.TrimPrefix(p.Ref, "refs/heads/")
	return []string{p.After, "--not", "--exclude=" + branch, "--branches"}, nil
}

// The one workflow that every repository has.
const (
	workflowID   = 8001
	workflowPath = ".github/workflows/ci.yml"
)

// workflowRun is the event of a workflow's run. It completes the specification and keeps the sizes of the artifacts.
func (e *events) workflowRun(p fakeforge.PipelineSpec, r fakeforge.Repository, head gitrepo.Commit) (event string, payload any) {
	p.Source = cmp.Or(p.Source, "push")
	p.Status = cmp.Or(p.Status, "completed")
	if p.Status == "completed" {
		p.Conclusion = cmp.Or(p.Conclusion, "success")
	}
	e.mu.Lock()
	e.artifacts[p.ID] = p.Artifacts
	e.mu.Unlock()
	action := map[string]string{"completed": "completed", "in_progress": "in_progress"}[p.Status]
	if action == "" {
		action = "requested"
	}
	api := e.APIURL(e.Base()) + "/repos/" + r.Project
	return "workflow_run", map[string]any{
		"action":       action,
		"repository":   e.repository(r, textTime),
		"sender":       e.user(fakeforge.Pusher.Login, fakeforge.Pusher.ID, "User"),
		"workflow":     e.workflow(p, r, api),
		"workflow_run": e.run(p, r, head, api),
	}
}

func (e *events) workflow(p fakeforge.PipelineSpec, r fakeforge.Repository, api string) map[string]any {
	stamp := textTime(e.Now().AddDate(-1, 0, 0))
	return map[string]any{
		"id": workflowID, "node_id": nodeID("Workflow", workflowID), "name": p.Name, "path": workflowPath,
		"state": "active", "created_at": stamp, "updated_at": stamp,
		"url":       fmt.Sprintf("%s/actions/workflows/%d", api, workflowID),
		"html_url":  e.Base() + "/" + r.Project + "/blob/" + r.DefaultBranch + "/" + workflowPath,
		"badge_url": e.Base() + "/" + r.Project + "/workflows/ci/badge.svg",
	}
}

func (e *events) run(p fakeforge.PipelineSpec, r fakeforge.Repository, head gitrepo.Commit, api string) map[string]any {
	actor := e.user(fakeforge.Pusher.Login, fakeforge.Pusher.ID, "User")
	url := fmt.Sprintf("%s/actions/runs/%d", api, p.ID)
	lite := e.repositoryLite(r)
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
		"url":             url, "html_url": fmt.Sprintf("%s/%s/actions/runs/%d", e.Base(), r.Project, p.ID),
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
func headCommit(c gitrepo.Commit) map[string]any {
	return map[string]any{
		"id": c.ID, "tree_id": c.Tree, "message": c.Message, "timestamp": c.CommittedAt,
		"author": c.Author, "committer": c.Committer,
	}
}

// listArtifacts lists the artifacts of a run that BuildPipeline made, in one page.
func (e *events) listArtifacts(r *http.Request) fakeforge.Answer {
	repo, ok := e.RepositoryOf(r)
	run, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	e.mu.Lock()
	sizes, built := e.artifacts[run]
	e.mu.Unlock()
	if !ok || err != nil || !built {
		return refuse(http.StatusNotFound, "Not Found")
	}
	list := make([]map[string]any, 0, len(sizes))
	for i, size := range sizes {
		id := run*100 + int64(i)
		api := fmt.Sprintf("%s/repos/%s/actions/artifacts/%d", e.APIURL(e.Base()), repo.Project, id)
		list = append(list, map[string]any{
			"id": id, "node_id": nodeID("Artifact", id), "name": fmt.Sprintf("artifact-%d", i+1), "size_in_bytes": size,
			"url": api, "archive_download_url": api + "/zip", "expired": false,
			"created_at": textTime(e.Now()), "updated_at": textTime(e.Now()), "expires_at": nil,
		})
	}
	return fakeforge.OK(map[string]any{"total_count": len(list), "artifacts": list})
}

// compare answers GET /repos/{owner}/{name}/compare/{base}...{head} with the merge base and without files.
func (e *events) compare(r *http.Request) fakeforge.Answer {
	repo, ok := e.RepositoryOf(r)
	base, head, ranged := strings.Cut(r.PathValue("range"), "...")
	if !ok || !ranged {
		return refuse(http.StatusNotFound, "Not Found")
	}
	common, err := repo.Git().MergeBase(r.Context(), base, head)
	switch {
	case err != nil:
		return e.Crashed(r, err)
	case common == "":
		return refuse(http.StatusNotFound, "No common ancestor between "+base+" and "+head+".")
	}
	return fakeforge.OK(map[string]any{
		"merge_base_commit": map[string]any{"sha": common}, "commits": []any{}, "files": []any{},
	})
}

// pullRequest is the event of a pull request. That of new commits has the commits, that of another target has the former one.
func (e *events) pullRequest(spec fakeforge.RequestSpec, base, head fakeforge.Repository) (event string, payload any) {
	api := fmt.Sprintf("%s/repos/%s/pulls/%d", e.APIURL(e.Base()), base.Project, spec.Number)
	state, author := "open", e.user(fakeforge.Pusher.Login, fakeforge.Pusher.ID, "User")
	if spec.Action == "closed" {
		state = "closed"
	}
	pull := map[string]any{
		"id": spec.Number + 90_000, "node_id": nodeID("PullRequest", spec.Number), "number": spec.Number, "state": state, "url": api,
		"html_url": fmt.Sprintf("%s/%s/pull/%d", e.Base(), base.Project, spec.Number), "title": "Change " + spec.Branch, "user": author,
		"body": nil, "locked": false, "draft": false, "merged": false, "created_at": textTime(spec.At), "updated_at": textTime(spec.At),
		"merge_commit_sha": strings.Repeat("e", len(spec.Head)),
		"head":             e.side(spec.Branch, spec.Head, head), "base": e.side(spec.Target, strings.Repeat("b", len(spec.Head)), base),
	}
	if spec.Gone {
		pull["head"].(map[string]any)["repo"] = nil
	}
	payloads := map[string]any{
		"action": spec.Action, "number": spec.Number, "pull_request": pull, "repository": e.repository(base, textTime), "sender": author,
	}
	switch spec.Action {
	case "synchronize":
		payloads["before"], payloads["after"] = spec.Before, spec.Head
	case "edited":
		payloads["changes"] = map[string]any{}
		if spec.Was != "" {
			payloads["changes"] = map[string]any{"base": map[string]any{
				"ref": map[string]any{"from": spec.Was}, "sha": map[string]any{"from": strings.Repeat("a", len(spec.Head))},
			}}
		}
	}
	return "pull_request", payloads
}

// side is one of the two branches of a pull request.
func (e *events) side(branch, sha string, repo fakeforge.Repository) map[string]any {
	return map[string]any{
		"label": repo.Owner() + ":" + branch, "ref": branch, "sha": sha, "repo": e.repository(repo, textTime),
		"user": e.user(repo.Owner(), organizationID(repo), "User"),
	}
}
