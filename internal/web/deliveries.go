package web

import (
	"net/http"
	"net/url"

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
	Pager      pager
	Silent     silentHooks
	Failing    []store.HookPlace // whose webhooks the platforms do not call, or that are not as they should be
	Platforms  []string
	Outcomes   []core.Outcome
	Evidence   evidence // empty for those who have not logged in
}

// deliveryLines are deliveries with the page that lists them.
type deliveryLines struct {
	Page       view
	Deliveries []core.KeptDelivery
}

func (w *Web) deliveries(c *gin.Context) error {
	filter := store.DeliveryFilter{
		Platform: c.Query("platform"), Project: c.Query("project"), Outcome: core.Outcome(c.Query("outcome")),
	}
	query := queryOf(map[string]string{
		"platform": filter.Platform, "project": filter.Project, "outcome": string(filter.Outcome),
	})
	list, links, err := turn(placeOf(c), deliveriesPerPage, query, func(d core.KeptDelivery) int64 { return d.ID },
		func(at place, limit int) ([]core.KeptDelivery, error) {
			filter.Before, filter.After, filter.Limit = at.before, at.after, limit
			return w.Store.ListDeliveries(c.Request.Context(), filter)
		})
	if err != nil {
		return err
	}
	failing, err := w.Store.ListFailingHooks(c.Request.Context())
	if err != nil {
		return err
	}
	page := deliveriesPage{
		Filter: filter, Filtered: len(query) > 0, Deliveries: list, Pager: links, Silent: w.silentHooks(), Failing: failing,
		Platforms: w.platformNames(filter.Platform), Outcomes: core.KeptOutcomes,
	}
	if who, err := w.visitor(c); err == nil && who.Known() {
		if page.Evidence, err = w.evidence(c.Request.Context()); err != nil {
			return err
		}
	}
	w.hideSecrets(c, page.Deliveries)
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
		w.hideSecrets(c, f.Deliveries)
		page.Stories = append(page.Stories, story{f.Scan, bannerOf(f.Scan, counts{}), f.Story()})
	}
	return w.render(c, http.StatusOK, "explain", "What happened to "+core.ShortSHA(page.SHA), page)
}

// jump leads from the form that asks for a commit to its page.
func (w *Web) jump(c *gin.Context) error {
	c.Redirect(http.StatusSeeOther, w.base+"/explain/"+url.PathEscape(c.Query("sha")))
	return nil
}
