package ghapi

import (
	"context"
	"fmt"
	"net/http"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	artifactsPerPage = 100
	maxArtifactPages = 30
	comparedFiles    = 300 // how many files GitHub lists of a comparison at most
)

// ArtifactBytes adds up the artifacts of a workflow run. They belong to all attempts together: of several with one name
// only the newest counts, which the last attempt left.
func (s *Server) ArtifactBytes(ctx context.Context, project core.Project, run int64) (int64, error) {
	newest := map[string]*gogithub.Artifact{}
	options := &gogithub.ListOptions{Page: 1, PerPage: artifactsPerPage}
	for options.Page > 0 && options.Page <= maxArtifactPages {
		next, err := s.readArtifacts(ctx, project.Name, run, options, newest)
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

func (s *Server) readArtifacts(ctx context.Context, project string, run int64, options *gogithub.ListOptions,
	newest map[string]*gogithub.Artifact) (next int, err error) {
	client, owner, name, err := s.Open(ctx, project)
	if err != nil {
		return 0, err
	}
	list, answer, err := client.Actions.ListWorkflowRunArtifacts(ctx, owner, name, run, options)
	if err = s.ReadError(project, answer, err, "Actions: read"); err != nil {
		return 0, err
	}
	for _, artifact := range list.Artifacts {
		if known := newest[artifact.GetName()]; known == nil || known.GetID() < artifact.GetID() {
			newest[artifact.GetName()] = artifact
		}
	}
	return answer.NextPage, nil
}

// ChangedFiles counts the files of a comparison. They are listed on its first page only; asking for one commit a page
// keeps that page small.
func (s *Server) ChangedFiles(ctx context.Context, project core.Project, before, after string) (
	core.ChangedFiles, error) {
	files, err := s.countFiles(ctx, project.Name, before, after)
	if err != nil {
		return core.ChangedFiles{}, fmt.Errorf("comparing commits of %s: %w", project.Name, err)
	}
	return platforms.FilesUpTo(comparedFiles, files), nil
}

func (s *Server) countFiles(ctx context.Context, project, before, after string) (files int, err error) {
	if !core.IsCommitSHA(before) || !core.IsCommitSHA(after) {
		return 0, fmt.Errorf("%w: two commits are needed", platforms.ErrRefused)
	}
	client, owner, name, err := s.Open(ctx, project)
	if err != nil {
		return 0, err
	}
	path := fmt.Sprintf("repos/%s/%s/compare/%s...%s?per_page=1", owner, name, before, after)
	var comparison struct {
		Files []struct{} `json:"files"` // the rest is long and not needed here
	}
	answer, err := s.Call(ctx, client, http.MethodGet, path, nil, &comparison)
	return len(comparison.Files), s.ReadError(project, answer, err, "Contents: read")
}
