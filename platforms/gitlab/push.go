package gitlab

import (
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// pushPayload is the part of a push or tag push that we use.
type pushPayload struct {
	Ref          platforms.Text    `json:"ref"`
	Before       platforms.Text    `json:"before"`
	After        platforms.Text    `json:"after"`
	CheckoutSHA  platforms.Text    `json:"checkout_sha"`
	Commits      platforms.Commits `json:"commits"`
	TotalCommits platforms.Number  `json:"total_commits_count"`
}

func (p *Platform) parsePush(outer envelope, body []byte) (core.Event, string, error) {
	var push pushPayload
	if err := platforms.DecodeObject(body, &push); err != nil {
		return nil, "", err
	}
	project, err := p.toProject(outer)
	if err != nil {
		return nil, "", err
	}
	event, err := platforms.CompletePush(push.translate(project))
	return event, project.Name, err
}

// translate takes the commit from checkout_sha: after is the tag object where a tag is annotated.
func (push pushPayload) translate(project core.Project) core.Push {
	return core.Push{
		Project:   project,
		Ref:       string(push.Ref),
		Before:    platforms.CommitID(push.Before),
		After:     platforms.CommitID(push.After),
		CommitSHA: platforms.FirstCommit(push.CheckoutSHA, push.After),
		Files:     platforms.CountFiles(push.Commits, push.TotalCommits.Int()),
	}
}
