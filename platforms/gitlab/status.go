package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// pipelineGrace is how long the first status of a commit waits for CI's pipeline: GitLab sends the push hook before it
// has made one, and a status without a pipeline gets one of its own, beside CI's.
const pipelineGrace = 5 * time.Second

// PostStatus makes GitLab show the wanted state: running once, then a final one. It returns the pipeline that the
// status belongs to; giving it back with the next state keeps both in one pipeline.
func (p *Platform) PostStatus(ctx context.Context, status core.Status) (platforms.Posted, error) {
	if p.token == "" {
		return platforms.Posted{}, fmt.Errorf("posting to %s: %w", p.name, platforms.ErrNoToken)
	}
	if platforms.CheckProject(status.ProjectName) != nil || !core.IsCommitSHA(status.CommitSHA) {
		return platforms.Posted{}, fmt.Errorf("%w: the status names no project or no commit", platforms.ErrRefused)
	}
	if status.State == core.StatusPending && status.PostedState == core.StatusPending {
		return platforms.Posted{PipelinePin: status.PipelinePin, ID: status.PostedID}, nil
	}
	posted, err := p.post(ctx, status)
	if errors.Is(err, platforms.ErrUnknownCommit) {
		err = p.hidden(ctx, status, err)
	}
	if err != nil {
		return platforms.Posted{}, fmt.Errorf("posting status of %s: %w", status.ProjectName, err)
	}
	return posted, nil
}

// post sends the status to its pipeline. One that is gone, or that runs for another ref, is refused as unknown: then
// GitLab may choose.
func (p *Platform) post(ctx context.Context, status core.Status) (platforms.Posted, error) {
	pin, err := p.pipeline(ctx, status)
	if err != nil {
		return platforms.Posted{}, err
	}
	posted, err := p.send(ctx, status, pin)
	if pin != 0 && errors.Is(err, platforms.ErrUnknownCommit) {
		return p.send(ctx, status, 0)
	}
	return posted, err
}

// pipeline is the known one, else the commit's last one where that runs for the branch, else 0. Without it GitLab makes
// a second pipeline beside the one of CI, and a required check waits for the wrong one.
func (p *Platform) pipeline(ctx context.Context, status core.Status) (int, error) {
	if pin, err := strconv.Atoi(status.PipelinePin); err == nil && pin > 0 {
		return pin, nil
	}
	commit, answer, err := p.api.Commits.GetCommit(projectID(status), status.CommitSHA, nil, gogitlab.WithContext(ctx))
	if err = p.classify(answer, err); err != nil {
		return 0, fmt.Errorf("finding the pipeline: %w", err)
	}
	if commit == nil || !runsFor(commit.LastPipeline, status.Branch) {
		if status.PostedState == "" && p.now().Sub(status.WantedAt).Abs() < pipelineGrace { // either clock may be ahead
			return 0, platforms.ErrTooEarly
		}
		return 0, nil
	}
	return commit.LastPipeline.ID, nil
}

// runsFor tells whether a status of the branch can belong to the pipeline. That of a merge request runs for another
// ref.
func runsFor(pipeline *gogitlab.PipelineInfo, branch string) bool {
	return pipeline != nil && (pipeline.Ref == branch || pipeline.Ref == "" || branch == "")
}

// send posts to a pipeline, 0 for one that GitLab chooses.
func (p *Platform) send(ctx context.Context, status core.Status, pin int) (platforms.Posted, error) {
	sent, answer, err := p.api.Commits.SetCommitStatus(
		projectID(status), status.CommitSHA, options(status, pin), gogitlab.WithContext(ctx))
	if status.State == core.StatusPending && isRepeated(err) {
		return platforms.Posted{PipelinePin: pinOf(pin), Code: answer.StatusCode}, nil
	}
	if err = p.classify(answer, err); err != nil {
		return platforms.Posted{}, err
	}
	posted := platforms.Posted{PipelinePin: pinOf(pin), Code: answer.StatusCode}
	if sent != nil {
		posted.ID = int64(sent.ID)
		posted.PipelinePin = cmp.Or(pinOf(sent.PipelineId), posted.PipelinePin)
	}
	return posted, nil
}

// pinOf is empty where no pipeline is known.
func pinOf(pipeline int) string {
	if pipeline <= 0 {
		return ""
	}
	return strconv.Itoa(pipeline)
}

func projectID(status core.Status) any {
	return numberOrPath(core.Project{Name: status.ProjectName, Ref: status.ProjectRef})
}

// options leaves out a target that is not http(s): GitLab would refuse the whole status for it.
func options(status core.Status, pin int) *gogitlab.SetCommitStatusOptions {
	options := &gogitlab.SetCommitStatusOptions{
		State:       toState(status.State),
		Name:        gogitlab.Ptr(status.Context),
		Description: gogitlab.Ptr(core.Truncate(status.Description)),
	}
	if status.Branch != "" {
		options.Ref = gogitlab.Ptr(status.Branch)
	}
	if target := platforms.WebAddress(platforms.Text(status.TargetURL), ""); target != "" {
		options.TargetURL = gogitlab.Ptr(target)
	}
	if pin != 0 {
		options.PipelineID = gogitlab.Ptr(pin)
	}
	return options
}

func toState(state core.StatusState) gogitlab.BuildStateValue {
	switch state {
	case core.StatusPending:
		return gogitlab.Running
	case core.StatusSuccess:
		return gogitlab.Success
	case core.StatusCancelled:
		return gogitlab.Canceled
	default:
		return gogitlab.Failed
	}
}
