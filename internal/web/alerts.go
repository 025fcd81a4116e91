package web

import (
	"cmp"
	"context"
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

// alertPage is one alert.
type alertPage struct {
	store.AlertStory
	Name, Heading string
	Came          string       // link to the commit that brought it, or empty
	Request       int64        // the request that brought it, or 0
	Heads         []alertPlace // where it is now
	Decided       *core.Triage // what the prevailing decision says; nil where nobody has decided
	Secret        bool         // it is one that leaked

	// Its newest finding at a head, as its card shows it, and the scan that the card speaks of; Card is nil where no head has it.
	Card     *findingView
	Scan     core.Scan
	Banner   banner
	Statuses []statusLine
	Done     done
}

// alertPlace is where an alert is at a head.
type alertPlace struct {
	store.AlertHead
	Link string // to the line on the platform, or empty
}

// ShowAlert shows one alert with its history.
func (w *Web) ShowAlert(c *gin.Context) error {
	platform, project, number, err := alertIn(c)
	if err != nil {
		return err
	}
	story, err := w.Store.GetAlert(c.Request.Context(), platform, project, number)
	if err != nil {
		return err
	}
	if !core.SameProject(story.Project.Name, project) {
		return w.redirect(c, text.AlertAddress(platform, story.Project.Name, number), nil)
	}
	page := alertPage{
		AlertStory: story, Name: alerts.Name(story.Project.Name, story.Number), Heading: text.FirstLine(cmp.Or(story.Title, story.RuleID)),
		Done: newDone(c),
	}
	if story.Decision != nil {
		page.Decided = &story.Decision.Decision
	}
	if story.First != nil {
		page.Came = w.Platforms.commitLink(*story.First, story.First.CommitSHA)
		page.Request, _ = core.RequestOf(story.First.Ref)
	}
	if err := w.showCard(c.Request.Context(), &page); err != nil {
		return err
	}
	for _, head := range story.Heads {
		page.Heads = append(page.Heads, alertPlace{head, w.placeLink(page.Scan, head)})
	}
	return w.Render(c, http.StatusOK, "alert", text.Visible(page.Name+" "+page.Heading), page)
}

// alertIn is the alert that an address names.
func alertIn(c *gin.Context) (platform, project string, number int, err error) {
	project, last := path.Split(strings.Trim(c.Param("alert"), "/"))
	n, err := strconv.ParseInt(last, 10, 32)
	if err != nil {
		return "", "", 0, fmt.Errorf("%w: the address of an alert ends with its number", core.ErrNotFound)
	}
	return c.Param("platform"), strings.TrimSuffix(project, "/"), int(n), nil
}

// showCard fills in the alert's newest finding.
func (w *Web) showCard(ctx context.Context, page *alertPage) error {
	if page.Finding == 0 {
		return nil
	}
	found, err := w.Store.GetFinding(ctx, page.Finding)
	if errors.Is(err, core.ErrNotFound) { // a newer report has just replaced it
		return nil
	} else if err != nil {
		return err
	}
	statuses, err := w.Store.ListStatuses(ctx, found.Scan)
	if err != nil {
		return err
	}
	baseline, err := w.Store.BaselineCommit(ctx, found.Scan)
	if err != nil {
		return err
	}
	cards, err := w.viewFindings(ctx, found.Scan, baseline, []core.Finding{found.Finding})
	if err != nil {
		return err
	}
	page.Card, page.Scan, page.Banner, page.Statuses = &cards[0], found.Scan, bannerOf(found.Scan), w.statusLines(statuses)
	page.Secret = found.Finding.SecretHash != ""
	return nil
}

// placeLink leads to the line of an alert in the commit of a head. scan tells how the platform's addresses look.
func (w *Web) placeLink(scan core.Scan, head store.AlertHead) string {
	if head.Commit == nil || head.File == nil || head.Line == nil {
		return ""
	}
	return w.Platforms.lineLink(scan, *head.Commit, core.Finding{File: *head.File, Line: *head.Line})
}

// CommentAlert adds a comment to an alert.
func (w *Web) CommentAlert(c *gin.Context) error {
	platform, project, number, err := alertIn(c)
	if err != nil {
		return err
	}
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	story, err := w.Store.GetAlert(c.Request.Context(), platform, project, number)
	if err == nil {
		err = w.Store.CommentAlert(c.Request.Context(), story, who.Name, commentOf(c))
	}
	if err != nil {
		return err
	}
	c.Redirect(http.StatusSeeOther, w.Base.Path(text.AlertAddress(platform, story.Project.Name, number))+"#history")
	return nil
}
