package ghapi

import (
	"fmt"
	"strings"
	"time"

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
	UpdatedAt     platforms.Time   `json:"updated_at"`
	PushedAt      platforms.Time   `json:"pushed_at"` // which GitHub has of pushes, where updated_at stays behind
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
	case "repository":
		return s.parseProjectChange(payload)
	case "pull_request":
		return s.parsePullRequest(payload)
	case "merge_group":
		return s.parseMergeGroup(payload)
	case "create", "delete":
		if s.Traits.RefEvents {
			return s.parseRefEvent(name, payload)
		}
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
	}
	return event + " events are not used: push, pull_request and workflow_run are enough for this webhook"
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
		AsOf:          latest(r.UpdatedAt.Time, r.PushedAt.Time),
	}, nil
}

// decode reads a payload into event, and translates the repository in there.
func (s *Server) decode(payload []byte, event any, in *repository) (core.Project, error) {
	if err := platforms.DecodeObject(payload, event); err != nil {
		return core.Project{}, err
	}
	return s.project(*in)
}

// ProjectOf reads the repository of a payload.
func (s *Server) ProjectOf(payload []byte) (core.Project, error) {
	var event struct {
		Repository repository `json:"repository"`
	}
	return s.decode(payload, &event, &event.Repository)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// parseProjectChange reads an event about the repository itself.
func (s *Server) parseProjectChange(payload []byte) (core.Event, string, error) {
	var event struct {
		Action     platforms.Text `json:"action"`
		Repository repository     `json:"repository"`
	}
	project, err := s.decode(payload, &event, &event.Repository)
	if err != nil {
		return nil, "", err
	}
	action := string(event.Action)
	return core.ProjectChange{Project: project, Action: action, Deleted: action == "deleted"}, project.Name, nil
}

// pushPayload is the part of a push that we use. Gitea has total_commits, GitHub has created, deleted and forced.
type pushPayload struct {
	platforms.PushPayload
	Created      bool                 `json:"created"`
	Deleted      bool                 `json:"deleted"`
	Forced       bool                 `json:"forced"`
	HeadCommit   platforms.CommitInfo `json:"head_commit"`
	TotalCommits platforms.Number     `json:"total_commits"`
	Repository   repository           `json:"repository"`
}

func (s *Server) parsePush(payload []byte) (core.Event, string, error) {
	var push pushPayload
	project, err := s.decode(payload, &push, &push.Repository)
	if err != nil {
		return nil, "", err
	}
	pushed := push.Push(project, push.TotalCommits, push.HeadCommit.ID)
	pushed.Created, pushed.Deleted, pushed.Forced = push.Created, push.Deleted, push.Forced
	pushed.Commit = push.HeadCommit.Info(pushed.CommitSHA)
	event, err := platforms.CompletePush(pushed)
	return event, project.Name, err
}

// pullRequest is the part of a pull request that we use. The commit that merging would result in is left out on purpose: a status on
// it would hide that of the head.
type pullRequest struct {
	Number platforms.Number `json:"number"`
	Title  platforms.Line   `json:"title"`
	User   struct {
		Login platforms.Line `json:"login"`
	} `json:"user"`
	UpdatedAt platforms.Time `json:"updated_at"`
	Head      side           `json:"head"`
	Base      side           `json:"base"`
}

// side is one of the two branches of a pull request. Its repository is null where a fork was deleted.
type side struct {
	Ref  platforms.Text `json:"ref"`
	SHA  platforms.Text `json:"sha"`
	Repo struct {
		ID platforms.Number `json:"id"`
	} `json:"repo"`
}

// pullRequestPayload is the part of the event pull_request that we use.
type pullRequestPayload struct {
	Action      platforms.Text `json:"action"`
	PullRequest pullRequest    `json:"pull_request"`
	Before      platforms.Text `json:"before"`
	Changes     struct {
		Base struct {
			Ref struct {
				From platforms.Text `json:"from"`
			} `json:"ref"`
		} `json:"base"`
		Ref struct { // of Gitea
			From platforms.Text `json:"from"`
		} `json:"ref"`
	} `json:"changes"`
	Repository repository `json:"repository"`
}

// requestActions are the actions by which a request gets another head, another target or another state. GitHub synchronizes, Gitea has
// synchronized.
var requestActions = map[platforms.Text]core.RequestAction{
	"opened": core.RequestOpened, "reopened": core.RequestOpened, "closed": core.RequestClosed,
	"synchronize": core.RequestPushed, "synchronized": core.RequestPushed, "edited": core.RequestRetargeted,
}

func (s *Server) parsePullRequest(payload []byte) (core.Event, string, error) {
	var event pullRequestPayload
	project, err := s.decode(payload, &event, &event.Repository)
	if err != nil {
		return nil, "", err
	}
	from := event.Changes.Base.Ref.From + event.Changes.Ref.From
	pull, action := event.PullRequest, requestActions[event.Action]
	switch {
	case action == "" || action == core.RequestRetargeted && from == "":
		return core.Ignored{Reason: "the pull request has the same commits and the same target as before"}, project.Name, nil
	case pull.Number.Int() <= 0 || !core.IsCommitSHA(string(pull.Head.SHA)) || pull.Base.Ref == "":
		return nil, "", fmt.Errorf("%w: the pull request has no number, no head or no base", core.ErrInvalid)
	}
	request := core.Request{
		Project: project, Number: pull.Number.Int(), Action: action, Head: string(pull.Head.SHA), Before: platforms.CommitID(event.Before),
		Ref: fmt.Sprintf("refs/pull/%d/head", pull.Number.Int()), Branch: string(pull.Head.Ref), Target: string(pull.Base.Ref),
		Fork: project.Ref == "" || pull.Head.Repo.ID.ID() != project.Ref, UpdatedAt: pull.UpdatedAt.Time,
	}
	if request.Fork { // no push tells of its commits; the event has none of their messages
		request.Commit = core.CommitInfo{Title: string(pull.Title), Author: string(pull.User.Login)}
	}
	return request, project.Name, nil
}

// parseMergeGroup reads what happens in a merge queue. Its branches are pushed, too.
func (s *Server) parseMergeGroup(payload []byte) (core.Event, string, error) {
	var event struct {
		Action platforms.Text `json:"action"`
		Reason platforms.Text `json:"reason"`
		Group  struct {
			SHA platforms.Text `json:"head_sha"`
			Ref platforms.Text `json:"head_ref"` // full
		} `json:"merge_group"`
		Repository repository `json:"repository"`
	}
	project, err := s.decode(payload, &event, &event.Repository)
	if err != nil {
		return nil, "", err
	}
	head := string(event.Group.SHA)
	switch {
	case event.Action == "destroyed" && event.Reason == "merged":
		return core.Ignored{Reason: "the merge queue has merged: the push of its target tells"}, project.Name, nil
	case event.Action != "destroyed" && event.Action != "checks_requested":
		return core.Ignored{Reason: "the merge queue asks for nothing"}, project.Name, nil
	case !core.IsCommitSHA(head):
		return nil, "", fmt.Errorf("%w: the merge group has no head_sha", core.ErrInvalid)
	}
	none := strings.Repeat("0", len(head))
	push := core.Push{Project: project, Ref: string(event.Group.Ref), Before: none, After: head, CommitSHA: head}
	if event.Action == "destroyed" {
		push.Before, push.After, push.Dropped = head, none, head
	}
	completed, err := platforms.CompletePush(push)
	return completed, project.Name, err
}

// parseRefEvent reads the event of a branch that was created or deleted, perhaps without a push: when a branch is renamed.
func (s *Server) parseRefEvent(name string, payload []byte) (core.Event, string, error) {
	var event struct {
		Ref        platforms.Text `json:"ref"` // without refs/heads/
		Type       platforms.Text `json:"ref_type"`
		SHA        platforms.Text `json:"sha"` // of a created one
		Repository repository     `json:"repository"`
	}
	project, err := s.decode(payload, &event, &event.Repository)
	switch {
	case err != nil:
		return nil, "", err
	case event.Type != "branch" || event.Ref == "":
		return core.Ignored{Reason: "tags are seen through their push events"}, project.Name, nil
	case name == "create" && !core.IsCommitSHA(string(event.SHA)):
		return core.Ignored{Reason: "the event does not name the branch's commit"}, project.Name, nil
	}
	push := core.Push{Project: project, Ref: "refs/heads/" + string(event.Ref), Deleted: name == "delete"}
	if !push.Deleted {
		push.Created, push.After = true, platforms.CommitID(event.SHA)
		push.Before, push.CommitSHA = strings.Repeat("0", len(push.After)), push.After
	}
	completed, err := platforms.CompletePush(push)
	return completed, project.Name, err
}

// statusPayload is the payload of the event status.
type statusPayload struct {
	ID          platforms.Number `json:"id"`
	SHA         platforms.Text   `json:"sha"`
	Context     platforms.Text   `json:"context"`
	State       platforms.Text   `json:"state"`
	Description platforms.Text   `json:"description"`
	Repository  repository       `json:"repository"`
	Sender      struct {
		Login platforms.Text `json:"login"`
	} `json:"sender"`
}

// parseStatus ignores a status without a number, because nothing tells what it came after.
func (s *Server) parseStatus(payload []byte) (core.Event, string, error) {
	var event statusPayload
	project, err := s.decode(payload, &event, &event.Repository)
	if err != nil {
		return core.Ignored{Reason: "statuses are results, and this one names no project"}, "", nil
	}
	seen := core.ObservedStatus{
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

// workflowRun is the part of a workflow_run event that we use. GitHub has run_started_at and updated_at, Gitea
// started_at and completed_at.
type workflowRun struct {
	ID             platforms.Number `json:"id"`
	Attempt        platforms.Number `json:"run_attempt"`
	Name           platforms.Text   `json:"name"`
	Trigger        platforms.Text   `json:"event"`
	HeadBranch     platforms.Text   `json:"head_branch"`
	HeadSHA        platforms.Text   `json:"head_sha"`
	Status         platforms.Text   `json:"status"`
	Conclusion     platforms.Text   `json:"conclusion"`
	HTMLURL        platforms.Text   `json:"html_url"`
	CreatedAt      platforms.Time   `json:"created_at"`
	RunStartedAt   platforms.Time   `json:"run_started_at"`
	StartedAt      platforms.Time   `json:"started_at"`
	UpdatedAt      platforms.Time   `json:"updated_at"`
	CompletedAt    platforms.Time   `json:"completed_at"`
	HeadRepository struct {
		FullName platforms.Text `json:"full_name"`
	} `json:"head_repository"`
	PullRequests platforms.List[struct {
		Number platforms.Number `json:"number"`
	}] `json:"pull_requests"`
}

func (s *Server) parseWorkflowRun(payload []byte) (core.Event, string, error) {
	var event struct {
		Run        workflowRun `json:"workflow_run"`
		Repository repository  `json:"repository"`
	}
	project, err := s.decode(payload, &event, &event.Repository)
	if err != nil {
		return nil, "", err
	}
	if !core.IsCommitSHA(string(event.Run.HeadSHA)) {
		return nil, "", fmt.Errorf("%w: workflow_run.head_sha names no commit", core.ErrInvalid)
	}
	return event.Run.pipeline(project, s.Traits.Links), project.Name, nil
}

func (run workflowRun) pipeline(project core.Project, links platforms.Links) core.Pipeline {
	pipeline := core.Pipeline{
		Project:    project,
		ID:         run.ID.Int(),
		Attempt:    max(run.Attempt.Count(), 1),
		Name:       string(run.Name),
		Source:     string(run.Trigger),
		Branch:     string(run.HeadBranch),
		CommitSHA:  string(run.HeadSHA),
		Status:     string(run.Status),
		Conclusion: string(run.Conclusion),
		CreatedAt:  run.CreatedAt.Time,
		UpdatedAt:  run.UpdatedAt.Time,
		Foreign:    run.foreign(project.Name),

		AskArtifacts: true,
	}
	pipeline.URL = platforms.WebAddress(run.HTMLURL, links.PipelineURL(project.URL, pipeline.ID))
	if len(run.PullRequests) > 0 {
		pipeline.MergeRequestIID = run.PullRequests[0].Number.Int()
	}
	run.measure(&pipeline)
	return pipeline
}

// measure adds the times. updated_at is the end only once the run is complete. created_at stays that of the first attempt,
// so it does not tell how long later attempts were queued.
func (run workflowRun) measure(pipeline *core.Pipeline) {
	started := firstTime(run.RunStartedAt, run.StartedAt)
	completed := run.Status == "completed"
	if pipeline.Attempt == 1 && (completed || run.Status == "in_progress") {
		pipeline.Queued = platforms.Between(run.CreatedAt, started)
	}
	if completed {
		finished := firstTime(run.CompletedAt, run.UpdatedAt)
		pipeline.FinishedAt = finished.Time
		pipeline.Duration = platforms.Between(started, finished)
	}
}

func firstTime(first, second platforms.Time) platforms.Time {
	if first.IsZero() {
		return second
	}
	return first
}

// foreign tells whether the branch is one of a fork. A pull request whose repository is gone may have been of one.
func (run workflowRun) foreign(project string) bool {
	head := string(run.HeadRepository.FullName)
	if head == "" {
		return strings.HasPrefix(string(run.Trigger), "pull_request")
	}
	return !strings.EqualFold(head, project)
}
