package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/internal/documents"
	"github.com/scanhook/scanhook/internal/web/chart"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
	"github.com/scanhook/scanhook/store/catalog"
)

const (
	trendLength   = 40
	daysLength    = 90
	metricsLength = 60
	recentLength  = 5
)

// projectPage is one project: its scans, trends, pipelines, webhook and configuration.
type projectPage struct {
	Platform, Project string
	Link              string // to the project on its platform, or empty
	Match             string // of the entry of repositories that it falls under, empty where none matches
	Rule              Rule
	Branch            string // default branch, or empty
	Scans             []scanLine
	Deliveries        []core.KeptDelivery
	Holds             []core.Hold       // reasons why statuses are not posted
	Hook              *liveness.Health  // nil where unknown
	Failing           []store.HookCheck // webhooks of this project that need repair
	Trend             *chart.Chart
	TrendPoints       []store.TrendPoint
	Days              *chart.Chart
	DayPoints         []alerts.Day
	Pipelines         []pipeline
}

// pipeline is the runs of one pipeline of the default branch, or of others.
type pipeline struct {
	Name   string
	Charts []*chart.Chart
	Runs   []store.Metric // the newest first
}

// ShowProject shows one project.
func (w *Web) ShowProject(c *gin.Context) error {
	ctx := c.Request.Context()
	page := projectPage{Platform: c.Param("platform")}
	var err error
	asked := strings.Trim(c.Param("project"), "/")
	if page.Project, err = w.Store.ProjectName(ctx, page.Platform, asked); err != nil {
		return err
	}
	if !core.SameProject(page.Project, asked) {
		return w.redirect(c, fmt.Sprintf("/projects/%s/%s", page.Platform, page.Project), nil)
	}
	page.Match, page.Rule = w.ruleOf(page.Platform, page.Project)
	if err := w.fillActivity(ctx, &page); err != nil {
		return err
	}
	if len(page.Scans)+len(page.Deliveries) == 0 {
		return fmt.Errorf("%w: no call or scan of %s on %s is known yet", core.ErrNotFound, page.Project, page.Platform)
	}
	w.hideSecrets(c, page.Deliveries)
	if err := w.fillCharts(ctx, &page); err != nil {
		return err
	}
	return w.Render(c, http.StatusOK, "project", text.Visible(page.Project), page)
}

// DeleteProject deletes a project with everything, once its name was typed. It leads to the audit, where that stands.
func (w *Web) DeleteProject(c *gin.Context) error {
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	platform := c.Param("platform")
	project, err := w.Store.FindProject(c.Request.Context(), platform, strings.Trim(c.Param("project"), "/"))
	if err == nil && !core.SameProject(strings.TrimSpace(c.PostForm("confirm")), project.Name) {
		err = fmt.Errorf("%w: nothing was deleted: what was typed is not the name of the project, %s; go back and type that", core.ErrInvalid, project.Name)
	}
	if err == nil {
		err = w.Store.RemoveProject(c.Request.Context(), platform, project.Name, who.Name)
	}
	if err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.Base.Path("/audit"))
	return nil
}

// DownloadAlerts answers with all alerts of a project.
func (w *Web) DownloadAlerts(c *gin.Context) error {
	for _, format := range documents.AlertFormats {
		if format.Name == c.DefaultQuery("format", "csv") {
			return answerWith(c)(w.maker().Alerts(c.Request.Context(), c.Param("platform"), strings.Trim(c.Param("project"), "/"), format))
		}
	}
	return fmt.Errorf("%w: there is no format %q of alerts", core.ErrNotFound, c.Query("format"))
}

// ruleOf finds the entry of the configuration that a repository falls under; match is empty where none does.
func (w *Web) ruleOf(platform, project string) (match string, rule Rule) {
	for i, entry := range w.Policies {
		if _, matches := (core.Policies{entry}).For(platform, project); !matches {
			continue
		}
		if w.Rules != nil {
			rule = w.Rules(i)
		}
		return entry.Match, rule
	}
	return "", Rule{}
}

func (w *Web) fillActivity(ctx context.Context, page *projectPage) error {
	scans, err := w.Store.ListScans(ctx, store.ScanFilter{Platform: page.Platform, Project: page.Project, Limit: recentLength})
	if err != nil {
		return err
	}
	for _, scan := range scans {
		page.Scans = append(page.Scans, scanLine{scan, bannerOf(scan)})
		page.Link, page.Branch = w.Platforms.repository(scan), scan.DefaultBranch
	}
	if page.Holds, err = w.Store.ListHolds(ctx, page.Platform, page.Project); err != nil {
		return err
	}
	page.Deliveries, err = w.Store.ListDeliveries(ctx, store.DeliveryFilter{
		Platform: page.Platform, Project: page.Project, Limit: recentLength,
	})
	if err != nil {
		return err
	}
	page.Hook = w.hookOf(page.Platform, page.Project, page.Deliveries)
	failing, err := w.Store.ListFailingHooks(ctx)
	page.Failing = slices.DeleteFunc(failing, func(p store.HookCheck) bool {
		return p.SourcePlatform != page.Platform || !p.Covers(page.Project)
	})
	return err
}

// hookOf is the health of a project's webhook; nil where unknown. Health is judged once a minute, so a call that came since
// then ends a silence here.
func (w *Web) hookOf(platform, project string, latest []core.KeptDelivery) *liveness.Health {
	if w.Hook == nil {
		return nil
	}
	hook, known := w.Hook(platform, project)
	if !known {
		return nil
	}
	called := slices.IndexFunc(latest, func(d core.KeptDelivery) bool { return d.Event != core.OriginReconcile })
	if called >= 0 && latest[called].ReceivedAt.After(hook.Last) {
		hook.Last, hook.Silent, hook.Missed = latest[called].ReceivedAt, false, false
	}
	return &hook
}

func (w *Web) fillCharts(ctx context.Context, page *projectPage) error {
	trend, err := w.Store.ListTrend(ctx, page.Platform, page.Project, trendLength)
	if err != nil {
		return err
	}
	page.TrendPoints, page.Trend = trend, chart.Trend(trend)
	if page.DayPoints, err = w.Store.ListDays(ctx, page.Platform, page.Project, daysLength); err != nil {
		return err
	}
	page.Days = chart.Days(page.DayPoints)
	runs, err := w.Store.ListMetrics(ctx, store.MetricFilter{Platform: page.Platform, Project: page.Project, Limit: metricsLength})
	if err != nil {
		return err
	}
	byName := map[string]int{}
	for _, run := range runs {
		at, known := byName[run.Name]
		if !known {
			at = len(page.Pipelines)
			byName[run.Name] = at
			page.Pipelines = append(page.Pipelines, pipeline{Name: run.Name})
		}
		page.Pipelines[at].Runs = append(page.Pipelines[at].Runs, run)
	}
	for i, p := range page.Pipelines {
		page.Pipelines[i].Charts = chart.Pipeline(p.Runs, func(reference string) string { return w.Base.Path("/scans/" + reference) })
	}
	return nil
}

// MarkExpected records a person's decision that an unusual run is the new normal.
func (w *Web) MarkExpected(c *gin.Context) error {
	id, err := idIn(c, "run")
	if err != nil {
		return err
	}
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	if _, err := w.Store.PutExpected(c.Request.Context(), id, c.PostForm("expected") == "yes", who.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.Base.Local(c.PostForm("back")))
	return nil
}

const projectsPerPage = 50

// projectsPage lists the projects with the latest scan of their default branches.
type projectsPage struct {
	Platform  string
	Failing   bool
	Filtered  bool
	Projects  []projectLine
	Pager     layout.Pager
	Platforms []string
	Open      []catalog.Value // alerts on default branches, by severity
	Silent    silentHooks
	Repair    []store.HookCheck // webhooks that need it
	Holds     []core.Hold       // projects whose statuses cannot be posted
}

// projectLine is a project in the list.
type projectLine struct {
	store.ProjectState
	catalog.Risk
	Banner banner
}

// Trend is how many more or fewer alerts are open than a week ago; empty where that was not counted.
func (l projectLine) Trend() string {
	if l.Before == nil {
		return ""
	}
	switch change := l.Open - *l.Before; {
	case change > 0:
		return "+" + text.Number(change)
	case change < 0:
		return "−" + text.Number(-change)
	}
	return "±0"
}

// ShowProjects lists the projects of all platforms.
func (w *Web) ShowProjects(c *gin.Context) error {
	filter := store.ProjectFilter{
		Platform: c.Query("platform"), Failing: c.Query("failing") == "yes", Limit: projectsPerPage + 1,
		AfterPlatform: c.Query("from"), AfterProject: c.Query("after"),
	}
	list, err := w.Store.ListProjects(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	query := layout.Query(map[string]string{"platform": filter.Platform})
	if filter.Failing {
		query.Set("failing", "yes")
	}
	page := projectsPage{
		Platform: filter.Platform, Failing: filter.Failing, Filtered: len(query) > 0,
		Platforms: w.Platforms.names(filter.Platform),
	}
	if filter.AfterPlatform != "" {
		page.Pager.First = "?" + query.Encode()
	}
	list, page.Pager.Next = layout.Forward(list, projectsPerPage, func(last store.ProjectState) string {
		return "?" + query.Encode() + "&" + url.Values{"from": {last.SourcePlatform}, "after": {last.ProjectName}}.Encode()
	})
	risks, err := w.fillOverview(c, &page, list)
	if err != nil {
		return err
	}
	for _, project := range list {
		line := projectLine{ProjectState: project, Risk: risks[project.ProjectID], Banner: banner{"pending", "…", "Waiting", "", ""}}
		if project.Head != nil {
			line.Banner = bannerOf(*project.Head)
		}
		if project.Unresolved > 0 && line.Banner.Kind == "pass" {
			line.Banner.Kind, line.Banner.Mark, line.Banner.Label = "fail", "✗", "Unresolved"
		}
		page.Projects = append(page.Projects, line)
	}
	return w.Render(c, http.StatusOK, "projects", "Projects", page)
}

// fillOverview adds what is open in all projects and what is broken, and returns the open risk of those that are listed.
func (w *Web) fillOverview(c *gin.Context, page *projectsPage, list []store.ProjectState) (map[int64]catalog.Risk, error) {
	ctx := c.Request.Context()
	shown, err := w.Store.InProject(ctx, access.Read, "", "")
	if err != nil {
		return nil, err
	}
	open, err := w.Store.Catalog().OpenOf(ctx, shown)
	if err != nil {
		return nil, err
	}
	page.Open, page.Silent = open, w.silentHooks(c)
	if page.Repair, err = w.failingHooks(c); err != nil {
		return nil, err
	}
	if page.Holds, err = w.Store.ListHolds(ctx, "", ""); err != nil {
		return nil, err
	}
	page.Holds = slices.DeleteFunc(page.Holds, func(hold core.Hold) bool { // of those that are listed, which the visitor may see
		return !slices.ContainsFunc(list, func(p store.ProjectState) bool { return p.ProjectID == hold.ProjectID })
	})
	ids := make([]int64, len(list))
	for i, project := range list {
		ids[i] = project.ProjectID
	}
	return w.Store.Catalog().Risks(ctx, ids)
}
