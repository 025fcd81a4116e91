package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

const scansPerPage = 50

// scansPage lists scans, the newest first.
type scansPage struct {
	Filter    store.ScanFilter
	Filtered  bool
	Overview  *overview // on the first page of all scans
	Scans     []scanLine
	Pager     pager
	Platforms []string
}

// scanLine is a scan in the list.
type scanLine struct {
	core.Scan
	Banner banner
}

func (w *Web) scans(c *gin.Context) error {
	filter := filterOf(c)
	query := queryOf(map[string]string{
		"platform": filter.Platform, "project": filter.Project, "branch": filter.Branch,
		"status": string(filter.Status), "verdict": string(filter.Verdict),
	})
	scans, links, err := turn(placeOf(c), scansPerPage, query, func(scan core.Scan) int64 { return scan.ID },
		func(at place, limit int) ([]core.Scan, error) {
			filter.Before, filter.After, filter.Limit = at.before, at.after, limit
			return w.Store.ListScans(c.Request.Context(), filter)
		})
	if err != nil {
		return err
	}
	page := scansPage{Filter: filter, Filtered: len(query) > 0, Pager: links, Platforms: w.platformNames(filter.Platform)}
	if page.Overview, err = w.overview(c, !page.Filtered && links.Newest == ""); err != nil {
		return err
	}
	for _, scan := range scans {
		page.Scans = append(page.Scans, scanLine{scan, bannerOf(scan, counts{})})
	}
	return w.render(c, http.StatusOK, "scans", "Scans", page)
}

// filterOf reads the filter from the address; words that mean nothing are left out.
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
