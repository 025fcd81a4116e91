package web

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/timeline"
)

// explainPage is what happened to a commit, scan by scan.
type explainPage struct {
	SHA       string
	Timelines []scanTimeline
}

// scanTimeline is what happened to one scan of the commit, in order.
type scanTimeline struct {
	Scan   core.Scan
	Banner banner
	Events []timeline.Event
}

// ShowTimeline shows what happened to a commit, in order.
func (w *Web) ShowTimeline(c *gin.Context) error {
	facts, err := w.Store.ExplainCommit(c.Request.Context(), c.Param("sha"))
	if err != nil {
		return err
	}
	page := explainPage{SHA: facts[0].Scan.CommitSHA}
	for _, f := range facts {
		w.hideSecrets(c, f.Deliveries)
		page.Timelines = append(page.Timelines, scanTimeline{f.Scan, bannerOf(f.Scan), f.Events()})
	}
	return w.Render(c, http.StatusOK, "explain", "What happened to "+core.ShortSHA(page.SHA), page)
}

// ToTimeline leads from the form that asks for a commit to its page.
func (w *Web) ToTimeline(c *gin.Context) error {
	c.Redirect(http.StatusSeeOther, w.Base.Path("/explain/"+url.PathEscape(c.Query("sha"))))
	return nil
}
