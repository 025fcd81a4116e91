package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/store"
)

// said is what a visitor has just done to a finding, as the address of the page that they come back to has it.
type said struct {
	What string // one of the words below
	Of   int64  // the finding; 0 for none
}

// What a visitor can have done. It was too late when somebody else had decided meanwhile.
const (
	saidFalsePositive = string(core.FalsePositive)
	saidReal          = string(core.TruePositive)
	saidUndone        = "undone"
	saidTooLate       = "late"
)

// feedback takes a person's word on a finding and goes back to where it was said.
func (w *Web) feedback(c *gin.Context) error {
	verdict := c.PostForm("verdict")
	return w.judge(c, verdict, func(id int64, who string) (store.Triaged, error) {
		return w.Store.RecordFeedback(c.Request.Context(), core.Feedback{
			FindingID: id, UserVerdict: core.Triage(verdict), Comments: commentOf(c), Author: who,
		})
	})
}

// undo takes back the decision that the visitor has seen. If another one stands by now, the page says so.
func (w *Web) undo(c *gin.Context) error {
	word, err := strconv.ParseInt(c.PostForm("word"), 10, 64)
	if err != nil || word < 1 {
		return fmt.Errorf("%w: the form does not name the decision that it takes back", core.ErrInvalid)
	}
	return w.judge(c, saidUndone, func(id int64, who string) (store.Triaged, error) {
		return w.Store.WithdrawFeedback(c.Request.Context(), core.Withdrawal{
			FindingID: id, WordID: word, Comments: commentOf(c), Author: who,
		})
	})
}

// commentOf is what the form says as people typed it: browsers send line ends as CR LF.
func commentOf(c *gin.Context) string {
	return strings.ReplaceAll(c.PostForm("comments"), "\r\n", "\n")
}

// judge has the visitor's word on a finding kept, and goes back to the page where it was said.
func (w *Web) judge(c *gin.Context, what string, keep func(id int64, who string) (store.Triaged, error)) error {
	id, err := findingID(c)
	if err != nil {
		return err
	}
	who, err := w.visitor(c)
	if err != nil {
		return err
	}
	triaged, err := keep(id, who.Name)
	if what == saidUndone && (errors.Is(err, core.ErrConflict) || errors.Is(err, core.ErrNotFound)) {
		what = saidTooLate
		triaged, err = w.Store.GetFinding(c.Request.Context(), id)
	}
	if err != nil {
		return err
	}
	back := c.PostForm("back")
	if back == "" {
		back = w.base + "/scans/" + triaged.Scan.ReferenceID
	}
	c.Redirect(http.StatusSeeOther, said{what, id}.in(w.local(back)))
	return nil
}

// in adds to an address what was said of which finding.
func (s said) in(back string) string {
	target, err := url.Parse(back)
	if err != nil {
		return back
	}
	query := target.Query()
	query.Set("said", s.What)
	query.Set("of", strconv.FormatInt(s.Of, 10))
	target.RawQuery, target.Fragment = query.Encode(), anchorOf(s.Of)
	return target.String()
}

// saidOf reads from the address what in has written there; zero where that means nothing.
func saidOf(c *gin.Context) said {
	s := said{What: c.Query("said")}
	switch s.What {
	case saidFalsePositive, saidReal, saidUndone, saidTooLate:
		s.Of, _ = strconv.ParseInt(c.Query("of"), 10, 64)
	}
	return s
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
