package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/api/paging"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
)

// RegisterAlerts describes the operations on alerts.
func (a *API) RegisterAlerts(api huma.API) {
	list := operation(access.Read, http.MethodGet, "/alerts", "list-alerts",
		"Alerts of all projects or of one: those that are open on default branches, or others")
	register(a, api, list, a.listAlerts)

	facets := operation(access.Read, http.MethodGet, "/alert-facets", "count-alerts",
		"How many alerts a filter selects, by severity, tool, rule, project, age, directory, author and likelihood")
	facets.Description = "Of each facet at most twelve values are named, those with most alerts. Those with more: true are lower bounds: 10,000 alerts are counted, 2,500 by their files and by words that many have, and the first 1,000 by author and EPSS."
	register(a, api, facets, a.countAlerts)

	read := operation(access.Read, http.MethodGet, "/alerts/{platform}/{project}/{number}", "get-alert",
		"One alert: where it is open, when it was seen, and who decided what")
	read.Description = "An alert is the same finding through all commits of a project; it outlives the scans that saw it. " +
		"The slashes of the project's path are written %2F."
	register(a, api, read, a.getAlert)

	comment := operation(access.Judge, http.MethodPost, "/alerts/{platform}/{project}/{number}/comments", "comment-alert",
		"A comment on an alert, without a decision: it is in the alert's history")
	comment.DefaultStatus = http.StatusCreated
	register(a, api, comment, a.commentAlert)

	decide := operation(access.Judge, http.MethodPost, "/alert-decisions", "decide-alerts",
		"A person's decision on several alerts, or on all that a filter selects")
	decide.Description = aboutReasons + " One call decides on at most 100 alerts, in one transaction. With a filter, next is where to go on: " +
		"call again with it and with the same batch until it is empty. A batch is withdrawn as one."
	decide.Errors = append(decide.Errors, http.StatusConflict)
	decide.DefaultStatus = http.StatusOK
	register(a, api, decide, a.decideAlerts)

	undo := operation(access.Judge, http.MethodDelete, "/alert-decisions/{batch}", "withdraw-batch",
		"Withdraws the decisions of a batch that still hold, at most 100 a call: call again until left is 0")
	undo.DefaultStatus = http.StatusOK
	register(a, api, undo, a.withdrawBatch)
}

// AlertFilter selects alerts.
type AlertFilter struct {
	Platform string `query:"platform" maxLength:"200" example:"github" doc:"with project; without both: all projects"`
	Project  string `query:"project" maxLength:"500" example:"acme/shop"`
	State    string `query:"state" enum:"open,branch,dismissed,fixed,all" default:"open" doc:"open: on the default branch, or anywhere where that is not known; branch: elsewhere only"`
	Severity string `query:"severity" enum:"Critical,High,Medium,Low"`
	Tool     string `query:"tool" maxLength:"2048"`
	Rule     string `query:"rule" maxLength:"2048"`
	Package  string `query:"package" maxLength:"200" doc:"that is vulnerable, as package of an alert has it" example:"pkg:npm/lodash"`
	Path     string `query:"path" maxLength:"2048" doc:"a file, or a directory that ends with a slash" example:"src/"`
	Reason   string `query:"reason" enum:"false_positive,accepted_risk,used_in_tests,wont_fix,revoked,suppressed" doc:"why it is dismissed; suppressed: by its scanner only"`
	Age      string `query:"age" enum:"day,week,month,quarter,older" doc:"since it was seen first: less than a day, to a week, to 30 days, to 90 days, more"`
	KEV      bool   `query:"kev" doc:"known to be exploited, by CISA's catalog"`
	EPSS     int    `query:"epss" enum:"10,50" doc:"the least probability of being exploited within 30 days, in percent"`
	Author   string `query:"author" maxLength:"200" doc:"name of the author of the commit that brought it"`
	Text     string `query:"q" maxLength:"200" doc:"words of title, file, rule, message, package, CVE or CWE, in any order; each may be the beginning of one"`
}

// filter is the filter as the catalog has it.
func (a *API) filter(ctx context.Context, act access.Act, in AlertFilter) (f catalog.Filter, err error) {
	f = catalog.Filter{
		Shelf: catalog.Shelf(in.State), Severity: core.Severity(in.Severity), Tool: in.Tool, Rule: in.Rule, Package: in.Package, Path: in.Path,
		Age: catalog.Age(in.Age), KEV: in.KEV, EPSS: in.EPSS, Author: in.Author, Text: in.Text, Reason: in.Reason,
	}
	if in.State == "all" {
		f.Shelf = ""
	}
	if (in.Platform == "") != (in.Project == "") {
		return f, fmt.Errorf("%w: platform and project name one project together; leave out both for all", core.ErrInvalid)
	}
	f.Projects, err = a.Store.InProject(ctx, act, in.Platform, in.Project)
	return f, err
}

type listAlertsInput struct {
	paging.Input
	AlertFilter
	Sort string `query:"sort" enum:"severity,newest,oldest" default:"newest"`
}

func (a *API) listAlerts(ctx context.Context, in *listAlertsInput) (*paging.Output[alertItem], error) {
	f, err := a.filter(ctx, access.Read, in.AlertFilter)
	if err != nil {
		return nil, err
	}
	var after string
	if err := paging.Decode(in.Cursor, &after); err != nil {
		return nil, err
	}
	page, err := a.Store.Catalog().List(ctx, f, catalog.Sort(in.Sort), after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &paging.Output[alertItem]{}
	out.Body.Items = views(page.Items, viewItem)
	if page.Next != "" {
		out.Body.Next = paging.Cursor(page.Next)
	}
	return out, nil
}

// alertItem is an alert in a list.
type alertItem struct {
	ID       int64  `json:"id" doc:"for decisions on several alerts"`
	Platform string `json:"source_platform"`
	Project  string `json:"project_name"`
	alertView
	CVEID string   `json:"cve_id"`
	EPSS  *float64 `json:"epss" doc:"probability of being exploited within 30 days; null where unknown"`
	KEV   bool     `json:"kev"`
}

func viewItem(item catalog.Item) alertItem {
	return alertItem{item.ID, item.Platform, item.Project, viewAlert(item.Project, item.Alert), item.CVEID, present(item.EPSS), item.KEV}
}

type countAlertsInput struct{ AlertFilter }

// countView is a number of alerts.
type countView struct {
	N    int  `json:"n"`
	More bool `json:"more" doc:"there are more than n"`
}

// facetView is a value of a facet.
type facetView struct {
	Name     string `json:"name"`
	Platform string `json:"source_platform,omitempty" doc:"of a project"`
	countView
}

type facetsOutput struct {
	Body struct {
		Total      countView   `json:"total"`
		KEV        countView   `json:"kev"`
		Severities []facetView `json:"severity"`
		Tools      []facetView `json:"tool"`
		Rules      []facetView `json:"rule"`
		Projects   []facetView `json:"project"`
		Reasons    []facetView `json:"reason" doc:"why they are dismissed, with the state dismissed"`
		Ages       []facetView `json:"age" doc:"empty where more than 10,000 alerts match"`
		Authors    []facetView `json:"author" doc:"of the commits that brought them"`
		Likely     []facetView `json:"epss" doc:"of the probability in percent that is named, or more"`
		Paths      []facetView `json:"path" doc:"of one project; directories end with a slash"`
	}
}

func (a *API) countAlerts(ctx context.Context, in *countAlertsInput) (*facetsOutput, error) {
	f, err := a.filter(ctx, access.Read, in.AlertFilter)
	if err != nil {
		return nil, err
	}
	facets, err := a.Store.Catalog().Facets(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &facetsOutput{}
	out.Body.Total, out.Body.KEV = countView(facets.Total), countView(facets.KEV)
	for values, into := range map[*[]catalog.Value]*[]facetView{
		&facets.Severities: &out.Body.Severities, &facets.Tools: &out.Body.Tools, &facets.Rules: &out.Body.Rules,
		&facets.Projects: &out.Body.Projects, &facets.Ages: &out.Body.Ages, &facets.Reasons: &out.Body.Reasons,
		&facets.Authors: &out.Body.Authors, &facets.Likely: &out.Body.Likely, &facets.Paths: &out.Body.Paths,
	} {
		*into = views(*values, func(v catalog.Value) facetView { return facetView{v.Name, v.Platform, countView(v.Count)} })
	}
	return out, nil
}

type decideAlertsInput struct {
	AlertFilter
	Body struct {
		Dismissing
		Alerts   []int64 `json:"alerts,omitempty" maxItems:"100" doc:"ids as the list has them; without, the filter of the query selects"`
		Verdict  string  `json:"user_verdict" enum:"TP,FP" doc:"true or false positive"`
		Comments string  `json:"comments,omitempty" maxLength:"10240"`
		Batch    string  `json:"batch,omitempty" maxLength:"100" doc:"of your call before, to go on with the same filter; 409 for somebody else's"`
		Next     string  `json:"next,omitempty" maxLength:"100" doc:"of the call before"`
	}
}

type batchOutput struct {
	Body struct {
		Batch   string `json:"batch" doc:"for going on, and for withdrawing all"`
		Done    int    `json:"done" doc:"of this call"`
		Waiting int    `json:"waiting" doc:"how many of these wait for a second person, see list-proposals"`
		Next    string `json:"next" doc:"where the next call goes on; empty at the end"`
		Left    int    `json:"left" doc:"how many a filter selects besides, counted to 10,000"`
	}
}

func (a *API) decideAlerts(ctx context.Context, in *decideAlertsInput) (*batchOutput, error) {
	batch := store.Batch{
		Key: cmp.Or(in.Body.Batch, rand.Text()), Alerts: in.Body.Alerts, Verdict: core.Triage(in.Body.Verdict), Comment: in.Body.Comments,
		Author: author(ctx), Dismissal: in.Body.dismissal(),
	}
	var part catalog.Batch
	if batch.Alerts == nil {
		f, err := a.filter(ctx, access.Judge, in.AlertFilter)
		if err == nil {
			err = a.Store.Catalog().Admit(ctx, f, batch.On(0).Update())
		}
		if err == nil {
			part, err = a.Store.Catalog().Batch(ctx, f, in.Body.Next, store.MaxBatch)
		}
		if err != nil {
			return nil, err
		}
		batch.Alerts = part.Alerts
	}
	decided, err := a.Store.DecideAlerts(ctx, batch)
	out := &batchOutput{}
	out.Body.Batch, out.Body.Done, out.Body.Next, out.Body.Left = batch.Key, decided.Done, part.Next, part.Left
	out.Body.Waiting = decided.Waiting
	return out, err
}

type withdrawBatchInput struct {
	Batch string `path:"batch" maxLength:"100"`
}

func (a *API) withdrawBatch(ctx context.Context, in *withdrawBatchInput) (*batchOutput, error) {
	withdrawn, left, err := a.Store.WithdrawBatch(ctx, in.Batch, author(ctx))
	out := &batchOutput{}
	out.Body.Batch, out.Body.Done, out.Body.Left = in.Batch, withdrawn, left
	return out, err
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
	Package   string     `json:"package" doc:"that is vulnerable, a package URL where the report has that; or empty"`
	Author    string     `json:"author" doc:"of the commit that brought it; empty where unknown"`
	FirstSeen time.Time  `json:"first_seen"`
	LastSeen  *time.Time `json:"last_seen" doc:"before it ended on a branch; where it is open, when it was scanned last (null in lists if it never ended)"`
}

func viewAlert(project string, alert alerts.Alert) alertView {
	return alertView{
		Number: alert.Number, Name: alerts.Name(project, alert.Number), State: string(alert.State), Tool: alert.Tool,
		RuleID: alert.RuleID, Severity: string(alert.Severity), Title: alert.Title, File: alert.File, Line: alert.Line,
		Package: alert.Package, Author: alert.Author, FirstSeen: alert.FirstSeen, LastSeen: alert.LastSeen,
	}
}

// AlertPath is part of the input of every operation on one alert.
type AlertPath struct {
	ProjectPath
	Number int `path:"number" minimum:"1" maximum:"2147483647"`
}

type alertOutput struct{ Body alertDetail }

type commentAlertInput struct {
	AlertPath
	Body struct {
		Comments string `json:"comments" minLength:"1" maxLength:"10240"`
	}
}

func (a *API) commentAlert(ctx context.Context, in *commentAlertInput) (*alertOutput, error) {
	story, err := a.Store.GetAlert(ctx, in.Platform, in.Project, in.Number)
	if err == nil {
		err = a.Store.CommentAlert(ctx, story, author(ctx), in.Body.Comments)
	}
	if err != nil {
		return nil, err
	}
	return a.getAlert(ctx, &in.AlertPath)
}

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
	Proposal  *proposalView `json:"proposal" doc:"a dismissal that waits for a second person; null for none"`
	History   []eventView   `json:"history" doc:"who said what, the oldest first, at most 500"`
}

// headView is a branch or request where an alert is open.
type headView struct {
	Ref    string    `json:"ref" example:"refs/heads/main"`
	Scan   *string   `json:"scan" doc:"reference_id of the last completed scan; null if it was removed"`
	SeenAt time.Time `json:"seen_at"`
}

func (a *API) getAlert(ctx context.Context, in *AlertPath) (*alertOutput, error) {
	story, err := a.Store.GetAlert(ctx, in.Platform, in.Project, in.Number)
	if err != nil {
		return nil, err
	}
	project := story.Project.Name
	out := alertDetail{
		alertView: viewAlert(project, story.Alert), Platform: story.Project.Platform, Project: project,
		FirstScan: firstScan(story), LastScan: present(story.LastScan), Finding: present(story.Finding),
		OpenAt:  views(story.Heads, func(h store.AlertHead) headView { return headView{h.Ref, h.Scan, h.SeenAt} }),
		History: []eventView{},
	}
	if by := story.Decision; by != nil {
		out.Decision, out.DecidedBy = text(&by.Decision), viewDecision(*by)
	}
	if story.Waiting != nil {
		proposal := viewProposal(*story.Waiting)
		out.Proposal = &proposal
	}
	for _, event := range story.Events {
		out.History = append(out.History, viewEvent(event))
	}
	return &alertOutput{out}, nil
}

func firstScan(story store.AlertStory) *string {
	if story.First == nil {
		return nil
	}
	return &story.First.ReferenceID
}
