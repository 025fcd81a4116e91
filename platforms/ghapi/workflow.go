package ghapi

import (
	"fmt"
	"strings"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// workflowRun is the part of a workflow_run event that we use. GitHub has run_started_at and updated_at, Gitea
// started_at and completed_at.
type workflowRun struct {
	ID             platforms.Number `json:"id"`
	Attempt        platforms.Number `json:"run_attempt"`
	Name           platforms.Text   `json:"name"`
	Trigger        platforms.Text   `json:"event"`
	HeadBranch     platforms.Text   `json:"head_branch"`
	HeadSHA        platforms.Text   `json:"head_sha"`
	Status         platforms.Text   `json:"status"`
	Conclusion     platforms.Text   `json:"conclusion"`
	HTMLURL        platforms.Text   `json:"html_url"`
	CreatedAt      platforms.Time   `json:"created_at"`
	RunStartedAt   platforms.Time   `json:"run_started_at"`
	StartedAt      platforms.Time   `json:"started_at"`
	UpdatedAt      platforms.Time   `json:"updated_at"`
	CompletedAt    platforms.Time   `json:"completed_at"`
	HeadRepository struct {
		FullName platforms.Text `json:"full_name"`
	} `json:"head_repository"`
	PullRequests []struct {
		Number platforms.Number `json:"number"`
	} `json:"pull_requests"`
}

func (s *Server) parseWorkflowRun(payload []byte) (core.Event, string, error) {
	var event struct {
		Run        workflowRun `json:"workflow_run"`
		Repository repository  `json:"repository"`
	}
	if err := platforms.DecodeObject(payload, &event); err != nil {
		return nil, "", err
	}
	project, err := s.project(event.Repository)
	if err != nil {
		return nil, "", err
	}
	if !core.IsCommitSHA(string(event.Run.HeadSHA)) {
		return nil, "", fmt.Errorf("%w: workflow_run.head_sha names no commit", core.ErrInvalid)
	}
	return event.Run.pipeline(project, s.Traits.Links), project.Name, nil
}

func (run workflowRun) pipeline(project core.Project, links platforms.Links) core.Pipeline {
	pipeline := core.Pipeline{
		Project:    project,
		ID:         run.ID.Int(),
		Attempt:    max(run.Attempt.Count(), 1),
		Name:       string(run.Name),
		Source:     string(run.Trigger),
		Branch:     string(run.HeadBranch),
		CommitSHA:  string(run.HeadSHA),
		Status:     string(run.Status),
		Conclusion: string(run.Conclusion),
		CreatedAt:  run.CreatedAt.Time,
		UpdatedAt:  run.UpdatedAt.Time,
		Foreign:    run.foreign(project.Name),

		AskArtifacts: true,
	}
	pipeline.URL = platforms.WebAddress(run.HTMLURL, links.PipelineURL(project.URL, pipeline.ID))
	if len(run.PullRequests) > 0 {
		pipeline.MergeRequestIID = run.PullRequests[0].Number.Int()
	}
	run.measure(&pipeline)
	return pipeline
}

// measure adds the times. updated_at is the end only once the run is complete. created_at stays that of the first attempt,
// so it does not tell how long later attempts were queued.
func (run workflowRun) measure(pipeline *core.Pipeline) {
	started := firstTime(run.RunStartedAt, run.StartedAt)
	completed := run.Status == "completed"
	if pipeline.Attempt == 1 && (completed || run.Status == "in_progress") {
		pipeline.Queued = platforms.Between(run.CreatedAt, started)
	}
	if completed {
		finished := firstTime(run.CompletedAt, run.UpdatedAt)
		pipeline.FinishedAt = finished.Time
		pipeline.Duration = platforms.Between(started, finished)
	}
}

func firstTime(first, second platforms.Time) platforms.Time {
	if first.IsZero() {
		return second
	}
	return first
}

// foreign tells whether the branch is one of a fork. A pull request whose repository is gone may have been of one.
func (run workflowRun) foreign(project string) bool {
	head := string(run.HeadRepository.FullName)
	if head == "" {
		return strings.HasPrefix(string(run.Trigger), "pull_request")
	}
	return !strings.EqualFold(head, project)
}
