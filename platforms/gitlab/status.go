package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

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

// options leaves out a target that is not http(s): GitLab would refuse the whole status for it. It also refuses a
// pipeline beside another ref than that pipeline's own, which is none of a branch where it runs for a merge request.
func options(status core.Status, pin int) *gogitlab.SetCommitStatusOptions {
	options := &gogitlab.SetCommitStatusOptions{
		State: toState(status.State),
		Name:  gogitlab.Ptr(status.Context),
	}
	if status.Description != "" {
		options.Description = gogitlab.Ptr(core.Truncate(status.Description))
	}
	if status.Branch != "" && pin == 0 {
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
