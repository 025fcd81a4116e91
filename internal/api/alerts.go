package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/internal/httpx"
	"github.com/scanhook/scanhook/store"
)

// RegisterAlerts describes the operations on alerts.
func (a *API) RegisterAlerts(api huma.API) {
	list := operation(httpx.Viewer, http.MethodGet, "/alerts", "list-alerts",
		"Alerts of a project, the newest first: those that are open on its default branch, or others")
	register(a, api, list, a.listAlerts)

	read := operation(httpx.Viewer, http.MethodGet, "/alerts/{platform}/{project}/{number}", "get-alert",
		"One alert: where it is open, when it was seen, and who decided what")
	read.Description = "An alert is the same finding through all commits of a project; it outlives the scans that saw it. " +
		"The slashes of the project's path are written %2F."
	register(a, api, read, a.getAlert)
}

type listAlertsInput struct {
	paging.Input
	Platform string `query:"platform" required:"true" maxLength:"200" example:"github"`
	Project  string `query:"project" required:"true" maxLength:"500" example:"acme/shop"`
	State    string `query:"state" enum:"open,dismissed,fixed,all" default:"open" doc:"open: on the default branch, where that is known"`
}

func (a *API) listAlerts(ctx context.Context, in *listAlertsInput) (*paging.Output[alertView], error) {
	state := alerts.State(in.State)
	if in.State == "all" {
		state = ""
	}
	name, err := a.Store.ProjectName(ctx, in.Platform, in.Project)
	if err != nil {
		return nil, err
	}
	return paging.List(in.Input, func(before int32, limit int) ([]alerts.Alert, error) {
		return a.Store.ListAlerts(ctx, store.AlertFilter{
			Platform: in.Platform, Project: in.Project, State: state, Before: before, Limit: limit,
		})
	}, func(alert alerts.Alert) alertView { return viewAlert(name, alert) }, func(alert alerts.Alert) int32 { return int32(alert.Number) })
}

// alertView is an alert as the API shows it; its fields have the names of the columns.
type alertView struct {
	Number    int        `json:"number" doc:"within the project"`
	Name      string     `json:"name" example:"shop#17"`
	State     string     `json:"state" enum:"open,dismissed,fixed"`
	Tool      string     `json:"tool"`
	RuleID    string     `json:"rule_id"`
	Severity  string     `json:"severity" enum:"Critical,High,Medium,Low"`
	Title     string     `json:"title"`
	File      string     `json:"file" doc:"where it was seen last"`
	Line      int        `json:"line" doc:"1-based; 0 where unknown"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  *time.Time `json:"last_seen" doc:"before it ended on a branch; where it is open, when it was scanned last (null in lists if it never ended)"`
}

func viewAlert(project string, alert alerts.Alert) alertView {
	return alertView{
		Number: alert.Number, Name: alerts.Name(project, alert.Number), State: string(alert.State), Tool: alert.Tool,
		RuleID: alert.RuleID, Severity: string(alert.Severity), Title: alert.Title, File: alert.File, Line: alert.Line,
		FirstSeen: alert.FirstSeen, LastSeen: alert.LastSeen,
	}
}

type getAlertInput struct {
	ProjectPath
	Number int `path:"number" minimum:"1" maximum:"2147483647"`
}

type alertOutput struct{ Body alertDetail }

// alertDetail is an alert with its history.
type alertDetail struct {
	alertView
	Platform  string        `json:"source_platform"`
	Project   string        `json:"project_name"`
	FirstScan *string       `json:"first_scan" doc:"reference_id of the scan that saw it first; null if that was removed"`
	LastScan  *string       `json:"last_scan" doc:"reference_id of one of the last that saw it; null if that was removed"`
	Finding   *int64        `json:"finding" doc:"id of its newest finding at the head of a branch or request; null where none has it"`
	OpenAt    []headView    `json:"open_at" doc:"branches and requests, at most 100"`
	Decision  *string       `json:"triage_decision" enum:"TP,FP"`
	DecidedBy *decisionView `json:"decided_by" doc:"null without a triage_decision"`
	History   []eventView   `json:"history" doc:"who said what, the oldest first, at most 500"`
}

// headView is a branch or request where an alert is open.
type headView struct {
	Ref    string    `json:"ref" example:"refs/heads/main"`
	Scan   *string   `json:"scan" doc:"reference_id of the last completed scan; null if it was removed"`
	SeenAt time.Time `json:"seen_at"`
}

func (a *API) getAlert(ctx context.Context, in *getAlertInput) (*alertOutput, error) {
	story, err := a.Store.GetAlert(ctx, in.Platform, in.Project, in.Number)
	if err != nil {
		return nil, err
	}
	project := story.Project.Name
	out := alertDetail{
		alertView: viewAlert(project, story.Alert), Platform: story.Project.Platform, Project: project,
		FirstScan: present(story.FirstScan), LastScan: present(story.LastScan), Finding: present(story.Finding),
		OpenAt:  views(story.Heads, func(h store.AlertHead) headView { return headView{h.Ref, h.Scan, h.SeenAt} }),
		History: []eventView{},
	}
	if by := story.Decision; by != nil {
		out.Decision, out.DecidedBy = text(&by.Decision), viewDecision(*by)
	}
	for _, event := range story.Events {
		out.History = append(out.History, viewEvent(event))
	}
	return &alertOutput{out}, nil
}

// present is nil for a value that is missing.
func present[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
