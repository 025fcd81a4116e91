package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

const scansPerPage = 50

// scansPage lists scans, the newest first.
type scansPage struct {
	Filter    store.ScanFilter
	Filtered  bool
	Scans     []scanLine
	Older     string // query of the next page, or empty
	First     string // query of the first page when this is another one, or empty
	Platforms []string
}

// scanLine is a scan in the list.
type scanLine struct {
	core.Scan
	Banner banner
}

func (w *Web) scans(c *gin.Context) error {
	filter := filterOf(c)
	filter.Limit = scansPerPage + 1
	scans, err := w.Store.ListScans(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	page := scansPage{Filter: filter, Platforms: w.platformNames(filter.Platform)}
	query := queryOf(filter)
	page.Filtered = len(query) > 0
	if filter.Before > 0 {
		page.First = "?" + query.Encode()
	}
	if len(scans) > scansPerPage {
		scans = scans[:scansPerPage]
		query.Set("before", strconv.FormatInt(scans[scansPerPage-1].ID, 10))
		page.Older = "?" + query.Encode()
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
	if before, err := strconv.ParseInt(c.Query("before"), 10, 64); err == nil && before > 0 {
		filter.Before = before
	}
	return filter
}

// queryOf writes a filter as it stands in addresses, without the place in the list.
func queryOf(f store.ScanFilter) url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"platform": f.Platform, "project": f.Project, "branch": f.Branch, "status": string(f.Status), "verdict": string(f.Verdict),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}
