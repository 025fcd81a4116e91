package gitlab

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scanhook/scanhook/internal/fakeforge"
)

// pipelineEvent is the event of a pipeline. It completes the specification.
func (f *forge) pipelineEvent(p fakeforge.PipelineSpec, r fakeforge.Repository, head fakeforge.Commit) (event string, payload any) {
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
		"object_attributes": f.attributes(p, r, head),
		"merge_request":     f.mergeRequest(p, r),
		"user":              user,
		"project":           f.project(r),
		"commit": map[string]any{
			"id": head.ID, "message": head.Message, "title": head.Title(), "timestamp": head.AuthoredAt,
			"author": head.Author, "url": f.Base() + "/" + r.Project + "/-/commit/" + head.ID,
		},
		"builds": builds(p, user),
	}
}

func (f *forge) attributes(p fakeforge.PipelineSpec, r fakeforge.Repository, head fakeforge.Commit) map[string]any {
	attributes := map[string]any{
		"id": p.ID, "iid": p.ID, "name": p.Name, "ref": p.Branch, "tag": false, "sha": head.ID,
		"before_sha": cmp.Or(p.Before, strings.Repeat("0", len(head.ID))),
		"source":     p.Source, "status": p.Status, "detailed_status": p.Status, "stages": []string{"build"},
		"created_at": timestamp(p.CreatedAt), "finished_at": nil, "duration": nil, "queued_duration": nil,
		"protected_ref": false, "variables": []any{}, "url": f.pipelineURL(r, p.ID),
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
func (f *forge) mergeRequest(p fakeforge.PipelineSpec, r fakeforge.Repository) any {
	if p.MergeRequest == 0 {
		return nil
	}
	return map[string]any{
		"id": p.MergeRequest, "iid": p.MergeRequest, "title": "Draft: " + p.Branch,
		"source_branch": p.Branch, "source_project_id": r.ID, "target_branch": r.DefaultBranch, "target_project_id": r.ID,
		"state": "opened", "merge_status": "can_be_merged", "detailed_merge_status": "mergeable",
		"url": f.Base() + "/" + r.Project + "/-/merge_requests/" + strconv.FormatInt(p.MergeRequest, 10),
	}
}

// finished tells whether the pipeline has ended.
func finished(p fakeforge.PipelineSpec) bool {
	return slices.Contains([]string{"success", "failed", "canceled", "skipped"}, p.Status)
}

// timestamp is the format of GitLab's pipeline events, null for the zero time.
func timestamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return fakeforge.Nullable(t.UTC().Format("2006-01-02 15:04:05 UTC"))
}
