package github

import (
	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// pushPayload is the part of a push that we use. Gitea has total_commits, GitHub has created, deleted and forced.
type pushPayload struct {
	Ref        platforms.Text `json:"ref"`
	Before     platforms.Text `json:"before"`
	After      platforms.Text `json:"after"`
	Created    bool           `json:"created"`
	Deleted    bool           `json:"deleted"`
	Forced     bool           `json:"forced"`
	HeadCommit struct {
		ID platforms.Text `json:"id"`
	} `json:"head_commit"`
	Commits      platforms.Commits `json:"commits"`
	TotalCommits platforms.Number  `json:"total_commits"`
	Repository   repository        `json:"repository"`
}

func (p *Platform) parsePush(payload []byte) (core.Event, string, error) {
	var push pushPayload
	if err := platforms.DecodeObject(payload, &push); err != nil {
		return nil, "", err
	}
	project, err := p.project(push.Repository)
	if err != nil {
		return nil, "", err
	}
	event, err := platforms.CompletePush(push.translate(project))
	return event, project.Name, err
}

func (push pushPayload) translate(project core.Project) core.Push {
	return core.Push{
		Project:   project,
		Ref:       string(push.Ref),
		Before:    platforms.CommitID(push.Before),
		After:     platforms.CommitID(push.After),
		CommitSHA: platforms.FirstCommit(push.HeadCommit.ID, push.After),
		Created:   push.Created,
		Deleted:   push.Deleted,
		Forced:    push.Forced,
		Files:     platforms.CountFiles(push.Commits, push.TotalCommits.Int()),
	}
}
