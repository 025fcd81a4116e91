package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	artifactsPerPage = 100
	maxArtifactPages = 30
	comparedFiles    = 300 // how many files GitHub lists of a comparison at most
)

var _ platforms.MetadataFetcher = (*Platform)(nil)

// ArtifactBytes adds up the artifacts of a workflow run. They belong to all attempts together: of several with one name
// only the newest counts, which is the one that the last attempt left.
func (p *Platform) ArtifactBytes(ctx context.Context, project core.Project, run int64) (int64, error) {
	newest := map[string]*gogithub.Artifact{}
	options := &gogithub.ListOptions{Page: 1, PerPage: artifactsPerPage}
	for options.Page > 0 && options.Page <= maxArtifactPages {
		next, err := p.readArtifacts(ctx, project.Name, run, options, newest)
		if err != nil {
			return 0, fmt.Errorf("asking for the artifacts of run %d of %s: %w", run, project.Name, err)
		}
		options.Page = next
	}
	var total int64
	for _, artifact := range newest {
		total += min(max(artifact.GetSizeInBytes(), 0), platforms.MaxArtifact)
	}
	return total, nil
}

func (p *Platform) readArtifacts(ctx context.Context, project string, run int64, options *gogithub.ListOptions,
	newest map[string]*gogithub.Artifact) (next int, err error) {
	client, owner, name, err := p.inquiring(ctx, project)
	if err != nil {
		return 0, err
	}
	list, answer, err := client.Actions.ListWorkflowRunArtifacts(ctx, owner, name, run, options)
	if err = p.unanswered(project, answer, err, "Actions: read"); err != nil {
		return 0, err
	}
	for _, artifact := range list.Artifacts {
		if known := newest[artifact.GetName()]; known == nil || known.GetID() < artifact.GetID() {
			newest[artifact.GetName()] = artifact
		}
	}
	return answer.NextPage, nil
}

// ChangedFiles counts the files of a comparison. GitHub lists them on its first page only; asking for one commit a page
// keeps that page small.
func (p *Platform) ChangedFiles(ctx context.Context, project core.Project, before, after string) (
	core.ChangedFiles, error) {
	files, err := p.countFiles(ctx, project.Name, before, after)
	if err != nil {
		return core.ChangedFiles{}, fmt.Errorf("comparing commits of %s: %w", project.Name, err)
	}
	return platforms.FilesUpTo(comparedFiles, files), nil
}

func (p *Platform) countFiles(ctx context.Context, project, before, after string) (files int, err error) {
	if !core.IsCommitSHA(before) || !core.IsCommitSHA(after) {
		return 0, fmt.Errorf("%w: two commits are needed", platforms.ErrRefused)
	}
	client, owner, name, err := p.inquiring(ctx, project)
	if err != nil {
		return 0, err
	}
	path := fmt.Sprintf("repos/%s/%s/compare/%s...%s?per_page=1", owner, name, before, after)
	request, err := client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	var comparison struct {
		Files []struct{} `json:"files"` // the rest is long and of no use here
	}
	answer, err := client.Do(ctx, request, &comparison)
	return len(comparison.Files), p.unanswered(project, answer, err, "Contents: read")
}

// inquiring is the client for a project, and the project's two parts.
func (p *Platform) inquiring(ctx context.Context, project string) (
	client *gogithub.Client, owner, name string, err error) {
	if p.posting == nil && p.app == nil {
		return nil, "", "", platforms.ErrNoToken
	}
	owner, name, ok := strings.Cut(project, "/")
	if !ok || strings.Contains(name, "/") || platforms.CheckProject(project) != nil {
		return nil, "", "", fmt.Errorf("%w: %q is no project of the form owner/repo", platforms.ErrRefused, project)
	}
	if client, err = p.client(ctx, project); err != nil {
		return nil, "", "", p.classify(nil, err)
	}
	return client, owner, name, nil
}

// unanswered is why there is no answer to read. needs is the permission of which GitHub does not say that it is
// missing.
func (p *Platform) unanswered(project string, answer *gogithub.Response, err error, needs string) error {
	if err == nil {
		return nil
	}
	p.app.forget(project)
	classified := p.classify(answer, err)
	if limited := new(platforms.RateLimited); errors.As(classified, &limited) || answer == nil || answer.Response == nil {
		return classified
	}
	switch code := answer.StatusCode; {
	case code < http.StatusMultipleChoices:
		return fmt.Errorf("%w: the answer cannot be read: %w", platforms.ErrRefused, err)
	case code == http.StatusForbidden || code == http.StatusNotFound:
		usual := fmt.Sprintf("which it also does where the permission %q is missing", needs)
		return fmt.Errorf("%w: %s: %s", platforms.ErrUnknownCommit, p.answer(answer.Response),
			p.advice(answer.Response, usual))
	}
	return classified
}
