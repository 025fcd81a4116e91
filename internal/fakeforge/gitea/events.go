package gitea

import (
	"cmp"
	"context"
	"crypto/sha1" // Gitea still sends the legacy signature beside the real one
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// maxCommits is how many commits a push lists, the newest ones; the default of FEED_MAX_COMMIT_NUM.
const maxCommits = 5

// events makes the payloads of pushes and workflow runs, and compares commits.
type events struct{ objects }

// register adds routes and describes this part of the forge.
func (e events) register(f *fakeforge.Forge) {
	f.MaxCommits, f.NewCommits = maxCommits, newCommits
	f.Push, f.Pipeline, f.Request = e.push, e.workflowRun, e.pullRequest
	f.Sign, f.KeyPerHook = sign, true
	e.Route("GET "+repositoryRoot+"/compare/{range...}", e.compare)
}

// push is the event of a push.
func (e events) push(p fakeforge.Push) (event string, payload any) {
	commits := []any{}
	for _, c := range p.Commits {
		commits = append([]any{e.commit(p.Repository, c)}, commits...) // the newest first
	}
	var head any
	if p.Head != nil {
		head = e.commit(p.Repository, *p.Head)
	}
	pusher := e.user(fakeforge.Pusher)
	return "push", map[string]any{
		"ref": p.Ref, "before": p.Before, "after": p.After,
		"compare_url": e.Base() + "/" + p.Repository.Project + "/compare/" + p.Before + "..." + p.After,
		"commits":     commits, "total_commits": p.Total, "head_commit": head,
		"repository": e.repository(p.Repository), "pusher": pusher, "sender": pusher,
	}
}

// newCommits selects the commits that count as pushed. On a new ref, Gitea leaves out those of the default branch.
func newCommits(ctx context.Context, p fakeforge.Push) ([]string, error) {
	if !p.Created() {
		return []string{p.After, "^" + p.Before}, nil
	}
	return p.SinceDefaultBranch(ctx)
}

// workflowRun is the event of a workflow's run. It completes the specification.
func (e events) workflowRun(p fakeforge.PipelineSpec, r fakeforge.Repository, head gitrepo.Commit) (event string, payload any) {
	p.Status = cmp.Or(p.Status, "completed")
	run := map[string]any{
		"id": p.ID, "name": "", "display_title": head.Title(), "path": "ci.yml@refs/heads/" + p.Branch,
		"event": cmp.Or(p.Source, "push"), "run_attempt": 0, "run_number": p.ID, "head_branch": p.Branch, "head_sha": head.ID,
		"status": p.Status, "conclusion": "", "html_url": fmt.Sprintf("%s/%s/actions/runs/%d", e.Base(), r.Project, p.ID),
		"url":        fmt.Sprintf("%s/repos/%s/actions/runs/%d", e.APIURL(e.Base()), r.Project, p.ID),
		"started_at": timestamp(p.StartedAt()), "completed_at": "0001-01-01T00:00:00Z",
	}
	if p.Status == "completed" {
		run["conclusion"], run["completed_at"] = cmp.Or(p.Conclusion, "success"), timestamp(p.EndedAt())
	}
	action := map[string]string{"completed": "completed", "in_progress": "in_progress"}[p.Status]
	return "workflow_run", map[string]any{
		"action": cmp.Or(action, "requested"), "workflow": map[string]any{"id": "ci.yml", "name": p.Name},
		"workflow_run": run, "repository": e.repository(r), "sender": e.user(fakeforge.Pusher),
	}
}

// compare lists the commits that only the second of two has, without a merge base.
func (e events) compare(r *http.Request) fakeforge.Answer {
	repo, ok := e.RepositoryOf(r)
	base, head, ranged := strings.Cut(r.PathValue("range"), "...")
	if !ok || !ranged {
		return notFound()
	}
	commits, err := repo.Git().Log(r.Context(), "--end-of-options", base+".."+head, "--")
	switch {
	case gitrepo.Failed(err):
		return notFound()
	case err != nil:
		return e.Crashed(r, err)
	}
	list := []any{}
	for _, c := range commits {
		parents := []any{}
		for _, parent := range c.Parents {
			parents = append(parents, map[string]any{"sha": parent})
		}
		list = append(list, map[string]any{"sha": c.ID, "parents": parents})
	}
	return fakeforge.OK(map[string]any{"total_commits": len(list), "commits": list})
}

// sign makes the header of a delivery: Gitea's own headers, and copies of GitHub's.
func sign(d fakeforge.Delivery, hook fakeforge.Hook, _ fakeforge.Repository) (http.Header, error) {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	for _, forge := range []string{"Gitea", "GitHub"} {
		header.Set("X-"+forge+"-Event", d.Event)
		header.Set("X-"+forge+"-Event-Type", d.Event)
		header.Set("X-"+forge+"-Delivery", d.Key)
	}
	legacy, signature := "", "" // sent without a secret, too
	if hook.Secret != "" {
		legacy = hex.EncodeToString(fakeforge.MAC(sha1.New, hook.Secret, d.Body))
		signature = hex.EncodeToString(fakeforge.MAC(sha256.New, hook.Secret, d.Body))
	}
	header.Set("X-Gitea-Signature", signature)
	header.Set("X-Hub-Signature", "sha1="+legacy)
	header.Set("X-Hub-Signature-256", "sha256="+signature)
	return header, nil
}

// pullRequest is the event of a pull request. Gitea synchronized what GitHub synchronizes, and has no repository for a fork that was
// deleted.
func (e events) pullRequest(spec fakeforge.RequestSpec, base, head fakeforge.Repository) (event string, payload any) {
	state, action := "open", spec.Action
	switch action {
	case "closed":
		state = "closed"
	case "synchronize":
		action = "synchronized"
	}
	from := map[string]any{"label": spec.Branch, "ref": spec.Branch, "sha": spec.Head, "repo_id": head.ID, "repo": e.repository(head)}
	if spec.Gone {
		from["ref"], from["repo_id"], from["repo"] = fmt.Sprintf("refs/pull/%d/head", spec.Number), -1, nil
	}
	pull := map[string]any{
		"id": spec.Number + 90_000, "number": spec.Number, "state": state, "title": "Change " + spec.Branch, "user": e.user(fakeforge.Pusher),
		"html_url": fmt.Sprintf("%s/%s/pulls/%d", e.Base(), base.Project, spec.Number), "merged": false, "head": from,
		"base": map[string]any{
			"label": spec.Target, "ref": spec.Target, "sha": strings.Repeat("b", len(spec.Head)), "repo_id": base.ID, "repo": e.repository(base),
		},
		"updated_at": timestamp(spec.At), "created_at": timestamp(spec.At),
	}
	payloads := map[string]any{
		"action": action, "number": spec.Number, "pull_request": pull, "repository": e.repository(base), "sender": e.user(fakeforge.Pusher),
	}
	switch {
	case action == "synchronized":
		payloads["before"], payloads["after"] = spec.Before, spec.Head
	case spec.Was != "":
		payloads["changes"] = map[string]any{"ref": map[string]any{"from": spec.Was}}
	}
	return "pull_request", payloads
}
