package gitlab

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// pipelineGrace is how long the first status of a commit waits for CI's pipeline: GitLab sends the push hook before it
// has made one, and a status without a pipeline gets one of its own, beside CI's.
const pipelineGrace = 5 * time.Second

// post sends the status to its pipeline. One that is gone is refused as unknown: then another one is looked for.
func (p *Platform) post(ctx context.Context, status core.Status) (platforms.Posted, error) {
	pin, known := pinned(status)
	var err error
	if !known {
		if pin, err = p.findPipeline(ctx, status); err != nil {
			return platforms.Posted{}, err
		}
	}
	posted, err := p.send(ctx, status, pin)
	if pin == 0 || !errors.Is(err, platforms.ErrUnknownCommit) {
		return posted, err
	}
	other, err := p.findPipeline(ctx, status)
	if err != nil {
		return platforms.Posted{}, err
	}
	if other == pin {
		other = 0
	}
	return p.send(ctx, status, other)
}

// pinned is the pipeline that is known without a question. A state that is under way ends where it began, or it would
// stand there for ever; apart from that, the status goes to the merge request that people look at.
func pinned(status core.Status) (pin int, known bool) {
	pin, err := strconv.Atoi(status.PipelinePin)
	known = err == nil && pin > 0
	if status.MergePipeline > 0 && (!known || status.PostedState != core.StatusPending) {
		return int(status.MergePipeline), true
	}
	return pin, known
}

// findPipeline is the commit's newest pipeline of a merge request, because that is the one that a merge request shows,
// whichever others ran since. Else it is the commit's last one where that runs for the branch, else 0: GitLab chooses
// another one of the branch, or makes one that a required check does not wait for.
func (p *Platform) findPipeline(ctx context.Context, status core.Status) (int, error) {
	commit, answer, err := p.api.Commits.GetCommit(projectID(status), status.CommitSHA, nil, gogitlab.WithContext(ctx))
	if err = p.classify(answer, err); err != nil {
		return 0, fmt.Errorf("finding the pipeline: %w", err)
	}
	var last *gogitlab.PipelineInfo
	if commit != nil {
		last = commit.LastPipeline
	}
	if last != nil && !ofMergeRequest(last) {
		merge, err := p.newestMergePipeline(ctx, status)
		if err != nil || merge != 0 {
			return merge, err
		}
	}
	switch {
	case last != nil && (ofMergeRequest(last) || runsFor(last, status.Branch)):
		return last.ID, nil
	case status.PostedState == "" && p.now().Sub(status.WantedAt).Abs() < pipelineGrace: // either clock may be ahead
		return 0, platforms.ErrTooEarly
	}
	return 0, nil
}

// newestMergePipeline is 0 where there is none, or where the token may post but not list: then nobody else's place is
// known.
func (p *Platform) newestMergePipeline(ctx context.Context, status core.Status) (int, error) {
	list, answer, err := p.api.Pipelines.ListProjectPipelines(projectID(status), &gogitlab.ListProjectPipelinesOptions{
		SHA: gogitlab.Ptr(status.CommitSHA), Source: gogitlab.Ptr(core.SourceMergeRequest),
		OrderBy: gogitlab.Ptr("id"), Sort: gogitlab.Ptr("desc"), ListOptions: gogitlab.ListOptions{PerPage: 1},
	}, gogitlab.WithContext(ctx))
	err = p.classify(answer, err)
	switch {
	case errors.As(err, new(*platforms.Denied)) || errors.Is(err, platforms.ErrUnknownCommit):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("finding the pipeline of the merge request: %w", err)
	case len(list) == 0 || !ofMergeRequest(list[0]): // an old GitLab knows no filter by source
		return 0, nil
	}
	return list[0].ID, nil
}

// ofMergeRequest tells whether a merge request shows the pipeline as its own.
func ofMergeRequest(pipeline *gogitlab.PipelineInfo) bool {
	return pipeline.Source == core.SourceMergeRequest || strings.HasPrefix(pipeline.Ref, "refs/merge-requests/")
}

// runsFor tells whether a status of the branch can belong to the pipeline.
func runsFor(pipeline *gogitlab.PipelineInfo, branch string) bool {
	return pipeline.Ref == branch || pipeline.Ref == "" || branch == ""
}
