package github

import (
	"context"
	"fmt"
	"net/http"

	gogithub "github.com/google/go-github/v62/github"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/platforms"
)

// Limits of GitHub's check runs. https://docs.github.com/rest/checks/runs
const (
	annotationsPerCall = 50
	maxCheckText       = 65_535 // bytes of a summary, and of a message
	maxCheckTitle      = 255
	maxCheckActions    = 3
)

// ShowsChecks tells whether an App is configured, because others may not make check runs.
func (p *Platform) ShowsChecks() bool { return p.app != nil }

// PostCheck creates the check run of a status, or updates the one that was posted before. GitHub adds the annotations of each call
// to those of the calls before, so they are sent with the run's first end only.
func (p *Platform) PostCheck(ctx context.Context, status core.Status, report platforms.CheckReport) (platforms.Posted, error) {
	posted, err := p.postCheck(ctx, status, report)
	if err != nil {
		p.Forget(status.ProjectName, err)
		return platforms.Posted{}, fmt.Errorf("posting check run of %s to %s: %w", status.ProjectName, p.Name, err)
	}
	return posted, nil
}

func (p *Platform) postCheck(ctx context.Context, status core.Status, report platforms.CheckReport) (posted platforms.Posted, err error) {
	if !core.IsCommitSHA(status.CommitSHA) {
		return posted, fmt.Errorf("%w: the check run names no commit", platforms.ErrRefused)
	}
	client, owner, name, err := p.Open(ctx, status.ProjectName)
	if err != nil {
		return posted, err
	}
	if status.ProjectRef == "" {
		ctx = platforms.WithoutRedirects(ctx)
	}
	c := checkRun{Platform: p, client: client, owner: owner, name: name, status: status, report: report}
	if status.State == core.StatusPending && status.PostedState != "" && status.PostedState != core.StatusPending {
		c.status.PostedID = 0 // the commit is scanned once more, which is a run of its own
	}
	annotations := annotationsOf(report)
	if status.State == core.StatusPending || c.status.PostedID != 0 && status.PostedState != core.StatusPending {
		annotations = nil
	}
	for {
		n := min(len(annotations), annotationsPerCall)
		if posted, err = c.send(ctx, annotations[:n]); err != nil || n == len(annotations) {
			return posted, err
		}
		annotations, c.status.PostedID = annotations[n:], posted.ID
	}
}

// checkRun is one that is being posted.
type checkRun struct {
	*Platform
	client      *gogithub.Client
	owner, name string
	status      core.Status
	report      platforms.CheckReport
}

// send creates the run, or updates it where it has an id.
func (c checkRun) send(ctx context.Context, annotations []*gogithub.CheckRunAnnotation) (platforms.Posted, error) {
	output := &gogithub.CheckRunOutput{
		Title:   gogithub.String(core.Clip(core.OnlyBMP(c.status.Description), maxCheckTitle)),
		Summary: gogithub.String(core.Clip(c.report.Summary, maxCheckText)), Annotations: annotations,
	}
	state, conclusion := stateOfCheck(c.status.State)
	var link *string
	if target := platforms.WebAddress(platforms.Text(c.status.TargetURL), ""); target != "" {
		link = &target
	}
	external := gogithub.String(fmt.Sprint(c.status.ScanID))
	var run *gogithub.CheckRun
	var answer *gogithub.Response
	var err error
	if c.status.PostedID == 0 {
		run, answer, err = c.client.Checks.CreateCheckRun(ctx, c.owner, c.name, gogithub.CreateCheckRunOptions{
			Name: c.status.Context, HeadSHA: c.status.CommitSHA, DetailsURL: link, ExternalID: external,
			Status: &state, Conclusion: conclusion, Output: output, Actions: actionsOf(c.report),
		})
	} else {
		run, answer, err = c.client.Checks.UpdateCheckRun(ctx, c.owner, c.name, c.status.PostedID, gogithub.UpdateCheckRunOptions{
			Name: c.status.Context, DetailsURL: link, ExternalID: external, Status: &state, Conclusion: conclusion, Output: output,
			Actions: actionsOf(c.report),
		})
	}
	err = c.Classify(answer, err)
	if c.status.PostedID != 0 && platforms.CodeOf(err) == http.StatusNotFound {
		c.status.PostedID = 0 // it is no check run of ours: an older Scanhook made a status of it
		return c.send(ctx, annotations)
	}
	if err != nil {
		return platforms.Posted{}, withoutHold(err)
	}
	return platforms.Posted{ID: run.GetID(), Code: answer.StatusCode}, nil
}

// checksAdvice is what an App needs for check runs.
const checksAdvice = "give the App the permission \"Checks: read and write\", and accept that for the installation"

// withoutHold makes a refusal of a permission one of the check run alone: commit statuses need another permission.
func withoutHold(err error) error {
	if !platforms.Forbidden(err) {
		return err
	}
	return &platforms.HTTPError{Code: platforms.CodeOf(err), Err: fmt.Errorf(
		"%w: the App may not make check runs: %s", platforms.ErrRefused, checksAdvice)}
}

func stateOfCheck(state core.StatusState) (status string, conclusion *string) {
	switch state {
	case core.StatusPending:
		return "in_progress", nil
	case core.StatusSuccess, core.StatusCancelled:
		return "completed", gogithub.String(string(state))
	}
	return "completed", gogithub.String("failure")
}

func actionsOf(report platforms.CheckReport) (list []*gogithub.CheckRunAction) {
	for _, button := range report.Buttons[:min(len(report.Buttons), maxCheckActions)] {
		list = append(list, &gogithub.CheckRunAction{Label: button.Label, Description: button.Description, Identifier: button.ID})
	}
	return list
}

func annotationsOf(report platforms.CheckReport) (list []*gogithub.CheckRunAnnotation) {
	for _, a := range report.Annotations {
		level := "warning"
		switch {
		case a.Severity == core.Critical || a.Severity == core.High:
			level = "failure"
		case a.Severity == core.Low:
			level = "notice"
		}
		line := max(1, a.Line)
		list = append(list, &gogithub.CheckRunAnnotation{
			Path: &a.File, StartLine: &line, EndLine: gogithub.Int(max(line, a.EndLine)), AnnotationLevel: &level,
			Title: gogithub.String(core.Clip(a.Title, maxCheckTitle)), Message: gogithub.String(core.Clip(a.Message, maxCheckText)),
		})
	}
	return list
}
