package github

import (
	"context"
	"fmt"
	"strings"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// PostStatus creates a commit status. The pin is always empty: GitHub's statuses belong to the commit alone.
func (p *Platform) PostStatus(ctx context.Context, status core.Status) (platforms.Posted, error) {
	if p.posting == nil && p.app == nil {
		return platforms.Posted{}, fmt.Errorf("posting to %s: %w", p.name, platforms.ErrNoToken)
	}
	owner, repository, ok := strings.Cut(status.ProjectName, "/")
	ok = ok && !strings.Contains(repository, "/") && platforms.CheckProject(status.ProjectName) == nil
	if !ok || !core.IsCommitSHA(status.CommitSHA) {
		return platforms.Posted{}, fmt.Errorf(
			"%w: the status names no project of the form owner/repo or no commit", platforms.ErrRefused)
	}
	posted, err := p.create(ctx, owner, repository, status)
	if err != nil {
		p.app.forget(status.ProjectName)
		return platforms.Posted{}, fmt.Errorf("posting status of %s: %w", status.ProjectName, err)
	}
	return posted, nil
}

func (p *Platform) create(ctx context.Context, owner, repository string, status core.Status) (platforms.Posted, error) {
	client, err := p.client(ctx, status.ProjectName)
	if err != nil {
		return platforms.Posted{}, p.classify(nil, err)
	}
	if status.ProjectRef == "" {
		ctx = platforms.WithoutRedirects(ctx) // perhaps only the name's owner says that this is about the name's project
	}
	created, answer, err := client.Repositories.CreateStatus(
		ctx, owner, repository, status.CommitSHA, toRepoStatus(status))
	if err := p.classify(answer, err); err != nil {
		return platforms.Posted{}, err
	}
	return platforms.Posted{ID: created.GetID(), Code: answer.StatusCode}, nil
}

func (p *Platform) client(ctx context.Context, project string) (*gogithub.Client, error) {
	if p.app != nil {
		return p.app.client(ctx, project)
	}
	return p.posting, nil
}

// toRepoStatus leaves out a target that is not http(s): GitHub would refuse the whole status for it.
func toRepoStatus(status core.Status) *gogithub.RepoStatus {
	repoStatus := &gogithub.RepoStatus{
		State:   gogithub.String(toState(status.State)),
		Context: gogithub.String(status.Context),
	}
	if status.Description != "" {
		repoStatus.Description = gogithub.String(core.Truncate(status.Description))
	}
	if target := platforms.WebAddress(platforms.Text(status.TargetURL), ""); target != "" {
		repoStatus.TargetURL = &target
	}
	return repoStatus
}

func toState(state core.StatusState) string {
	if state == core.StatusCancelled {
		return string(core.StatusError)
	}
	return string(state)
}
