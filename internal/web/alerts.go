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
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store"
)

// alertAddress is the address of an alert's page, below the base.
func alertAddress(platform, project string, number int) string {
	return fmt.Sprintf("/alerts/%s/%s/%d", platform, project, number)
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
	page := alertPage{AlertStory: story, Name: alerts.Name(story.Project.Name, story.Number), Heading: firstLine(cmp.Or(story.Title, story.RuleID))}
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
