package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
)

// feedback takes a person's word on a finding and goes back to where it was said.
func (w *Web) feedback(c *gin.Context) error {
	id, err := findingID(c)
	if err != nil {
		return err
	}
	who, err := w.visitor(c)
	if err != nil {
		return err
	}
	verdict := core.Triage(c.PostForm("verdict"))
	triaged, err := w.Store.RecordFeedback(c.Request.Context(), core.Feedback{
		FindingID: id, UserVerdict: verdict, Comments: c.PostForm("comments"), Author: who.Name,
	})
	if err != nil {
		return err
	}
	back := c.PostForm("back")
	if back == "" {
		back = w.base + "/scans/" + triaged.Scan.ReferenceID
	}
	c.Redirect(http.StatusSeeOther, said(w.local(back), verdict, id))
	return nil
}

// said adds to an address what was said of which finding.
func said(back string, verdict core.Triage, id int64) string {
	target, err := url.Parse(back)
	if err != nil {
		return back
	}
	query := target.Query()
	query.Set("said", string(verdict))
	query.Set("of", strconv.FormatInt(id, 10))
	target.RawQuery, target.Fragment = query.Encode(), fmt.Sprintf("finding-%d", id)
	return target.String()
}

// saidOf reads from the address what said has written there; 0 where that means nothing.
func saidOf(c *gin.Context) (id int64, verdict core.Triage) {
	verdict = core.Triage(c.Query("said"))
	id, err := strconv.ParseInt(c.Query("of"), 10, 64)
	if err != nil || verdict != core.TruePositive && verdict != core.FalsePositive {
		return 0, ""
	}
	return id, verdict
}

// patch hands out a finding's remediation patch for git apply.
func (w *Web) patch(c *gin.Context) error {
	id, err := findingID(c)
	if err != nil {
		return err
	}
	found, err := w.Store.GetFinding(c.Request.Context(), id)
	if err != nil {
		return err
	}
	if found.Finding.RemediationPatch == nil {
		return fmt.Errorf("%w: finding %d has no patch", core.ErrNotFound, id)
	}
	c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="finding-%d.patch"`, id))
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(*found.Finding.RemediationPatch))
	return nil
}

func findingID(c *gin.Context) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: findings are known by numbers", core.ErrNotFound)
	}
	return id, nil
}
