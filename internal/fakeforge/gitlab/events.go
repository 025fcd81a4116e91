package gitlab

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
	"github.com/scanhook/scanhook/internal/fakeforge/gitrepo"
)

// maxCommits is how many commits a push lists, the newest ones.
const maxCommits = 20

// events makes the payloads of pushes and pipelines.
type events struct{ objects }

// register describes this part of the forge.
func (e events) register(f *fakeforge.Forge) {
	f.MaxCommits, f.NewCommits = maxCommits, newCommits
	f.Push, f.Pipeline, f.Request = e.push, e.pipeline, e.request
}

// pushEvent has the field names of GitLab's push and tag push events.
type pushEvent struct {
	ObjectKind   string         `json:"object_kind"`
	EventName    string         `json:"event_name"`
	Before       string         `json:"before"`
	After        string         `json:"after"`
	Ref          string         `json:"ref"`
	RefProtected bool           `json:"ref_protected"`
	CheckoutSHA  *string        `json:"checkout_sha"`
	Message      *string        `json:"message"`
	UserID       int64          `json:"user_id"`
	UserName     string         `json:"user_name"`
	UserUsername string         `json:"user_username"`
	UserEmail    string         `json:"user_email"`
	UserAvatar   *string        `json:"user_avatar"`
	ProjectID    int64          `json:"project_id"`
	Project      map[string]any `json:"project"`
	Commits      []pushedCommit `json:"commits"`
	TotalCommits int            `json:"total_commits_count"`
	PushOptions  struct{}       `json:"push_options"`
	Repository   map[string]any `json:"repository"`
}

type pushedCommit struct {
	ID        string         `json:"id"`
	Message   string         `json:"message"`
	Title     string         `json:"title"`
	Timestamp time.Time      `json:"timestamp"`
	URL       string         `json:"url"`
	Author    gitrepo.Person `json:"author"`
	Added     []string       `json:"added"`
	Modified  []string       `json:"modified"`
	Removed   []string       `json:"removed"`
}

// push is the event of a push of a branch or a tag.
func (e events) push(p fakeforge.Push) (event string, payload any) {
	kind, event := "push", "Push Hook"
	if p.IsTag() {
		kind, event = "tag_push", "Tag Push Hook"
	}
	push := pushEvent{
		ObjectKind: kind, EventName: kind, Ref: p.Ref, Before: p.Before, After: p.After,
		RefProtected: p.Ref == "refs/heads/"+p.Repository.DefaultBranch,
		Message:      fakeforge.Nullable(p.TagMessage),
		UserID:       fakeforge.Pusher.ID, UserName: fakeforge.Pusher.Name, UserUsername: fakeforge.Pusher.Login,
		UserEmail: fakeforge.Pusher.Email,
		ProjectID: p.Repository.ID, Project: e.project(p.Repository), Repository: e.repository(p.Repository),
		Commits: make([]pushedCommit, 0, len(p.Commits)), TotalCommits: p.Total,
	}
	if p.Head != nil {
		push.CheckoutSHA = &p.Head.ID
	}
	for _, c := range p.Commits {
		push.Commits = append(push.Commits, pushedCommit{
			ID: c.ID, Message: c.Message, Title: c.Title(), Timestamp: c.AuthoredAt, Author: c.Author,
			URL:   e.Base() + "/" + p.Repository.Project + "/-/commit/" + c.ID,
			Added: c.Added, Modified: c.Modified, Removed: c.Removed,
		})
	}
	return event, push
}

// repository is the deprecated block that GitLab still sends.
func (e events) repository(r fakeforge.Repository) map[string]any {
	return map[string]any{
		"name": r.Name(), "url": e.SSHURL(r), "description": "", "homepage": e.Base() + "/" + r.Project,
		"git_http_url": e.CloneURL(r.Project), "git_ssh_url": e.SSHURL(r), "visibility_level": 0,
	}
}

// newCommits selects the commits that count as pushed. On a new branch, GitLab leaves out those of the default branch. A
// tag has none.
func newCommits(ctx context.Context, p fakeforge.Push) ([]string, error) {
	switch {
	case p.IsTag():
		return nil, nil
	case !p.Created():
		return []string{p.After, "^" + p.Before}, nil
	}
	return p.SinceDefaultBranch(ctx)
}

// pipeline is the event of a pipeline. It completes the specification.
func (e events) pipeline(p fakeforge.PipelineSpec, r fakeforge.Repository, head gitrepo.Commit) (event string, payload any) {
	p.Status = cmp.Or(p.Status, "success")
	if p.MergeRequest > 0 {
		p.Source = cmp.Or(p.Source, mergeRequestEvent)
	}
	p.Source = cmp.Or(p.Source, "push")
	user := map[string]any{
		"id": fakeforge.Pusher.ID, "name": fakeforge.Pusher.Name, "username": fakeforge.Pusher.Login,
		"avatar_url": nil, "email": fakeforge.Pusher.Email,
	}
	return "Pipeline Hook", map[string]any{
		"object_kind":       "pipeline",
		"object_attributes": e.attributes(p, r, head),
		"merge_request":     e.mergeRequest(p, r),
		"user":              user,
		"project":           e.project(r),
		"commit": map[string]any{
			"id": head.ID, "message": head.Message, "title": head.Title(), "timestamp": head.AuthoredAt,
			"author": head.Author, "url": e.Base() + "/" + r.Project + "/-/commit/" + head.ID,
		},
		"builds": builds(p, user),
	}
}

func (e events) attributes(p fakeforge.PipelineSpec, r fakeforge.Repository, head gitrepo.Commit) map[string]any {
	attributes := map[string]any{
		"id": p.ID, "iid": p.ID, "name": p.Name, "ref": p.Branch, "tag": false, "sha": head.ID,
		"before_sha": cmp.Or(p.Before, strings.Repeat("0", len(head.ID))),
		"source":     p.Source, "status": p.Status, "detailed_status": p.Status, "stages": []string{"build"},
		"created_at": timestamp(p.CreatedAt), "finished_at": nil, "duration": nil, "queued_duration": nil,
		"protected_ref": false, "variables": []any{}, "url": e.pipelineURL(r, p.ID),
	}
	if finished(p) {
		attributes["finished_at"] = timestamp(p.EndedAt())
		attributes["duration"] = int(p.Duration / time.Second)
	}
	if queued := int(p.Queued / time.Second); queued > 0 && p.Status != "pending" {
		attributes["queued_duration"] = queued
	}
	return attributes
}

// builds are the jobs of the pipeline, one for each artifact and at least one.
func builds(p fakeforge.PipelineSpec, user map[string]any) []map[string]any {
	var builds []map[string]any
	for i := range max(1, len(p.Artifacts)) {
		artifact := map[string]any{"filename": nil, "size": nil}
		if i < len(p.Artifacts) {
			artifact = map[string]any{"filename": "artifacts.zip", "size": p.Artifacts[i]}
		}
		builds = append(builds, build(p, i, user, artifact))
	}
	return builds
}

func build(p fakeforge.PipelineSpec, i int, user, artifact map[string]any) map[string]any {
	build := map[string]any{
		"id": p.ID*100 + int64(i), "stage": "build", "name": fmt.Sprintf("job-%d", i+1), "status": p.Status,
		"created_at": timestamp(p.CreatedAt), "started_at": timestamp(p.StartedAt()), "finished_at": nil,
		"duration": nil, "queued_duration": p.Queued.Seconds(), "failure_reason": nil, "when": "on_success",
		"manual": false, "allow_failure": false, "user": user, "runner": nil, "artifacts_file": artifact,
		"environment": nil,
	}
	if finished(p) {
		build["finished_at"], build["duration"] = timestamp(p.EndedAt()), p.Duration.Seconds()
	}
	return build
}

// mergeRequest describes the merge request of a pipeline, into the default branch; nil where there is none.
func (e events) mergeRequest(p fakeforge.PipelineSpec, r fakeforge.Repository) any {
	if p.MergeRequest == 0 {
		return nil
	}
	return map[string]any{
		"id": p.MergeRequest, "iid": p.MergeRequest, "title": "Draft: " + p.Branch,
		"source_branch": p.Branch, "source_project_id": r.ID, "target_branch": r.DefaultBranch, "target_project_id": r.ID,
		"state": "opened", "merge_status": "can_be_merged", "detailed_merge_status": "mergeable",
		"url": e.Base() + "/" + r.Project + "/-/merge_requests/" + strconv.FormatInt(p.MergeRequest, 10),
	}
}

// finished tells whether the pipeline has ended.
func finished(p fakeforge.PipelineSpec) bool {
	return slices.Contains([]string{"success", "failed", "canceled", "skipped"}, p.Status)
}

// request is the event of a merge request. Its times have the format of events, and oldrev comes with new commits only.
func (e events) request(spec fakeforge.RequestSpec, base, head fakeforge.Repository) (event string, payload any) {
	action := map[string]string{"opened": "open", "reopened": "reopen", "closed": "close"}[spec.Action]
	attributes := e.mergeRequestEntity(spec, base, head)
	attributes["action"] = cmp.Or(action, "update")
	attributes["updated_at"], attributes["created_at"] = timestamp(spec.At), timestamp(spec.At)
	attributes["last_commit"] = map[string]any{"id": spec.Head, "message": "Change", "title": "Change"}
	attributes["source"], attributes["target"] = e.project(head), e.project(base)
	changes := map[string]any{}
	if spec.Was != "" {
		changes["target_branch"] = map[string]any{"previous": spec.Was, "current": spec.Target}
	}
	if spec.Before != "" {
		attributes["oldrev"] = spec.Before
	}
	return "Merge Request Hook", map[string]any{
		"object_kind": "merge_request", "event_type": "merge_request", "user": e.user(), "project": e.project(base),
		"repository": e.repository(base), "object_attributes": attributes, "changes": changes, "labels": []any{},
	}
}

// mergeRequestEntity has the fields of a merge request that events and the API share.
func (o objects) mergeRequestEntity(spec fakeforge.RequestSpec, base, head fakeforge.Repository) map[string]any {
	state := "opened"
	if spec.Action == "closed" {
		state = "closed"
	}
	return map[string]any{
		"id": spec.Number + 90_000, "iid": spec.Number, "title": "Change " + spec.Branch, "state": state,
		"source_branch": spec.Branch, "target_branch": spec.Target, "source_project_id": head.ID, "target_project_id": base.ID,
		"sha": spec.Head, "merge_commit_sha": nil, "draft": false,
	}
}
