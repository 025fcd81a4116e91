package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
)

const alertsPerPage = 50

// alertsPage lists alerts of one project, the newest first.
type alertsPage struct {
	Platform, Project string
	State             alerts.State
	Alerts            []alertLine
	Pager             layout.Pager
}

// States are the lists, for the links to them.
func (alertsPage) States() []alerts.State {
	return []alerts.State{alerts.Open, alerts.Dismissed, alerts.Fixed}
}

// alertLine is an alert in a list.
type alertLine struct {
	alerts.Alert
	Name    string // shop#17
	Address string // of its page, below the base
	Heading string
}

func lineOf(platform, project string, alert alerts.Alert) alertLine {
	return alertLine{
		alert, alerts.Name(project, alert.Number), alertAddress(platform, project, alert.Number),
		firstLine(cmp.Or(alert.Title, alert.RuleID)),
	}
}

// alertAddress is the address of an alert's page, below the base.
func alertAddress(platform, project string, number int) string {
	return fmt.Sprintf("/alerts/%s/%s/%d", platform, project, number)
}

// ShowAlerts lists the alerts of a project.
func (w *Web) ShowAlerts(c *gin.Context) error {
	page := alertsPage{Platform: c.Query("platform"), Project: c.Query("project"), State: alerts.State(c.Query("state"))}
	if page.State == "" {
		page.State = alerts.Open
	}
	name, err := w.Store.ProjectName(c.Request.Context(), page.Platform, page.Project)
	if err != nil {
		return err
	}
	if !core.SameProject(name, page.Project) {
		return w.redirect(c, "/alerts", map[string]string{"platform": page.Platform, "project": name, "state": c.Query("state")})
	}
	before, _ := strconv.ParseInt(c.Query("before"), 10, 32)
	list, err := w.Store.ListAlerts(c.Request.Context(), store.AlertFilter{
		Platform: page.Platform, Project: page.Project, State: page.State, Before: int32(before), Limit: alertsPerPage + 1,
	})
	if err != nil {
		return err
	}
	query := layout.Query(map[string]string{"platform": page.Platform, "project": page.Project, "state": string(page.State)})
	if before > 0 {
		page.Pager.First = "?" + query.Encode()
	}
	list, page.Pager.Next = layout.Forward(list, alertsPerPage, func(last alerts.Alert) string {
		return layout.Beside(query, "before", int64(last.Number))
	})
	for _, alert := range list {
		page.Alerts = append(page.Alerts, lineOf(page.Platform, page.Project, alert))
	}
	return w.Render(c, http.StatusOK, "alerts", text.Visible("Alerts of "+page.Project), page)
}

// alertPage is one alert.
type alertPage struct {
	store.AlertStory
	Name, Heading string
	Decided       *core.Triage // what the prevailing decision says; nil where nobody has decided
	Past          *past        // where it is a finding in history; else nil
}

// ShowAlert shows one alert with its history.
func (w *Web) ShowAlert(c *gin.Context) error {
	platform := c.Param("platform")
	project, last := path.Split(strings.Trim(c.Param("alert"), "/"))
	number, err := strconv.ParseInt(last, 10, 32)
	if err != nil {
		return fmt.Errorf("%w: the address of an alert ends with its number", core.ErrNotFound)
	}
	project = strings.TrimSuffix(project, "/")
	story, err := w.Store.GetAlert(c.Request.Context(), platform, project, int(number))
	if err != nil {
		return err
	}
	if !core.SameProject(story.Project.Name, project) {
		return w.redirect(c, alertAddress(platform, story.Project.Name, int(number)), nil)
	}
	line := lineOf(platform, story.Project.Name, story.Alert)
	page := alertPage{AlertStory: story, Name: line.Name, Heading: line.Heading}
	if story.Decision != nil {
		page.Decided = &story.Decision.Decision
	}
	if story.Finding != 0 {
		found, err := w.Store.GetFinding(c.Request.Context(), story.Finding)
		if err != nil && !errors.Is(err, core.ErrNotFound) { // a newer report may just have replaced it
			return err
		}
		page.Past = w.Platforms.pastOf(found.Scan, found.Finding.Commit)
	}
	return w.Render(c, http.StatusOK, "alert", text.Visible(page.Name+" "+page.Heading), page)
}
