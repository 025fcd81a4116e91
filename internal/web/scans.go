package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/core/access"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/store"
)

const scansPerPage = 50

// scansPage lists scans, the newest first.
type scansPage struct {
	Filter    store.ScanFilter
	Filtered  bool
	Overview  *overview // on the first page of all scans
	Scans     []scanLine
	Pager     layout.Pager
	Platforms []string
}

// scanLine is a scan in the list.
type scanLine struct {
	core.Scan
	Banner banner
}

// ShowScans lists scans, the newest first.
func (w *Web) ShowScans(c *gin.Context) error {
	filter := filterOf(c)
	query := layout.Query(map[string]string{
		"platform": filter.Platform, "project": filter.Project, "branch": filter.Branch,
		"status": string(filter.Status), "verdict": string(filter.Verdict),
	})
	scans, links, err := layout.Page(layout.PositionOf(c), scansPerPage, query, func(scan core.Scan) int64 { return scan.ID },
		func(at layout.Position, limit int) ([]core.Scan, error) {
			filter.Before, filter.After, filter.Limit = at.Before, at.After, limit
			return w.Store.ListScans(c.Request.Context(), filter)
		})
	if err != nil {
		return err
	}
	page := scansPage{Filter: filter, Filtered: len(query) > 0, Pager: links, Platforms: w.Platforms.names(filter.Platform)}
	if page.Overview, err = w.overview(c, !page.Filtered && links.Newest == ""); err != nil {
		return err
	}
	for _, scan := range scans {
		page.Scans = append(page.Scans, scanLine{scan, bannerOf(scan)})
	}
	return w.Render(c, http.StatusOK, "scans", "Scans", page)
}

// filterOf reads the filter from the address; unknown values are ignored.
func filterOf(c *gin.Context) store.ScanFilter {
	filter := store.ScanFilter{
		Platform: c.Query("platform"), Project: c.Query("project"), Branch: c.Query("branch"),
	}
	switch status := core.ScanStatus(c.Query("status")); status {
	case core.ScanPending, core.ScanProcessing, core.ScanCompleted, core.ScanFailed:
		filter.Status = status
	}
	switch verdict := core.Verdict(c.Query("verdict")); verdict {
	case core.Pass, core.Fail:
		filter.Verdict = verdict
	}
	return filter
}

// overview is whether calls arrive, scans end and statuses are posted.
type overview struct {
	store.Overview
	Holds   []core.Hold // projects whose statuses are not posted
	Silent  silentHooks
	Failing []store.HookCheck // webhooks that need repair
}

// Unnamed is how many more projects are on hold.
func (o *overview) Unnamed() int { return o.NumHolds - len(o.Holds) }

// overview is for the first page of all scans, and visitors who may read of all projects; else it is nil.
func (w *Web) overview(c *gin.Context, first bool) (*overview, error) {
	who, err := w.Sessions.Visitor(c)
	if err != nil || !first || !who.Everywhere(access.Read) {
		return nil, err
	}
	var posting []string
	for name, platform := range w.Platforms {
		if platform.Posts {
			posting = append(posting, name)
		}
	}
	known, err := w.Store.GetOverview(c.Request.Context(), posting)
	if err != nil {
		return nil, err
	}
	failing, err := w.Store.ListFailingHooks(c.Request.Context())
	return &overview{Overview: known, Holds: known.Holds, Silent: w.silentHooks(c), Failing: failing}, err
}
