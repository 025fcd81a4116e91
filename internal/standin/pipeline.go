package standin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// PipelineSpec is one state of one run of a CI pipeline.
type PipelineSpec struct {
	Project      string
	ID           int64  // 0: the next free one
	Attempt      int    // GitHub: 1 and one more for each re-run; 0 is 1
	Name         string // of the workflow or pipeline; empty: CI
	Branch       string // short; empty: the default branch
	SHA          string // full id of the commit
	Before       string // GitLab: before_sha; empty: zeros
	Source       string // GitHub: event; GitLab: source; empty: push
	Status       string // GitHub: queued, in_progress, completed; GitLab: pending, running, success…; empty: finished well
	Conclusion   string // GitHub: success, failure…; empty: success when completed, else null
	CreatedAt    time.Time
	Queued       time.Duration // from creation to start
	Duration     time.Duration // from start to end; sent only when finished
	MergeRequest int64         // GitLab: number of the one that it runs for, from Branch; 0: none
	Artifacts    []int64       // sizes in bytes; GitLab sends them, GitHub answers them when asked for the run's artifacts
}

func (p PipelineSpec) startedAt() time.Time { return p.CreatedAt.Add(p.Queued) }
func (p PipelineSpec) endedAt() time.Time   { return p.startedAt().Add(p.Duration) }

// Pipeline tells hookURL about a pipeline as the platform would; see Push for what comes back.
func (s *Server) Pipeline(ctx context.Context, hookURL string, spec PipelineSpec) (Delivery, error) {
	delivery, err := s.BuildPipeline(ctx, spec)
	if err != nil {
		return Delivery{}, err
	}
	return s.Send(ctx, hookURL, delivery)
}

// BuildPipeline makes the delivery of a pipeline event without sending it.
func (s *Server) BuildPipeline(ctx context.Context, spec PipelineSpec) (Delivery, error) {
	repo, err := s.find(spec.Project)
	if err != nil {
		return Delivery{}, fmt.Errorf("building pipeline: %w", err)
	}
	head, err := s.commitOf(ctx, repo, spec.SHA)
	if err != nil {
		return Delivery{}, fmt.Errorf("building pipeline of %s: %w", spec.SHA, err)
	}
	spec = s.complete(spec, repo)
	if s.cfg.Kind == GitLab {
		return s.seal("Pipeline Hook", repo, s.gitlabPipelineEvent(spec, repo, head))
	}
	s.mu.Lock()
	s.artifacts[spec.ID] = spec.Artifacts
	s.mu.Unlock()
	return s.seal("workflow_run", repo, s.githubRunEvent(spec, repo, head))
}

// complete fills in what the spec left open.
func (s *Server) complete(spec PipelineSpec, r Repository) PipelineSpec {
	finished := "completed"
	if s.cfg.Kind == GitLab {
		finished = "success"
	}
	if spec.ID == 0 {
		spec.ID = s.nextID()
	}
	if spec.CreatedAt.IsZero() {
		spec.CreatedAt = s.cfg.Now().Add(-spec.Queued - spec.Duration)
	}
	spec.Attempt = cmp.Or(spec.Attempt, 1)
	spec.Name = cmp.Or(spec.Name, "CI")
	spec.Branch = cmp.Or(spec.Branch, r.DefaultBranch)
	if spec.MergeRequest > 0 {
		spec.Source = cmp.Or(spec.Source, mergeRequestEvent)
	}
	spec.Source = cmp.Or(spec.Source, "push")
	spec.Status = cmp.Or(spec.Status, finished)
	if spec.Status == "completed" {
		spec.Conclusion = cmp.Or(spec.Conclusion, "success")
	}
	return spec
}

// getArtifacts lists the artifacts of a run that BuildPipeline made, in one page.
func (s *Server) getArtifacts(r *http.Request) answer {
	repo, ok := s.repository(pathOf(r))
	run, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	s.mu.Lock()
	sizes, built := s.artifacts[run]
	s.mu.Unlock()
	if !ok || err != nil || !built {
		return refuseGitHub(http.StatusNotFound, "Not Found")
	}
	list := make([]map[string]any, 0, len(sizes))
	for i, size := range sizes {
		id := run*100 + int64(i)
		api := fmt.Sprintf("%s/repos/%s/actions/artifacts/%d", s.APIURL(s.Base()), repo.Project, id)
		list = append(list, map[string]any{
			"id": id, "node_id": nodeID("Artifact", id), "name": fmt.Sprintf("artifact-%d", i+1), "size_in_bytes": size,
			"url": api, "archive_download_url": api + "/zip", "expired": false,
			"created_at": textTime(s.cfg.Now()), "updated_at": textTime(s.cfg.Now()), "expires_at": nil,
		})
	}
	return answer{status: http.StatusOK, body: map[string]any{"total_count": len(list), "artifacts": list}}
}
