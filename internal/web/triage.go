package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/scanhook/scanhook/core"
	"github.com/scanhook/scanhook/internal/web/layout"
	"github.com/scanhook/scanhook/store"
)

// What a visitor can have done to a finding. It was too late if somebody else had decided meanwhile.
const (
	doneFalsePositive = string(core.FalsePositive)
	doneReal          = string(core.TruePositive)
	doneUndo          = "undone"
	doneTooLate       = "late"
	doneProposed      = "proposed"
	doneApproved      = "approved"
	doneRefused       = "refused"
)

// done is what a visitor has just done to a finding. The address of the page that they come back to holds it.
type done struct {
	What string // one of the constants above, or a core.Reason
	Of   int64  // the finding; 0 for none
}

// GiveFeedback records a person's decision on a finding and goes back to the page with the form.
func (w *Web) GiveFeedback(c *gin.Context) error {
	judgement, err := w.Judgement(c)
	if err != nil {
		return err
	}
	return w.judge(c, judgement.What(), func(id int64, who string) (store.Triaged, error) {
		return w.Store.RecordFeedback(c.Request.Context(), core.Feedback{
			FindingID: id, UserVerdict: judgement.Verdict, Dismissal: judgement.Dismissal, Comments: commentOf(c), Author: who,
		})
	})
}

// UndoFeedback withdraws the decision that the visitor has seen. If another one was made meanwhile, the page says so.
func (w *Web) UndoFeedback(c *gin.Context) error {
	decision, err := strconv.ParseInt(c.PostForm("decision"), 10, 64)
	if err != nil || decision < 1 {
		return fmt.Errorf("%w: the form does not name the decision that it withdraws", core.ErrInvalid)
	}
	return w.judge(c, doneUndo, func(id int64, who string) (store.Triaged, error) {
		return w.Store.WithdrawFeedback(c.Request.Context(), core.Withdrawal{
			FindingID: id, DecisionID: decision, Comments: commentOf(c), Author: who,
		})
	})
}

// Approve makes a dismissal that waits a decision: a second person agrees.
func (w *Web) Approve(c *gin.Context) error { return w.weigh(c, doneApproved, w.Store.ApproveProposal) }

// Refuse ends that a dismissal waits.
func (w *Web) Refuse(c *gin.Context) error { return w.weigh(c, doneRefused, w.Store.RefuseProposal) }

// weigh takes what a visitor says of the proposal that they have seen. If it does not wait any more, the page says so.
func (w *Web) weigh(c *gin.Context, what string, save func(context.Context, store.Opinion) (store.Triaged, error)) error {
	proposal, err := strconv.ParseInt(c.PostForm("proposal"), 10, 64)
	if err != nil || proposal < 1 {
		return fmt.Errorf("%w: the form does not name the proposal that it is about", core.ErrInvalid)
	}
	return w.judge(c, what, func(id int64, who string) (store.Triaged, error) {
		return save(c.Request.Context(), store.Opinion{FindingID: id, ProposalID: proposal, Author: who, Comments: commentOf(c)})
	})
}

// commentOf is the comment as people typed it: browsers send line ends as CR LF.
func commentOf(c *gin.Context) string {
	return strings.ReplaceAll(c.PostForm("comments"), "\r\n", "\n")
}

// judge saves what the visitor does to a finding, and goes back to the page with the form.
func (w *Web) judge(c *gin.Context, what string, save func(id int64, who string) (store.Triaged, error)) error {
	id, err := findingID(c)
	if err != nil {
		return err
	}
	who, err := w.Sessions.Visitor(c)
	if err != nil {
		return err
	}
	triaged, err := save(id, who.Name)
	seen := what == doneUndo || what == doneApproved || what == doneRefused
	if seen && (errors.Is(err, core.ErrConflict) || errors.Is(err, core.ErrNotFound)) {
		what = doneTooLate
		triaged, err = w.Store.GetFinding(c.Request.Context(), id)
	}
	if err != nil {
		return err
	}
	if waiting := triaged.Waiting; waiting != nil && waiting.By(who.Name) && !seen {
		what = doneProposed
	}
	back := c.PostForm("back")
	if back == "" {
		back = w.Base.Path("/scans/" + triaged.Scan.ReferenceID)
	}
	c.Redirect(http.StatusSeeOther, done{what, id}.in(w.Base.Local(back)))
	return nil
}

// in adds to an address what was done to which finding.
func (d done) in(back string) string {
	target, err := url.Parse(back)
	if err != nil {
		return back
	}
	query := target.Query()
	query.Set("done", d.What)
	query.Set("finding", strconv.FormatInt(d.Of, 10))
	target.RawQuery, target.Fragment = query.Encode(), anchorOf(d.Of)
	return target.String()
}

// newDone reads from the address what in has written there. Of is 0 where that is not valid.
func newDone(c *gin.Context) done {
	d := done{What: c.Query("done")}
	switch d.What {
	case doneFalsePositive, doneReal, doneUndo, doneTooLate, doneProposed, doneApproved, doneRefused, string(layout.ReasonOf(d.What)):
		d.Of, _ = strconv.ParseInt(c.Query("finding"), 10, 64)
	}
	return d
}

// Sentence tells visitors what they have just done.
func (d done) Sentence() string {
	switch d.What {
	case doneFalsePositive:
		return "You marked this finding as a false positive."
	case doneReal:
		return "You marked this finding as real."
	case doneUndo:
		return "You withdrew the decision."
	case doneProposed:
		return "You proposed to dismiss this finding. It counts until a second person approves that."
	case doneApproved:
		return "You approved the dismissal: it holds."
	case doneRefused:
		return "The dismissal waits no more: the finding counts."
	}
	if reason := layout.ReasonOf(d.What); reason != "" {
		return "You dismissed this finding: " + reason.Words() + "."
	}
	return "Nothing was withdrawn: the decision that you saw no longer holds. The history shows what was decided since."
}
