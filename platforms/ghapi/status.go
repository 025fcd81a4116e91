package ghapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	statusesPerPage = 100
	maxStatusPages  = 3
)

// PostStatus creates a commit status. The pin is always empty: these statuses belong to the commit alone.
func (s *Server) PostStatus(ctx context.Context, status core.Status) (platforms.Posted, error) {
	posted, err := s.createStatus(ctx, status)
	if err != nil {
		s.Forget(status.ProjectName, err)
		return platforms.Posted{}, fmt.Errorf("posting status of %s to %s: %w", status.ProjectName, s.Name, err)
	}
	return posted, nil
}

func (s *Server) createStatus(ctx context.Context, status core.Status) (posted platforms.Posted, err error) {
	if s.Clients != nil && !core.IsCommitSHA(status.CommitSHA) {
		return posted, fmt.Errorf("%w: the status names no commit", platforms.ErrRefused)
	}
	client, owner, name, err := s.Open(ctx, status.ProjectName)
	if err != nil {
		return posted, err
	}
	if status.ProjectRef == "" {
		ctx = platforms.WithoutRedirects(ctx) // the name may come from a call by somebody who gave the project away
	}
	created, answer, err := client.Repositories.CreateStatus(ctx, owner, name, status.CommitSHA, toRepoStatus(status))
	if err := s.Classify(answer, err); err != nil {
		return posted, err
	}
	return platforms.Posted{ID: created.GetID(), Code: answer.StatusCode}, nil
}

// toRepoStatus leaves out a target that is not http(s), because the whole status would be refused for it.
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

// listedStatus is a status as the API lists it. Gitea has another name for its state.
type listedStatus struct {
	ID          platforms.Number `json:"id"`
	Context     platforms.Text   `json:"context"`
	State       platforms.Text   `json:"state"`
	GiteaState  platforms.Text   `json:"status"`
	Description platforms.Text   `json:"description"`
	Creator     struct {
		Login platforms.Text `json:"login"`
	} `json:"creator"`
}

// LatestStatus searches the commit's statuses, which are listed from the newest on.
func (s *Server) LatestStatus(ctx context.Context, status core.Status) (core.ObservedStatus, error) {
	var latest core.ObservedStatus
	for page := 1; page > 0 && page <= maxStatusPages && latest.ID == 0; {
		list, next, err := s.listStatuses(ctx, status, page)
		if err != nil {
			return core.ObservedStatus{}, fmt.Errorf("listing the statuses of %s: %w", status.ProjectName, err)
		}
		for _, listed := range list {
			if status.HasContext(string(listed.Context)) && listed.ID.Int() > latest.ID {
				latest = listed.observed(status)
			}
		}
		page = next
	}
	if latest.ID == 0 {
		return latest, fmt.Errorf("%w: no status %s among its latest", platforms.ErrUnknownCommit, status.Context)
	}
	return latest, nil
}

func (s *Server) listStatuses(ctx context.Context, status core.Status, page int) (
	list []listedStatus, next int, err error) {
	if !core.IsCommitSHA(status.CommitSHA) {
		return nil, 0, fmt.Errorf("%w: the status names no commit", platforms.ErrRefused)
	}
	client, owner, name, err := s.Open(ctx, status.ProjectName)
	if err != nil {
		return nil, 0, err
	}
	path := fmt.Sprintf("repos/%s/%s/commits/%s/statuses?per_page=%d&page=%d",
		owner, name, status.CommitSHA, statusesPerPage, page)
	answer, err := s.Call(ctx, client, http.MethodGet, path, nil, &list)
	if err != nil {
		return nil, 0, s.ReadError(status.ProjectName, answer, err, "Commit statuses: read")
	}
	return list, answer.NextPage, nil
}

func (l listedStatus) observed(status core.Status) core.ObservedStatus {
	return core.ObservedStatus{
		Project:   core.Project{Name: status.ProjectName, Ref: status.ProjectRef},
		CommitSHA: status.CommitSHA, Context: string(l.Context), ID: l.ID.Int(),
		State: core.StatusState(cmp.Or(l.State, l.GiteaState)), Description: string(l.Description),
		Creator: string(l.Creator.Login),
	}
}
