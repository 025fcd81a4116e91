package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

const deliveriesPerPage = 50

// deliveriesPage is the log of webhook calls, the newest first.
type deliveriesPage struct {
	Filter     store.DeliveryFilter
	Filtered   bool
	Deliveries []core.KeptDelivery
	Older      string // query of the next page, or empty
	Platforms  []string
	Outcomes   []core.Outcome
}

// deliveryLines are deliveries with the page that lists them.
type deliveryLines struct {
	Page       view
	Deliveries []core.KeptDelivery
}

func (w *Web) deliveries(c *gin.Context) error {
	filter := store.DeliveryFilter{
		Platform: c.Query("platform"), Project: c.Query("project"), Outcome: core.Outcome(c.Query("outcome")),
		Limit: deliveriesPerPage + 1,
	}
	filter.Before, _ = strconv.ParseInt(c.Query("before"), 10, 64)
	list, err := w.Store.ListDeliveries(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	page := deliveriesPage{
		Filter: filter, Platforms: w.platformNames(filter.Platform),
		Outcomes: []core.Outcome{core.ScanCreated, core.ScanExists, core.PipelineRecorded, core.OutcomeIgnored},
	}
	query := url.Values{}
	for name, value := range map[string]string{
		"platform": filter.Platform, "project": filter.Project, "outcome": string(filter.Outcome),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	page.Filtered = len(query) > 0
	if len(list) > deliveriesPerPage {
		list = list[:deliveriesPerPage]
		query.Set("before", strconv.FormatInt(list[deliveriesPerPage-1].ID, 10))
		page.Older = "?" + query.Encode()
	}
	page.Deliveries = list
	return w.render(c, http.StatusOK, "deliveries", "Deliveries", page)
}

// explainPage is what happened to a commit, scan by scan.
type explainPage struct {
	SHA     string
	Stories []story
}

type story struct {
	Scan   core.Scan
	Banner banner
	Steps  []core.Step
}

func (w *Web) explain(c *gin.Context) error {
	facts, err := w.Store.ExplainCommit(c.Request.Context(), c.Param("sha"))
	if err != nil {
		return err
	}
	page := explainPage{SHA: facts[0].Scan.CommitSHA}
	for _, f := range facts {
		page.Stories = append(page.Stories, story{f.Scan, bannerOf(f.Scan, counts{}), f.Story()})
	}
	return w.render(c, http.StatusOK, "explain", "What happened to "+core.ShortSHA(page.SHA), page)
}

// jump leads from the form that asks for a commit to its page.
func (w *Web) jump(c *gin.Context) error {
	c.Redirect(http.StatusSeeOther, w.base+"/explain/"+url.PathEscape(c.Query("sha")))
	return nil
}
