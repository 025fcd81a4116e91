package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	gogitlab "github.com/xanzy/go-gitlab"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// PostStatus makes GitLab show the wanted state: running once, then a final one. It returns the pipeline that the
// status belongs to; giving it back with the next state keeps both in one pipeline.
func (p *Platform) PostStatus(ctx context.Context, status core.Status) (platforms.Posted, error) {
	if p.token == "" {
		return platforms.Posted{}, fmt.Errorf("posting to %s: %w", p.name, platforms.ErrNoToken)
	}
	if platforms.CheckProject(status.ProjectName) != nil || !core.IsCommitSHA(status.CommitSHA) {
		return platforms.Posted{}, fmt.Errorf("%w: the status names no project or no commit", platforms.ErrRefused)
	}
	if status.State == core.StatusPending && status.PostedState == core.StatusPending {
		return platforms.Posted{PipelinePin: status.PipelinePin, ID: status.PostedID, ShownIn: status.ShownIn}, nil
	}
	if status.ProjectRef == "" {
		ctx = platforms.WithoutRedirects(ctx) // the name may come from somebody who gave the project away
	}
	post := p.post
	if number, fork := core.RequestOf(status.Branch); fork {
		post = func(ctx context.Context, status core.Status) (platforms.Posted, error) {
			return p.climb(ctx, status, number)
		}
	}
	posted, err := post(ctx, status)
	if errors.Is(err, platforms.ErrUnknownCommit) {
		err = p.hidden(ctx, status, err)
	}
	if err != nil {
		return platforms.Posted{}, fmt.Errorf("posting status of %s: %w", status.ProjectName, err)
	}
	return posted, nil
}

// send posts to a pipeline, 0 for one that GitLab chooses.
func (p *Platform) send(ctx context.Context, status core.Status, pin int) (platforms.Posted, error) {
	sent, answer, err := p.api.Commits.SetCommitStatus(
		projectID(status), status.CommitSHA, statusOptions(status, pin), gogitlab.WithContext(ctx))
	if status.State == core.StatusPending && isRepeated(err) {
		return platforms.Posted{PipelinePin: pinOf(pin), Code: answer.StatusCode}, nil
	}
	if err = p.classify(answer, err); err != nil {
		return platforms.Posted{}, err
	}
	posted := platforms.Posted{PipelinePin: pinOf(pin), Code: answer.StatusCode}
	if sent != nil {
		posted.ID = int64(sent.ID)
		posted.PipelinePin = cmp.Or(pinOf(sent.PipelineId), posted.PipelinePin)
	}
	return posted, nil
}

// pinOf is empty where no pipeline is known.
func pinOf(pipeline int) string {
	if pipeline <= 0 {
		return ""
	}
	return strconv.Itoa(pipeline)
}

// statusOptions leaves out a target that is not http(s): GitLab would refuse the whole status for it. It also refuses a
// pipeline beside another ref than that pipeline's own, which is none of a branch where it runs for a merge request.
func statusOptions(status core.Status, pin int) *gogitlab.SetCommitStatusOptions {
	options := &gogitlab.SetCommitStatusOptions{
		State: toState(status.State),
		Name:  gogitlab.Ptr(status.Context),
	}
	if status.Description != "" {
		options.Description = gogitlab.Ptr(core.Truncate(status.Description))
	}
	if status.Branch != "" && pin == 0 {
		options.Ref = gogitlab.Ptr(status.Branch)
	}
	if target := platforms.WebAddress(platforms.Text(status.TargetURL), ""); target != "" {
		options.TargetURL = gogitlab.Ptr(target)
	}
	if pin != 0 {
		options.PipelineID = gogitlab.Ptr(pin)
	}
	return options
}

func toState(state core.StatusState) gogitlab.BuildStateValue {
	switch state {
	case core.StatusPending:
		return gogitlab.Running
	case core.StatusSuccess:
		return gogitlab.Success
	case core.StatusCancelled:
		return gogitlab.Canceled
	default:
		return gogitlab.Failed
	}
}

// pipelineGrace is how long the first status of a commit waits for CI's pipeline. GitLab sends the push hook before it has
// created the pipeline, and a status without one gets a pipeline of its own.
const pipelineGrace = 5 * time.Second

// post sends the status to its pipeline. If the pipeline is gone, GitLab answers that it is unknown, and post looks for
// another one.
func (p *Platform) post(ctx context.Context, status core.Status) (platforms.Posted, error) {
	pin, known := pinned(status)
	var err error
	if !known {
		if pin, err = p.findPipeline(ctx, status); err != nil {
			return platforms.Posted{}, err
		}
	}
	posted, err := p.send(ctx, status, pin)
	if pin == 0 || !errors.Is(err, platforms.ErrUnknownCommit) {
		return posted, err
	}
	other, err := p.findPipeline(ctx, status)
	if err != nil {
		return platforms.Posted{}, err
	}
	if other == pin {
		other = 0
	}
	return p.send(ctx, status, other)
}

// pinned is the pipeline that is known without a call. A pending state must end in its own pipeline, where it would remain
// otherwise. Any other state goes to the pipeline of the merge request, which people look at.
func pinned(status core.Status) (pin int, known bool) {
	pin, err := strconv.Atoi(status.PipelinePin)
	known = err == nil && pin > 0
	if status.MergePipeline > 0 && (!known || status.PostedState != core.StatusPending) {
		return int(status.MergePipeline), true
	}
	return pin, known
}

// findPipeline is the commit's newest pipeline of a merge request, because a merge request shows that one. Otherwise it is
// the commit's last pipeline if that runs for the branch, and else 0: GitLab chooses another one of the branch, or makes
// one that a required check does not wait for.
func (p *Platform) findPipeline(ctx context.Context, status core.Status) (int, error) {
	commit, answer, err := p.api.Commits.GetCommit(projectID(status), status.CommitSHA, nil, gogitlab.WithContext(ctx))
	if err = p.classify(answer, err); err != nil {
		return 0, fmt.Errorf("finding the pipeline: %w", err)
	}
	var last *gogitlab.PipelineInfo
	if commit != nil {
		last = commit.LastPipeline
	}
	if last != nil && !ofMergeRequest(last) {
		merge, err := p.newestMergePipeline(ctx, status)
		if err != nil || merge != 0 {
			return merge, err
		}
	}
	switch {
	case last != nil && (ofMergeRequest(last) || runsFor(last, status.Branch)):
		return last.ID, nil
	case status.PostedState == "" && p.now().Sub(status.DesiredAt).Abs() < pipelineGrace: // either clock may be ahead
		return 0, platforms.ErrTooEarly
	}
	return 0, nil
}

// newestMergePipeline is 0 where there is none, or where the token may post but not list pipelines.
func (p *Platform) newestMergePipeline(ctx context.Context, status core.Status) (int, error) {
	list, answer, err := p.api.Pipelines.ListProjectPipelines(projectID(status), &gogitlab.ListProjectPipelinesOptions{
		SHA: gogitlab.Ptr(status.CommitSHA), Source: gogitlab.Ptr(core.SourceMergeRequest),
		OrderBy: gogitlab.Ptr("id"), Sort: gogitlab.Ptr("desc"), ListOptions: gogitlab.ListOptions{PerPage: 1},
	}, gogitlab.WithContext(ctx))
	err = p.classify(answer, err)
	switch {
	case errors.As(err, new(*platforms.Denied)) || errors.Is(err, platforms.ErrUnknownCommit):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("finding the pipeline of the merge request: %w", err)
	case len(list) == 0 || !ofMergeRequest(list[0]): // an old GitLab knows no filter by source
		return 0, nil
	}
	return list[0].ID, nil
}

// ofMergeRequest tells whether a merge request shows the pipeline as its own.
func ofMergeRequest(pipeline *gogitlab.PipelineInfo) bool {
	return pipeline.Source == core.SourceMergeRequest || strings.HasPrefix(pipeline.Ref, "refs/merge-requests/")
}

// runsFor tells whether a status of the branch can belong to the pipeline.
func runsFor(pipeline *gogitlab.PipelineInfo, branch string) bool {
	return pipeline.Ref == branch || pipeline.Ref == "" || branch == ""
}

// LatestStatus lists the commit's statuses of that name; GitLab has the latest of each user and pipeline. A status whose
// pipeline is known is looked for there, because the pipeline of a merge request does not run for the branch.
func (p *Platform) LatestStatus(ctx context.Context, status core.Status) (core.ObservedStatus, error) {
	project := core.Project{Name: status.ProjectName, Ref: status.ProjectRef}
	if err := p.checkAccess(project); err != nil {
		return core.ObservedStatus{}, fmt.Errorf("listing the statuses of %s: %w", status.ProjectName, err)
	}
	if !core.IsCommitSHA(status.CommitSHA) {
		return core.ObservedStatus{}, fmt.Errorf("%w: the status names no commit", platforms.ErrRefused)
	}
	if _, pinned := pinned(status); core.IsRequestRef(status.Branch) && !pinned {
		return core.ObservedStatus{}, fmt.Errorf("%w: the status does not stand in the project", platforms.ErrUnknownCommit)
	}
	options := &gogitlab.GetCommitStatusesOptions{
		Name: &status.Context, ListOptions: gogitlab.ListOptions{PerPage: jobsPerPage},
	}
	if status.Branch != "" && status.PipelinePin == "" {
		options.Ref = &status.Branch
	}
	list, answer, err := p.api.Commits.GetCommitStatuses(
		numberOrPath(project), status.CommitSHA, options, gogitlab.WithContext(ctx))
	if err != nil {
		return core.ObservedStatus{}, fmt.Errorf(
			"listing the statuses of %s: %w", status.ProjectName, p.readError(answer, err))
	}
	return latest(status, list)
}

func latest(status core.Status, list []*gogitlab.CommitStatus) (core.ObservedStatus, error) {
	var last *gogitlab.CommitStatus
	for _, shown := range list {
		if shown != nil && shown.Name == status.Context && inPlaceOf(shown, status) && (last == nil || shown.ID > last.ID) {
			last = shown
		}
	}
	if last == nil {
		return core.ObservedStatus{}, fmt.Errorf("%w: it has no status %s", platforms.ErrUnknownCommit, status.Context)
	}
	return core.ObservedStatus{
		Project:   core.Project{Name: status.ProjectName, Ref: status.ProjectRef},
		CommitSHA: status.CommitSHA, Context: last.Name, ID: int64(last.ID),
		State: fromState(last.Status), Description: platforms.Clean(last.Description),
		Creator: platforms.Clean(last.Author.Username),
	}, nil
}

// inPlaceOf counts a status without a pipeline as one of any pipeline.
func inPlaceOf(shown *gogitlab.CommitStatus, status core.Status) bool {
	return status.PipelinePin == "" || shown.PipelineId == 0 || pinOf(shown.PipelineId) == status.PipelinePin
}

func fromState(word string) core.StatusState {
	switch state := gogitlab.BuildStateValue(word); state {
	case gogitlab.Pending, gogitlab.Running:
		return core.StatusPending
	case gogitlab.Success:
		return core.StatusSuccess
	case gogitlab.Canceled:
		return core.StatusCancelled
	case gogitlab.Failed:
		return core.StatusFailure
	}
	return core.StatusState(platforms.Clean(word))
}

// hidden asks for the project after a 404, to tell an unknown commit from a project that the token may not see.
func (p *Platform) hidden(ctx context.Context, status core.Status, unknown error) error {
	_, answer, err := p.api.Projects.GetProject(projectID(status), nil, gogitlab.WithContext(ctx))
	if err = p.classify(answer, err); !errors.Is(err, platforms.ErrUnknownCommit) {
		return unknown
	}
	return &platforms.HTTPError{Code: http.StatusNotFound, Err: &platforms.Denied{
		Hidden: true, Err: fmt.Errorf("%s: make the owner of the token of platform %s a member of the"+
			" project, with the role Developer", p.answer(answer.Response), p.name)}}
}

// isRepeated tells whether GitLab refuses a state because the status is already in it. The API answers 400 to this as to
// any other fault, so only the message tells them apart.
func isRepeated(err error) bool {
	var answer *gogitlab.ErrorResponse
	return errors.As(err, &answer) && answer.Response.StatusCode == http.StatusBadRequest &&
		strings.Contains(strings.ToLower(answer.Message), "cannot transition")
}

// step is a place where the status of a merge request from a fork can be shown.
type step struct {
	pin  string // begins PipelinePin of a status that stands there
	text string // for people
	post func(context.Context, *mergeRequest, core.Status) (platforms.Posted, error)
}

// pinOf is a status's pin on the step, without what it begins with; empty for one that stands on another step.
func (s step) pinOf(status core.Status) string {
	pin, here := strings.CutPrefix(status.PipelinePin, s.pin)
	if !here {
		return ""
	}
	return pin
}

// mergeRequest is what a step needs to know of the merge request that it is for.
type mergeRequest struct {
	number int
	read   func() (*gogitlab.MergeRequest, error) // the whole of it, which costs a call the first time
}

// movedOn is where a status stands whose commit is not the head of the merge request any more.
const movedOn = "nowhere: the merge request has another commit by now"

// errNoPlace tells that a merge request does not have the place of a step.
var errNoPlace = errors.New("there is no such place")

// ladder are the steps, the best first. A status without a pipeline in the project itself is none: it makes a pipeline that no merge
// request looks at. A job counts in the pipeline of the merge request, and where that has none in a pipeline of the fork's own project,
// where the token needs the role Developer.
func (p *Platform) ladder() []step {
	return []step{
		{"", "in the pipeline of the merge request", p.postToRequest},
		{"fork:", "in the fork's own project", p.postToFork},
		{"check:", "as an external status check of the merge request", p.postAsCheck},
		{"note:", "as a note on the merge request, which blocks no merge: it counts once a pipeline of the merge request runs in this project, " +
			"or the owner of the token gets the role Developer in the fork's", p.postAsNote},
	}
}

// climb posts the status of a merge request from a fork on the first step that takes it. A state that is pending on a step ends there.
// The platform says where the fork is: what a webhook says of it would let its sender choose the project that is posted to.
func (p *Platform) climb(ctx context.Context, status core.Status, number int64) (platforms.Posted, error) {
	request := &mergeRequest{int(number), sync.OnceValues(func() (*gogitlab.MergeRequest, error) {
		read, answer, err := p.api.MergeRequests.GetMergeRequest(projectID(status), int(number), nil, gogitlab.WithContext(ctx))
		if err = platforms.Readable(p.classify(answer, err), err); err != nil {
			return nil, fmt.Errorf("reading merge request %d: %w", number, err)
		}
		return read, nil
	})}
	var err error
	steps := p.ladder()
	for n, step := range steps {
		if status.PostedState == core.StatusPending && step.pin != "" && step.pinOf(status) != "" {
			steps = steps[n:]
			break
		}
	}
	for _, step := range steps {
		var posted platforms.Posted
		at := status
		at.PipelinePin = step.pinOf(status)
		if posted, err = step.post(ctx, request, at); err == nil {
			posted.PipelinePin, posted.ShownIn = step.pin+posted.PipelinePin, cmp.Or(posted.ShownIn, step.text)
			return posted, nil
		}
		if !errors.Is(err, errNoPlace) && !errors.As(err, new(*platforms.Denied)) && !errors.Is(err, platforms.ErrUnknownCommit) {
			break
		}
	}
	return platforms.Posted{}, err
}

// postToRequest posts to the newest pipeline of the merge request that runs in the project.
func (p *Platform) postToRequest(ctx context.Context, _ *mergeRequest, status core.Status) (platforms.Posted, error) {
	pin, known := pinned(status)
	if !known {
		var err error
		if pin, err = p.newestMergePipeline(ctx, status); err != nil {
			return platforms.Posted{}, err
		}
	}
	if pin == 0 {
		return platforms.Posted{}, errNoPlace
	}
	return p.send(ctx, status, pin)
}

// postToFork posts to the project that the merge request comes from.
func (p *Platform) postToFork(ctx context.Context, of *mergeRequest, status core.Status) (platforms.Posted, error) {
	request, err := of.read()
	if err != nil {
		return platforms.Posted{}, err
	}
	if request.SourceProjectID <= 0 || request.SourceProjectID == request.TargetProjectID {
		return platforms.Posted{}, errNoPlace
	}
	status.ProjectRef, status.Branch, status.MergePipeline = strconv.Itoa(request.SourceProjectID), request.SourceBranch, 0
	return p.post(ctx, status)
}

// mostChecks is more than a project has.
const mostChecks = 100

// postAsCheck answers the external status check that has the name of the status. GitLab Ultimate has such checks.
func (p *Platform) postAsCheck(ctx context.Context, of *mergeRequest, status core.Status) (platforms.Posted, error) {
	checks, answer, err := p.api.ExternalStatusChecks.ListMergeStatusChecks(projectID(status), of.number,
		&gogitlab.ListOptions{PerPage: mostChecks}, gogitlab.WithContext(ctx))
	if err = p.classify(answer, err); err != nil {
		return platforms.Posted{}, err
	}
	for _, check := range checks {
		if check.Name == status.Context {
			return p.answerCheck(ctx, of, check.ID, status)
		}
	}
	return platforms.Posted{}, errNoPlace
}

// answerCheck says nothing of a commit that is not the head any more, which GitLab refuses as a conflict. Before 16.5, it did not know of
// pending checks: one that is not answered yet waits all the same.
func (p *Platform) answerCheck(ctx context.Context, of *mergeRequest, check int, status core.Status) (platforms.Posted, error) {
	options := &gogitlab.SetExternalStatusCheckStatusOptions{
		SHA: &status.CommitSHA, ExternalStatusCheckID: &check, Status: gogitlab.Ptr(checkState(status.State)),
	}
	answer, err := p.api.ExternalStatusChecks.SetExternalStatusCheckStatus(projectID(status), of.number, options, gogitlab.WithContext(ctx))
	err = p.classify(answer, err)
	switch code := platforms.CodeOf(err); {
	case code == http.StatusConflict:
		return platforms.Posted{Code: code, ShownIn: movedOn}, nil
	case errors.Is(err, platforms.ErrRefused) && status.State == core.StatusPending:
		return platforms.Posted{PipelinePin: strconv.Itoa(check), Code: code}, nil
	case err != nil:
		return platforms.Posted{}, err
	}
	return platforms.Posted{PipelinePin: strconv.Itoa(check), Code: answer.StatusCode}, nil
}

func checkState(state core.StatusState) string {
	switch state {
	case core.StatusPending:
		return "pending"
	case core.StatusSuccess:
		return "passed"
	default:
		return "failed"
	}
}

// postAsNote writes one note on the merge request, and changes that later. None is written while the scan is in progress, nor where the
// request has a comment that is kept up to date.
func (p *Platform) postAsNote(ctx context.Context, of *mergeRequest, status core.Status) (platforms.Posted, error) {
	pin := status.PipelinePin
	if status.State == core.StatusPending || status.Commented && pin == "" {
		return platforms.Posted{PipelinePin: pin}, nil
	}
	request, err := of.read()
	if err != nil {
		return platforms.Posted{}, err
	}
	if request.SHA != status.CommitSHA {
		return platforms.Posted{PipelinePin: pin, ShownIn: movedOn}, nil
	}
	code, err := p.changeNote(ctx, of, status)
	switch {
	case err == nil:
		return platforms.Posted{PipelinePin: pin, Code: code}, nil
	case !errors.Is(err, errNoPlace):
		return platforms.Posted{}, err
	case status.Commented:
		return platforms.Posted{}, nil
	}
	return p.writeNote(ctx, of, status)
}

// changeNote has the note that was written before say the status. errNoPlace where there is none, or somebody has deleted it.
func (p *Platform) changeNote(ctx context.Context, of *mergeRequest, status core.Status) (code int, err error) {
	id, err := strconv.Atoi(status.PipelinePin)
	if err != nil {
		return 0, errNoPlace
	}
	_, answer, err := p.api.Notes.UpdateMergeRequestNote(projectID(status), of.number, id,
		&gogitlab.UpdateMergeRequestNoteOptions{Body: gogitlab.Ptr(noteOf(status))}, gogitlab.WithContext(ctx))
	switch err = p.classify(answer, err); {
	case errors.Is(err, platforms.ErrUnknownCommit):
		return 0, errNoPlace
	case err != nil:
		return 0, err
	}
	return answer.StatusCode, nil
}

// writeNote has no pin where the answer cannot be read: a second attempt would write a second note.
func (p *Platform) writeNote(ctx context.Context, of *mergeRequest, status core.Status) (platforms.Posted, error) {
	note, answer, err := p.api.Notes.CreateMergeRequestNote(projectID(status), of.number,
		&gogitlab.CreateMergeRequestNoteOptions{Body: gogitlab.Ptr(noteOf(status))}, gogitlab.WithContext(ctx))
	if err = p.classify(answer, err); err != nil {
		return platforms.Posted{}, err
	}
	posted := platforms.Posted{Code: answer.StatusCode}
	if note != nil {
		posted.PipelinePin = pinOf(note.ID)
	}
	return posted, nil
}

// noteOf is one line of Markdown. Texts from outside are code, in which nobody is mentioned and nothing is commanded.
func noteOf(status core.Status) string {
	code := func(text string) string { return "`" + strings.ReplaceAll(core.Line(text), "`", "'") + "`" }
	text := fmt.Sprintf("%s for %s: **%s**, %s", code(status.Context), core.ShortSHA(status.CommitSHA), status.State, code(status.Description))
	if target := platforms.WebAddress(platforms.Text(status.TargetURL), ""); target != "" {
		text += " ([details](<" + target + ">))"
	}
	return text
}
