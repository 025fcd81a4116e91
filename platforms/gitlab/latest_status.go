package gitlab

import (
	"context"
	"fmt"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

var _ platforms.StatusReader = (*Platform)(nil)

// LatestStatus asks for the commit's statuses of that name; GitLab has the latest of each user and pipeline. Where we
// know the pipeline of ours, it is looked for there: that of a merge request does not run for the branch.
func (p *Platform) LatestStatus(ctx context.Context, status core.Status) (core.StatusSeen, error) {
	project := core.Project{Name: status.ProjectName, Ref: status.ProjectRef}
	if err := p.inquiring(project); err != nil {
		return core.StatusSeen{}, fmt.Errorf("looking at the statuses of %s: %w", status.ProjectName, err)
	}
	if !core.IsCommitSHA(status.CommitSHA) {
		return core.StatusSeen{}, fmt.Errorf("%w: the status names no commit", platforms.ErrRefused)
	}
	options := &gogitlab.GetCommitStatusesOptions{
		Name: &status.Context, ListOptions: gogitlab.ListOptions{PerPage: jobsPerPage},
	}
	if status.Branch != "" && status.PipelinePin == "" {
		options.Ref = &status.Branch
	}
	list, answer, err := p.api.Commits.GetCommitStatuses(
		numberOrPath(project), status.CommitSHA, options, gogitlab.WithContext(ctx))
	if err != nil {
		return core.StatusSeen{}, fmt.Errorf(
			"looking at the statuses of %s: %w", status.ProjectName, p.unanswered(answer, err))
	}
	return latest(status, list)
}

func latest(status core.Status, list []*gogitlab.CommitStatus) (core.StatusSeen, error) {
	var last *gogitlab.CommitStatus
	for _, shown := range list {
		if shown != nil && shown.Name == status.Context && inPlaceOf(shown, status) && (last == nil || shown.ID > last.ID) {
			last = shown
		}
	}
	if last == nil {
		return core.StatusSeen{}, fmt.Errorf("%w: it has no status %s", platforms.ErrUnknownCommit, status.Context)
	}
	return core.StatusSeen{
		Project:   core.Project{Name: status.ProjectName, Ref: status.ProjectRef},
		CommitSHA: status.CommitSHA, Context: last.Name, ID: int64(last.ID),
		State: fromState(last.Status), Description: platforms.Clean(last.Description),
		Creator: platforms.Clean(last.Author.Username),
	}, nil
}

// inPlaceOf takes a status that tells no pipeline for one of any.
func inPlaceOf(shown *gogitlab.CommitStatus, status core.Status) bool {
	return status.PipelinePin == "" || shown.PipelineId == 0 || pinOf(shown.PipelineId) == status.PipelinePin
}

func fromState(word string) core.StatusState {
	switch state := gogitlab.BuildStateValue(word); state {
	case gogitlab.Pending, gogitlab.Running:
		return core.StatusPending
	case gogitlab.Success:
		return core.StatusSuccess
	case gogitlab.Canceled:
		return core.StatusCancelled
	case gogitlab.Failed:
		return core.StatusFailure
	}
	return core.StatusState(platforms.Clean(word))
}
