package workbench

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core/alerts"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/internal/web/text"
	"github.com/scanhook/scanhook/store/decisions"
)

// approvalsPage are the dismissals that wait for a second person.
type approvalsPage struct {
	Lines []waiting
	Older string // query of the next page, or empty
}

// waiting is a dismissal in the list.
type waiting struct {
	decisions.Waiting
	Name    string // shop#17
	Address string // of the alert's page, below the base
	Heading string
	Mine    bool // the visitor proposed it
}

// ShowApprovals lists the dismissals that wait for a second person, the newest first.
func (p *Pages) ShowApprovals(c *gin.Context) error {
	who, err := p.Layout.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	before, _ := strconv.ParseInt(c.Query("before"), 10, 64)
	list, err := p.Store.ListProposals(c.Request.Context(), before, perPage+1)
	if err != nil {
		return err
	}
	var page approvalsPage
	shown, older := layout.Forward(list, perPage, func(last decisions.Waiting) string {
		return layout.Beside(nil, "before", last.ID)
	})
	page.Older = older
	for _, w := range shown {
		page.Lines = append(page.Lines, waiting{
			Waiting: w, Name: alerts.Name(w.Project, w.Number), Address: text.AlertAddress(w.Platform, w.Project, w.Number),
			Heading: text.FirstLine(cmp.Or(w.Title, w.RuleID)), Mine: w.By(who.Name),
		})
	}
	return p.Layout.Render(c, http.StatusOK, "approvals", "Approvals", page)
}
