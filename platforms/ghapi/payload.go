package ghapi

import (
	"fmt"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// repository is the part of a payload's repository that we use.
type repository struct {
	ID            platforms.Number `json:"id"`
	FullName      platforms.Text   `json:"full_name"`
	HTMLURL       platforms.Text   `json:"html_url"`
	CloneURL      platforms.Text   `json:"clone_url"`
	DefaultBranch platforms.Text   `json:"default_branch"`
}

// ParseEvent reads the payload of an event and names its project, which is empty where the event has none.
func (s *Server) ParseEvent(name string, payload []byte) (event core.Event, project string, err error) {
	switch name {
	case "push":
		return s.parsePush(payload)
	case "workflow_run":
		return s.parseWorkflowRun(payload)
	case "status":
		return s.parseStatus(payload)
	}
	var other struct {
		Repository repository `json:"repository"`
	}
	if err := platforms.DecodeObject(payload, &other); err != nil {
		return nil, "", err
	}
	project = string(other.Repository.FullName)
	if platforms.CheckProject(project) != nil {
		project = ""
	}
	return core.Ignored{Reason: reasonToIgnore(name)}, project, nil
}

func reasonToIgnore(event string) string {
	switch event {
	case "ping":
		return "ping received: the webhook works"
	case "create", "delete":
		return "a branch or tag that comes or goes is seen through its push event"
	case "check_run", "check_suite":
		return "checks are results: they start no scan"
	case "pull_request", "pull_request_target", "merge_group":
		return event + " events start no scan: the push of their branch does"
	}
	return event + " events are not used: push and workflow_run are enough for this webhook"
}

// project translates the repository; its path must be safe because addresses are built from it.
func (s *Server) project(r repository) (core.Project, error) {
	path := string(r.FullName)
	if err := platforms.CheckProject(path); err != nil {
		return core.Project{}, fmt.Errorf("repository.full_name: %w", err)
	}
	return core.Project{
		Name:          path,
		Ref:           r.ID.ID(),
		URL:           platforms.WebAddress(r.HTMLURL, s.Web.JoinPath(path).String()),
		CloneURL:      platforms.WebAddress(r.CloneURL, s.cloneURL(path)),
		DefaultBranch: string(r.DefaultBranch),
	}, nil
}

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

func (s *Server) parsePush(payload []byte) (core.Event, string, error) {
	var push pushPayload
	if err := platforms.DecodeObject(payload, &push); err != nil {
		return nil, "", err
	}
	project, err := s.project(push.Repository)
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

// statusPayload is the payload of the event status.
type statusPayload struct {
	ID          platforms.Number `json:"id"`
	SHA         platforms.Text   `json:"sha"`
	Context     platforms.Text   `json:"context"`
	State       platforms.Text   `json:"state"`
	Description platforms.Text   `json:"description"`
	Repository  repository       `json:"repository"`
	Sender      account          `json:"sender"`
}

type account struct {
	Login platforms.Text `json:"login"`
}

// parseStatus ignores a status without a number, because nothing tells what it came after.
func (s *Server) parseStatus(payload []byte) (core.Event, string, error) {
	var event statusPayload
	if err := platforms.DecodeObject(payload, &event); err != nil {
		return nil, "", err
	}
	project, err := s.project(event.Repository)
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
	if s.Traits.NoStatusID {
		seen.ID = 0
	}
	return seen, project.Name, nil
}
