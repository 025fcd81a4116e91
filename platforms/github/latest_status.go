package github

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

const (
	statusesPerPage = 100
	maxStatusPages  = 3
)

var _ platforms.StatusReader = (*Platform)(nil)

// shownStatus is a status as the API lists it. Gitea and Forgejo have another word for its state.
type shownStatus struct {
	ID          platforms.Number `json:"id"`
	Context     platforms.Text   `json:"context"`
	State       platforms.Text   `json:"state"`
	GiteaState  platforms.Text   `json:"status"`
	Description platforms.Text   `json:"description"`
	Creator     account          `json:"creator"`
}

type account struct {
	Login platforms.Text `json:"login"`
}

// LatestStatus looks through the commit's statuses, which are listed from the newest on.
func (p *Platform) LatestStatus(ctx context.Context, status core.Status) (core.StatusSeen, error) {
	var latest core.StatusSeen
	for page := 1; page > 0 && page <= maxStatusPages && latest.ID == 0; {
		list, next, err := p.readStatuses(ctx, status, page)
		if err != nil {
			return core.StatusSeen{}, fmt.Errorf("looking at the statuses of %s: %w", status.ProjectName, err)
		}
		for _, shown := range list {
			if status.InPlaceOf(string(shown.Context)) && shown.ID.Int() > latest.ID {
				latest = shown.seen(status)
			}
		}
		page = next
	}
	if latest.ID == 0 {
		return latest, fmt.Errorf("%w: no status %s among its latest", platforms.ErrUnknownCommit, status.Context)
	}
	return latest, nil
}

func (p *Platform) readStatuses(ctx context.Context, status core.Status, page int) (
	list []shownStatus, next int, err error) {
	if !core.IsCommitSHA(status.CommitSHA) {
		return nil, 0, fmt.Errorf("%w: the status names no commit", platforms.ErrRefused)
	}
	client, owner, name, err := p.inquiring(ctx, status.ProjectName)
	if err != nil {
		return nil, 0, err
	}
	path := fmt.Sprintf("repos/%s/%s/commits/%s/statuses?per_page=%d&page=%d",
		owner, name, status.CommitSHA, statusesPerPage, page)
	request, err := client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return nil, 0, err
	}
	answer, err := client.Do(ctx, request, &list)
	if err != nil {
		return nil, 0, p.unanswered(status.ProjectName, answer, err, "Commit statuses: read")
	}
	return list, answer.NextPage, nil
}

func (s shownStatus) seen(status core.Status) core.StatusSeen {
	return core.StatusSeen{
		Project:   core.Project{Name: status.ProjectName, Ref: status.ProjectRef},
		CommitSHA: status.CommitSHA, Context: string(s.Context), ID: s.ID.Int(),
		State: core.StatusState(cmp.Or(s.State, s.GiteaState)), Description: string(s.Description),
		Creator: string(s.Creator.Login),
	}
}

// announced is the payload of the event status.
type announced struct {
	ID          platforms.Number `json:"id"`
	SHA         platforms.Text   `json:"sha"`
	Context     platforms.Text   `json:"context"`
	State       platforms.Text   `json:"state"`
	Description platforms.Text   `json:"description"`
	Repository  repository       `json:"repository"`
	Sender      account          `json:"sender"`
}

// parseStatus takes a status without a number for one that is of no use: nobody could tell what it came after. Gitea
// numbers statuses otherwise here than in its API: compared with that of our post, such a number would mislead.
func (p *Platform) parseStatus(payload []byte) (core.Event, string, error) {
	var event announced
	if err := platforms.DecodeObject(payload, &event); err != nil {
		return nil, "", err
	}
	project, err := p.project(event.Repository)
	if err != nil {
		return core.Ignored{Reason: "statuses are results, and this one names no project"}, "", nil
	}
	seen := core.StatusSeen{
		Project: project, CommitSHA: string(event.SHA), Context: string(event.Context), ID: event.ID.Int(),
		State: core.StatusState(event.State), Description: string(event.Description), Creator: string(event.Sender.Login),
	}
	if seen.ID <= 0 || !core.IsCommitSHA(seen.CommitSHA) {
		return core.Ignored{Reason: "the status has no number or names no commit"}, project.Name, nil
	}
	if p.isGitea() {
		seen.ID = 0
	}
	return seen, project.Name, nil
}
