package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/liveness"
	"github.com/scanhook/scanhook/store"
)

const (
	trendLength   = 40
	metricsLength = 60
	recentLength  = 5
)

// projectPage shows that everything flows in one project.
type projectPage struct {
	Platform, Project string
	Link              string // to the project on its platform, or empty
	Match             string // of the entry of repositories that it falls under, empty where none matches
	Rule              Rule
	Branch            string // default branch, or empty
	Scans             []scanLine
	Deliveries        []core.KeptDelivery
	Troubles          []core.Trouble
	Hook              *liveness.Health  // nil where nothing is known
	Failing           []store.HookPlace // webhooks to mend that the project's calls come by
	Trend             *chart
	TrendPoints       []store.TrendPoint
	Pipelines         []pipeline
}

// pipeline is the runs of one pipeline of the default branch, or of others.
type pipeline struct {
	Name   string
	Charts []*chart
	Runs   []store.Metric // the newest first
}

func (w *Web) project(c *gin.Context) error {
	ctx := c.Request.Context()
	page := projectPage{Platform: c.Param("platform")}
	var err error
	if page.Project, err = w.Store.ProjectName(ctx, page.Platform, strings.Trim(c.Param("project"), "/")); err != nil {
		return err
	}
	page.Match, page.Rule = w.ruleOf(page.Platform, page.Project)
	if err := w.fillActivity(ctx, &page); err != nil {
		return err
	}
	if len(page.Scans)+len(page.Deliveries) == 0 {
		return fmt.Errorf("%w: nothing has been heard of %s on %s yet", core.ErrNotFound, page.Project, page.Platform)
	}
	w.hideSecrets(c, page.Deliveries)
	if err := w.fillCharts(ctx, &page); err != nil {
		return err
	}
	return w.render(c, http.StatusOK, "project", visible(page.Project), page)
}

func (w *Web) fillActivity(ctx context.Context, page *projectPage) error {
	scans, err := w.Store.ListScans(ctx, store.ScanFilter{Platform: page.Platform, Project: page.Project, Limit: recentLength})
	if err != nil {
		return err
	}
	for _, scan := range scans {
		page.Scans = append(page.Scans, scanLine{scan, bannerOf(scan, counts{})})
		page.Link, page.Branch = w.repository(scan), scan.DefaultBranch
	}
	if page.Troubles, err = w.Store.ListTroubles(ctx, page.Platform, page.Project); err != nil {
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
	page.Failing = slices.DeleteFunc(failing, func(p store.HookPlace) bool {
		return p.SourcePlatform != page.Platform || !p.Covers(page.Project)
	})
	return err
}

func (w *Web) fillCharts(ctx context.Context, page *projectPage) error {
	trend, err := w.Store.ListTrend(ctx, page.Platform, page.Project, trendLength)
	if err != nil {
		return err
	}
	page.TrendPoints, page.Trend = trend, w.trendChart(trend)
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
		page.Pipelines[i].Charts = w.pipelineCharts(p.Runs)
	}
	return nil
}

// expected takes a person's word that an unusual run is the new level.
func (w *Web) expected(c *gin.Context) error {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return fmt.Errorf("%w: runs are known by numbers", core.ErrNotFound)
	}
	who, err := w.visitor(c)
	if err != nil {
		return err
	}
	if _, err := w.Store.PutExpected(c.Request.Context(), id, c.PostForm("expected") == "yes", who.Name); err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.local(c.PostForm("back")))
	return nil
}
