package gitlab

import (
	"context"
	"fmt"
	"math"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	jobsPerPage   = 100
	maxJobPages   = 30
	comparedFiles = 1000 // how many files GitLab lists of a comparison by default
)

// ArtifactBytes adds up the archives of the latest run of each job of a pipeline.
func (p *Platform) ArtifactBytes(ctx context.Context, project core.Project, pipeline int64) (int64, error) {
	var total int64
	options := &gogitlab.ListJobsOptions{ListOptions: gogitlab.ListOptions{Page: 1, PerPage: jobsPerPage}}
	for options.Page > 0 && options.Page <= maxJobPages {
		jobs, next, err := p.readJobs(ctx, project, pipeline, options)
		if err != nil {
			return 0, fmt.Errorf("asking for the jobs of pipeline %d of %s: %w", pipeline, project.Name, err)
		}
		for _, job := range jobs {
			total += min(max(int64(job.ArtifactsFile.Size), 0), platforms.MaxArtifact)
		}
		options.Page = next
	}
	return total, nil
}

func (p *Platform) readJobs(ctx context.Context, project core.Project, pipeline int64,
	options *gogitlab.ListJobsOptions) (jobs []*gogitlab.Job, next int, err error) {
	if err := p.checkAccess(project); err != nil {
		return nil, 0, err
	}
	if pipeline <= 0 || pipeline > math.MaxInt {
		return nil, 0, fmt.Errorf("%w: %d is no pipeline", platforms.ErrRefused, pipeline)
	}
	jobs, answer, err := p.api.Jobs.ListPipelineJobs(
		numberOrPath(project), int(pipeline), options, gogitlab.WithContext(ctx))
	if err != nil {
		return nil, 0, p.readError(answer, err)
	}
	return jobs, answer.NextPage, nil
}

// ChangedFiles counts the files of a comparison.
func (p *Platform) ChangedFiles(ctx context.Context, project core.Project, before, after string) (
	core.ChangedFiles, error) {
	comparison, err := p.comparison(ctx, project, before, after)
	if err != nil {
		return core.ChangedFiles{}, fmt.Errorf("comparing commits of %s: %w", project.Name, err)
	}
	files := platforms.FilesUpTo(comparedFiles, len(comparison.Diffs))
	files.Truncated = files.Truncated || comparison.CompareTimeout
	return files, nil
}

func (p *Platform) comparison(ctx context.Context, project core.Project, before, after string) (
	*gogitlab.Compare, error) {
	if !core.IsCommitSHA(before) || !core.IsCommitSHA(after) {
		return nil, fmt.Errorf("%w: two commits are needed", platforms.ErrRefused)
	}
	if err := p.checkAccess(project); err != nil {
		return nil, err
	}
	options := &gogitlab.CompareOptions{From: &before, To: &after}
	comparison, answer, err := p.api.Repositories.Compare(numberOrPath(project), options, gogitlab.WithContext(ctx))
	if err != nil {
		return nil, p.readError(answer, err)
	}
	return comparison, nil
}

// MergeBase finds the commit where sha left the branch; platforms.ErrUnknownCommit where they have nothing in common.
func (p *Platform) MergeBase(ctx context.Context, project, branch, sha string) (string, error) {
	if p.token == "" {
		return "", fmt.Errorf("asking %s for a merge base: %w", p.name, platforms.ErrNoToken)
	}
	if platforms.CheckProject(project) != nil || branch == "" || !core.IsCommitSHA(sha) {
		return "", fmt.Errorf("%w: no project, no branch or no commit", platforms.ErrRefused)
	}
	options := gogitlab.MergeBaseOptions{Ref: &[]string{branch, sha}}
	commit, answer, err := p.api.Repositories.MergeBase(project, &options, gogitlab.WithContext(ctx))
	if err := platforms.Readable(p.classify(answer, err), err); err != nil {
		return "", fmt.Errorf("asking %s for the merge base of %s: %w", p.name, project, err)
	}
	if commit == nil || !core.IsCommitSHA(commit.ID) {
		return "", fmt.Errorf("%w: the answer names no merge base", platforms.ErrUnknownCommit)
	}
	return commit.ID, nil
}
