package standin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// finished tells whether GitLab's word means that the pipeline has come to its end.
func (p PipelineSpec) finished() bool {
	return slices.Contains([]string{"success", "failed", "canceled", "skipped"}, p.Status)
}

// gitlabPipelineEvent is GitLab's pipeline event.
func (s *Server) gitlabPipelineEvent(p PipelineSpec, r Repository, head commit) map[string]any {
	user := map[string]any{
		"id": personID, "name": personName, "username": personLogin, "avatar_url": nil, "email": personEmail,
	}
	return map[string]any{
		"object_kind":       "pipeline",
		"object_attributes": s.gitlabAttributes(p, r, head),
		"merge_request":     s.gitlabMergeRequest(p, r),
		"user":              user,
		"project":           s.gitlabProject(r),
		"commit": map[string]any{
			"id": head.ID, "message": head.Message, "title": head.title(), "timestamp": head.AuthoredAt,
			"author": head.Author, "url": s.Base() + "/" + r.Project + "/-/commit/" + head.ID,
		},
		"builds": gitlabBuilds(p, user),
	}
}

func (s *Server) gitlabAttributes(p PipelineSpec, r Repository, head commit) map[string]any {
	attributes := map[string]any{
		"id": p.ID, "iid": p.ID, "name": p.Name, "ref": p.Branch, "tag": false, "sha": head.ID,
		"before_sha": cmp.Or(p.Before, strings.Repeat("0", len(head.ID))),
		"source":     p.Source, "status": p.Status, "detailed_status": p.Status, "stages": []string{"build"},
		"created_at": gitlabTime(p.CreatedAt), "finished_at": nil, "duration": nil, "queued_duration": nil,
		"protected_ref": false, "variables": []any{}, "url": s.pipelineURL(r, p.ID),
	}
	if p.finished() {
		attributes["finished_at"] = gitlabTime(p.endedAt())
		attributes["duration"] = int(p.Duration / time.Second)
	}
	if queued := int(p.Queued / time.Second); queued > 0 && p.Status != "pending" {
		attributes["queued_duration"] = queued
	}
	return attributes
}

// gitlabBuilds are the jobs of the pipeline, one for each artifact and at least one.
func gitlabBuilds(p PipelineSpec, user map[string]any) []map[string]any {
	var builds []map[string]any
	for i := range max(1, len(p.Artifacts)) {
		artifact := map[string]any{"filename": nil, "size": nil}
		if i < len(p.Artifacts) {
			artifact = map[string]any{"filename": "artifacts.zip", "size": p.Artifacts[i]}
		}
		builds = append(builds, gitlabBuild(p, i, user, artifact))
	}
	return builds
}

func gitlabBuild(p PipelineSpec, i int, user, artifact map[string]any) map[string]any {
	build := map[string]any{
		"id": p.ID*100 + int64(i), "stage": "build", "name": fmt.Sprintf("job-%d", i+1), "status": p.Status,
		"created_at": gitlabTime(p.CreatedAt), "started_at": gitlabTime(p.startedAt()), "finished_at": nil,
		"duration": nil, "queued_duration": p.Queued.Seconds(), "failure_reason": nil, "when": "on_success",
		"manual": false, "allow_failure": false, "user": user, "runner": nil, "artifacts_file": artifact,
		"environment": nil,
	}
	if p.finished() {
		build["finished_at"], build["duration"] = gitlabTime(p.endedAt()), p.Duration.Seconds()
	}
	return build
}
